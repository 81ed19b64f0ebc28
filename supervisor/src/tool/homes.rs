//! The home folders of commands: which there are, and which may go because nobody uses them any more.
//!
//! When a home was last used is told by the time of its last change of state, which the supervisor renews before and after each
//! command, and which no command can set: only by running, and then it is used. What is in a home is a stranger's work: it is
//! taken away on a thread of its own, and no link in it is followed.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use creel_config::sandbox::{Prune, SandboxScope};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};

mod clearing;

/// Homes that are on their way out. No agent's id begins with a dot.
const GONE: &str = ".gone";
/// What became of `sandbox.setupCommand`, beside the homes.
const RECORDS: &str = "setup";

/// One home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Who shares it.
    pub scope: SandboxScope,
    /// Its agent; none of the one that all share.
    pub agent: Option<String>,
    /// The name of its session, which does not tell the key.
    pub session: Option<String>,
    /// The folder.
    pub path: PathBuf,
    /// When it was last used, in milliseconds since the epoch.
    pub used_ms: i64,
    /// When it was made, where the file system knows.
    pub made_ms: Option<i64>,
}

/// Why a home may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No command has used it for so long.
    Idle,
    /// It was made so long ago.
    Age,
    /// The configuration gives it to nobody any more, and no command has used it for long.
    Nobodys,
}

impl Why {
    /// The reason as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Nobodys => "nobodys",
        }
    }
}

/// Every home below this folder. Links are none, whatever they point to.
///
/// # Errors
/// When the folder cannot be read; one that is not there has no homes.
pub fn scan(homes: &Path) -> io::Result<Vec<Home>> {
    let mut found = Vec::new();
    let mut add = |scope, agent: Option<&str>, session: Option<&str>, path: &Path| {
        found.extend(home(scope, agent, session, path));
    };
    add(SandboxScope::Shared, None, None, &homes.join("shared"));
    for (agent, path) in folders(&homes.join("agent"))? {
        add(SandboxScope::Agent, Some(&agent), None, &path);
    }
    for (agent, path) in folders(&homes.join("session"))? {
        for (session, path) in folders(&path)? {
            add(SandboxScope::Session, Some(&agent), Some(&session), &path);
        }
    }
    found.sort_by_key(|home| home.used_ms);
    Ok(found)
}

fn folders(of: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(of) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    Ok(found)
}

fn home(scope: SandboxScope, agent: Option<&str>, session: Option<&str>, path: &Path) -> Option<Home> {
    let metadata = path.symlink_metadata().ok().filter(fs::Metadata::is_dir)?;
    let made = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Some(Home {
        scope,
        agent: agent.map(str::to_owned),
        session: session.map(str::to_owned),
        path: path.to_owned(),
        used_ms: metadata.ctime().saturating_mul(1000).saturating_add(metadata.ctime_nsec() / 1_000_000),
        made_ms: made.and_then(|made| i64::try_from(made.as_millis()).ok()),
    })
}

/// A command begins or has ended in this home.
pub fn use_of(home: &Path) {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    if let Err(error) = utimensat(CWD, home, &times, AtFlags::SYMLINK_NOFOLLOW) {
        tracing::debug!("The time of {} cannot be set: {error}.", home.display());
    }
}

/// Whether a home that no command is in may go. `own` is the scope of its agent, if there is such an agent; for the shared
/// home, that of any agent that uses it.
pub fn verdict(home: &Home, own: Option<SandboxScope>, rules: &Prune, now_ms: i64) -> Option<Why> {
    let over = |since: i64, limit_ms: i64| limit_ms > 0 && now_ms.saturating_sub(since) >= limit_ms;
    let idle = over(home.used_ms, i64::from(rules.idle_hours) * 3_600_000);
    match (own == Some(home.scope), home.scope) {
        (false, _) => idle.then_some(Why::Nobodys),
        // What an agent keeps for all its sessions is not an old session's.
        (true, SandboxScope::Agent | SandboxScope::Shared) => None,
        (true, SandboxScope::Session) if idle => Some(Why::Idle),
        (true, SandboxScope::Session) => {
            let old = home.made_ms.is_some_and(|made| over(made, i64::from(rules.max_age_days) * 86_400_000));
            old.then_some(Why::Age)
        }
    }
}

/// Puts a home where no command will look for it, at once. Nobody may be in it.
///
/// # Errors
/// What the system said.
pub fn set_aside(home: &Path, homes: &Path) -> io::Result<()> {
    let gone = homes.join(GONE);
    crate::place::private(&gone)?;
    // To be moved, a folder must be its owner's to write; nobody but us can change what this name stands for.
    let mode = home.symlink_metadata()?.mode();
    if mode & 0o700 != 0o700 {
        fs::set_permissions(home, fs::Permissions::from_mode(0o700))?;
    }
    let mut number = 0_u32;
    loop {
        let to = gone.join(format!("{}-{number}", crate::clock::now_ms()));
        match fs::rename(home, to) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && number < 1000 => number += 1,
            outcome => break outcome?,
        }
    }
    let below = home.strip_prefix(homes).unwrap_or(home);
    let mut record = std::ffi::OsString::from(homes.join(RECORDS).join(below));
    record.push(".json");
    match fs::remove_file(record) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes away, on a thread of its own, what was set aside: now, or before the last end of the supervisor.
