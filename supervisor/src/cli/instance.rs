//! Which Creel a command is about, when several could be meant.

use std::path::Path;

use creel_config::{Overrides, Paths};

/// What is asked of the machine.
pub(crate) trait Machine {
    /// Whether a path exists, as far as this user can see.
    fn exists(&self, path: &Path) -> bool;
    /// This user's number.
    fn uid(&self) -> u32;
}

/// The machine itself.
pub(crate) struct Disk;

impl Machine for Disk {
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn uid(&self) -> u32 {
        rustix::process::getuid().as_raw()
    }
}

/// Flags and variables decide; else this user's own instance where it runs, else the machine's service where that runs,
/// else this user's own, which then does not run.
pub(crate) fn choose(own: Paths, overrides: &Overrides, machine: &impl Machine) -> Paths {
    if overrides.home.is_some() || overrides.config.is_some() || overrides.runtime.is_some() {
        return own;
    }
    // Without a session there is no XDG_RUNTIME_DIR, and the instance of the session's service has its folder all the same.
    let session = Paths { runtime: format!("/run/user/{}/creel", machine.uid()).into(), ..own.clone() };
    for candidate in [&own, &session] {
        if machine.exists(&candidate.control()) {
            return candidate.clone();
        }
    }
    let system = Paths::system();
    // The folder, not the socket: whoever may not enter cannot see what is inside, and is told so.
    if machine.exists(&system.runtime) { system } else { own }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    struct Fake(Vec<&'static str>);

    impl Machine for Fake {
        fn exists(&self, path: &Path) -> bool {
            self.0.iter().any(|there| path == Path::new(there))
        }

        fn uid(&self) -> u32 {
            1000
        }
    }

    fn chosen(there: &[&'static str], overrides: &Overrides) -> String {
        let own = Paths::compose(overrides, Some(PathBuf::from("/home/alice")), None).unwrap();
        choose(own, overrides, &Fake(there.to_vec())).runtime.display().to_string()
    }

    #[test]
    fn flags_then_the_own_one_then_the_machines() {
        let none = Overrides::default();
        let (own, session) = ("/home/alice/.creel/run/control.sock", "/run/user/1000/creel/control.sock");
        assert_eq!(chosen(&[], &none), "/home/alice/.creel/run");
        assert_eq!(chosen(&["/run/creel"], &none), "/run/creel");
        assert_eq!(chosen(&["/run/creel", own], &none), "/home/alice/.creel/run");
        assert_eq!(chosen(&["/run/creel", session], &none), "/run/user/1000/creel");
        let flag = Overrides { home: Some(PathBuf::from("/srv/creel")), ..none };
        assert_eq!(chosen(&["/run/creel", own], &flag), "/srv/creel/run");
    }
}
