//! Which isolation this host really gives: measured with launches, never guessed from versions.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{At as _, LaunchError, Stage};
use crate::isolation::Isolation;
use crate::launching::{Exit, Launching, Stdio};
use crate::selftest::{Aim, Attempt, SELFTEST_ARG};
use crate::spec::{LaunchSpec, Level, Role, View};

/// The outcome of [`probe_levels`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The strongest level that held. [`Level::L0`] means that none did: start no unit unless the operator wrote
    /// `mode: "off"`.
    pub level: Level,
    /// What a probe unit at that level was given.
    pub isolation: Option<Isolation>,
    /// How many escape attempts were denied at that level.
    pub denied: usize,
    /// Why it is not a stronger level, one sentence per level that did not hold.
    pub reasons: Vec<String>,
    /// What the operator can do about it.
    pub remedies: Vec<String>,
}

/// A cgroup for the strongest level: an open folder of a cgroup v2 with limits on memory and tasks in force, or a
/// sentence on why there is none.
pub type Grouped<'a> = Result<BorrowedFd<'a>, String>;

/// Launches a probe of this very binary (`__selftest`) at level 2 and, where that fails, at level 1. The binary's `main`
/// must call [`crate::reenter`]. Takes a few milliseconds; blocks.
#[must_use]
pub fn probe_levels() -> Measured {
    probe_levels_in(Err("no delegated cgroup is used; limits are per process.".to_owned()))
}

/// The same, beginning at level 3 where there is a cgroup for it. The caller ends what is left in the cgroup.
#[must_use]
pub fn probe_levels_in(grouped: Grouped<'_>) -> Measured {
    let (mut reasons, mut remedies) = (Vec::new(), Vec::new());
    let cgroup = match grouped {
        Ok(folder) => Some(folder),
        Err(why) => {
            reasons.push(format!("L3: {why}"));
            None
        }
    };
    for level in [Level::L3, Level::L2, Level::L1] {
        let group = if level == Level::L3 {
            let Some(folder) = cgroup else { continue };
            Some(folder)
        } else {
            None
        };
        match probe(level, group) {
            Ok((isolation, attempts)) => {
                let worked: Vec<&str> =
                    attempts.iter().filter(|a| !a.denied).map(|a| a.name.as_str()).collect();
                if worked.is_empty() {
                    let denied = attempts.len();
                    return Measured { level, isolation: Some(isolation), denied, reasons, remedies };
                }
                reasons.push(format!("{level}: a probe unit could: {}.", worked.join(", ")));
            }
            Err(error) => {
                if level == Level::L2 {
                    remedies.extend(remedies_for(&error, &Host::read()));
                }
                reasons.push(format!("{level}: {error}"));
            }
        }
    }
    remedies.push(
        "To run without any sandbox, write sandbox.mode = \"off\"; every tool then has the rights of creel."
            .to_owned(),
    );
    Measured { level: Level::L0, isolation: None, denied: 0, reasons, remedies }
}

/// One probe: a tool unit that tries to get out.
fn probe(level: Level, cgroup: Option<BorrowedFd<'_>>) -> Result<(Isolation, Vec<Attempt>), LaunchError> {
    let decoy = Decoy::new()?;
    let program = std::env::current_exe().at(Stage::Spawn, || "The path of this binary is unknown")?;
    let port = decoy.listener.local_addr().map_or(0, |a| a.port());
    let aim = Aim {
        secret: decoy.secret.to_string_lossy().into_owned(),
        port,
        prober: std::process::id(),
        namespaces: level >= Level::L2,
    };
    let aim = serde_json::to_string(&aim).map_err(|e| LaunchError::new(Stage::Spec, e.to_string()))?;
    // At the same place inside and outside: level 1 can do no other.
    let argv = vec![program.to_string_lossy().into_owned(), SELFTEST_ARG.to_owned(), aim];
    let mut spec = LaunchSpec::new("tool:selftest", Role::Tool, argv);
    spec.level = level;
    if !program.starts_with("/usr") {
        spec.fs.push(View::ro(program));
    }
    run(&spec, cgroup)
}

fn run(spec: &LaunchSpec, cgroup: Option<BorrowedFd<'_>>) -> Result<(Isolation, Vec<Attempt>), LaunchError> {
    let (mut answer, stdout) = io::pipe().at(Stage::Spawn, || "No pipe for the probe's answer")?;
    let null = || {
        File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .at(Stage::Spawn, || "/dev/null cannot be opened")
    };
    let stdio = Stdio { stdin: null()?.into(), stdout: OwnedFd::from(stdout), stderr: null()?.into() };
    let launched = Launching::begin_in(spec, stdio, cgroup)?.wait()?;
    let mut text = String::new();
    let read = answer.read_to_string(&mut text);
    let exit = launched.wait().unwrap_or(Exit::Code(-1));
    let attempts = serde_json::from_str::<Vec<Attempt>>(&text);
    match (read, exit, attempts) {
        (Ok(_), Exit::Code(0), Ok(attempts)) => Ok((launched.isolation, attempts)),
        _ => Err(LaunchError::new(
            Stage::Lost,
            format!("The probe unit ran but gave no verdict (exit {}).", exit.code()),
        )),
    }
}

/// Things a confined unit must not reach, although their permissions would let it.
struct Decoy {
    dir: PathBuf,
    secret: PathBuf,
    listener: TcpListener,
}