pub fn clear_aside(homes: &Path) {
    let gone = homes.join(GONE);
    let work = move || {
        if let Err(error) = clearing::clear(&gone) {
            tracing::warn!("What was in {} cannot be taken away: {error}.", gone.display());
        }
    };
    let thread = std::thread::Builder::new().name("homes".to_owned()).stack_size(256 << 10).spawn(work);
    if let Err(error) = thread {
        tracing::warn!("Homes that were set aside stay for now: {error}.");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn rules(idle_hours: u32, max_age_days: u32) -> Prune {
        Prune { idle_hours, max_age_days }
    }

    #[test]
    fn a_session_goes_when_it_is_idle_or_old_and_what_an_agent_keeps_stays() {
        let home = |scope| Home {
            scope,
            agent: Some("main".into()),
            session: None,
            path: PathBuf::new(),
            used_ms: 0,
            made_ms: Some(-100 * HOUR),
        };
        let of = |scope, own, rules: Prune, hours: i64| verdict(&home(scope), own, &rules, hours * HOUR);
        let (session, agent) = (SandboxScope::Session, SandboxScope::Agent);
        assert_eq!(of(session, Some(session), rules(24, 0), 23), None);
        assert_eq!(of(session, Some(session), rules(24, 0), 24), Some(Why::Idle));
        assert_eq!(of(session, Some(session), rules(0, 0), 24_000), None, "0 is never");
        assert_eq!(of(session, Some(session), rules(24, 5), 20), Some(Why::Age));
        assert_eq!(of(agent, Some(agent), rules(24, 5), 24_000), None);
        assert_eq!(
            of(agent, Some(session), rules(24, 0), 23),
            None,
            "somebody may just have changed the scope"
        );
        assert_eq!(of(agent, Some(session), rules(24, 0), 24), Some(Why::Nobodys));
        assert_eq!(of(session, None, rules(24, 0), 24), Some(Why::Nobodys));
        assert_eq!(of(session, None, rules(0, 1), 24_000), None);
    }

    #[test]
    fn homes_are_found_used_set_aside_and_cleared_without_following_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (homes, outside) = (folder.path().join("sandboxes"), folder.path().join("outside"));
        assert_eq!(scan(&homes).unwrap(), [], "nothing was run yet");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        for home in ["agent/main", "session/main/0a", "session/main/0b", "shared"] {
            crate::place::private(&homes.join(home)).unwrap();
        }
        symlink(&outside, homes.join("session/main/0c")).unwrap();
        crate::place::private(&homes.join("setup/session/main")).unwrap();
        fs::write(homes.join("setup/session/main/0a.json"), "{}").unwrap();
        let names = |found: &[Home]| -> Vec<String> {
            let mut names: Vec<_> = found
                .iter()
                .map(|home| home.path.strip_prefix(&homes).unwrap().display().to_string())
                .collect();
            names.sort();
            names
        };
        let found = scan(&homes).unwrap();
        assert_eq!(names(&found), ["agent/main", "session/main/0a", "session/main/0b", "shared"]);

        // The time of its content and of the folder itself is the command's to set; that of its last change is not.
        let one = homes.join("session/main/0a");
        let before = found.iter().find(|home| home.path == one).unwrap().used_ms;
        let old = Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = Timestamps { last_access: old, last_modification: old };
        utimensat(CWD, &one, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        use_of(&one);
        let used = scan(&homes).unwrap().into_iter().find(|home| home.path == one).unwrap();
        assert!(used.used_ms >= before && used.made_ms.is_some(), "{used:?}");

        // Links out, folders that lock their owner out, and one nested deeper than any stack.
        symlink(&outside, one.join("link")).unwrap();
        fs::create_dir_all(one.join("locked/inner")).unwrap();
        fs::write(one.join("locked/inner/file"), "x").unwrap();
        fs::set_permissions(one.join("locked/inner"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(one.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
        let mut at =
            rustix::fs::openat(CWD, &one, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
        for _ in 0..3_000 {
            rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::from_raw_mode(0o700)).unwrap();
            at = rustix::fs::openat(&at, "d", rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty())
                .unwrap();
        }
        set_aside(&one, &homes).unwrap();
        assert_eq!(names(&scan(&homes).unwrap()), ["agent/main", "session/main/0b", "shared"]);
        assert!(!homes.join("setup/session/main/0a.json").exists(), "a new home is prepared anew");
        clearing::clear(&homes.join(GONE)).unwrap();
        assert!(!homes.join(GONE).exists());
        assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "x");
        clearing::clear(&homes.join(GONE)).unwrap();
    }
}