impl Decoy {
    fn new() -> Result<Self, LaunchError> {
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let dir = std::env::temp_dir().join(format!("creel-probe-{}-{now:x}", std::process::id()));
        let failed = || format!("The probe's folder {} cannot be made", dir.display());
        std::fs::create_dir(&dir).at(Stage::Spawn, failed)?;
        let secret = dir.join("secret");
        let written =
            std::fs::write(&secret, "#!/bin/sh\nexit 0\n").and_then(|()| open_to_all(&dir, &secret));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let made = Self {
            dir: dir.clone(),
            secret,
            listener: listener.at(Stage::Spawn, || "No loopback listener")?,
        };
        written.at(Stage::Spawn, failed)?;
        Ok(made)
    }
}

fn open_to_all(dir: &Path, secret: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777))?;
    std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o755))
}

impl Drop for Decoy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The switches of the host that forbid user namespaces.
#[derive(Debug, Default)]
struct Host {
    max_user_namespaces: Option<u64>,
    unprivileged_clone: Option<u64>,
    apparmor_restricts: Option<u64>,
    /// The profile of AppArmor that this program is confined by.
    apparmor_profile: Option<String>,
    in_container: bool,
    root: bool,
}

impl Host {
    fn read() -> Self {
        let number = |path: &str| std::fs::read_to_string(path).ok().and_then(|t| t.trim().parse().ok());
        Self {
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            apparmor_profile: std::fs::read_to_string("/proc/self/attr/apparmor/current")
                .ok()
                .and_then(|label| Some(label.trim().strip_suffix(" (enforce)")?.to_owned())),
            in_container: Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists(),
            root: rustix::process::geteuid().is_root(),
        }
    }
}

fn remedies_for(error: &LaunchError, host: &Host) -> Vec<String> {
    let mut found = Vec::new();
    let used_up = error.errno == Some(rustix::io::Errno::NOSPC.raw_os_error());
    if host.max_user_namespaces == Some(0) || used_up {
        found.push(
            "User namespaces are switched off or used up: sysctl -w user.max_user_namespaces=15000."
                .to_owned(),
        );
    }
    if !host.root && host.unprivileged_clone == Some(0) {
        found.push(
            "User namespaces are reserved to root: sysctl -w kernel.unprivileged_userns_clone=1.".to_owned(),
        );
    }
    if !host.root && host.apparmor_restricts == Some(1) {
        found.push(
            "AppArmor forbids user namespaces to programs without a profile. Creel's is /etc/apparmor.d/creel in its Debian package \
             (packaging/apparmor/creel in its sources; put the path of this creel into it): apparmor_parser -r \
             /etc/apparmor.d/creel. Or, for every program: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0."
                .to_owned(),
        );
    }
    if let (Stage::Namespaces, Some(profile)) = (error.stage, &host.apparmor_profile) {
        found.push(format!(
            "AppArmor confines this program by the profile \"{profile}\". If it has no rule userns, take Creel's in its place \
             (packaging/apparmor/creel, with the path of this creel): apparmor_parser -r /etc/apparmor.d/creel."
        ));
    }
    // The runtime of a container is to blame neither for what its kernel lacks nor for a limit of it.
    let namespaces = !matches!(error.stage, Stage::Landlock | Stage::Seccomp) && !used_up;
    if host.in_container && namespaces {
        found.push(
            "Creel runs inside a container whose runtime forbids namespaces: start it with --security-opt seccomp=unconfined \
             --security-opt systempaths=unconfined, or run Creel on the host."
                .to_owned(),
        );
    }
    if found.is_empty() {
        found.push(match error.stage {
            Stage::Landlock => {
                "Boot with Landlock: add landlock to the lsm= list of the kernel command line.".to_owned()
            }
            Stage::Seccomp => "Run a kernel with CONFIG_SECCOMP_FILTER; in a container, a runtime that does not forbid seccomp(2)."
                .to_owned(),
            _ => "To accept the weaker level L1 instead, set `sandbox.floor` to \"L1\".".to_owned(),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> LaunchError {
        LaunchError { stage: Stage::Namespaces, errno: Some(1), sentence: "no".into() }
    }

    #[test]
    fn each_switch_of_a_host_has_its_remedy() {
        let off = Host { max_user_namespaces: Some(0), ..Host::default() };
        assert!(remedies_for(&refused(), &off)[0].contains("max_user_namespaces"));
        let ubuntu = Host { apparmor_restricts: Some(1), ..Host::default() };
        assert!(remedies_for(&refused(), &ubuntu)[0].contains("apparmor_parser -r"));
        let confined = Host { apparmor_profile: Some("mine".to_owned()), root: true, ..Host::default() };
        assert!(remedies_for(&refused(), &confined)[0].contains("\"mine\""));
        let root = Host { apparmor_restricts: Some(1), root: true, ..Host::default() };
        assert!(remedies_for(&refused(), &root)[0].contains("sandbox.floor"));
        let docker = Host { in_container: true, ..Host::default() };
        assert!(remedies_for(&refused(), &docker)[0].contains("container"));
        // A container is not to blame for what its kernel lacks.
        for (stage, word) in [(Stage::Landlock, "lsm="), (Stage::Seccomp, "CONFIG_SECCOMP_FILTER")] {
            let error = LaunchError { stage, ..refused() };
            assert!(remedies_for(&error, &docker)[0].contains(word), "{stage}");
        }
        let used_up = LaunchError { errno: Some(rustix::io::Errno::NOSPC.raw_os_error()), ..refused() };
        let told = remedies_for(&used_up, &docker);
        assert!(told.len() == 1 && told[0].contains("max_user_namespaces"), "{told:?}");
    }
}
