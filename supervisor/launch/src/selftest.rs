//! The unit's side of the self-test: a dozen attempts to get out, run inside a real launch. Prints one line of JSON.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// First argument of a run that is the self-test inside a unit.
pub(crate) const SELFTEST_ARG: &str = "__selftest";

/// What the attempts are aimed at; decoys made by the prober. The second argument of the run, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Aim {
    /// A readable file outside every view.
    pub(crate) secret: String,
    /// A TCP port on the host's loopback where somebody listens.
    pub(crate) port: u16,
    /// The prober's process id.
    pub(crate) prober: u32,
    /// Whether the unit has namespaces (what Landlock and seccomp alone cannot hide is not tried).
    pub(crate) namespaces: bool,
}

/// The verdict of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) name: String,
    pub(crate) denied: bool,
}

/// Runs the attempts and returns the exit code.
pub(crate) fn run(aim: &str) -> i32 {
    let Ok(aim) = serde_json::from_str::<Aim>(aim) else { return 2 };
    let Ok(text) = serde_json::to_string(&attempts(&aim)) else { return 2 };
    i32::from(writeln!(std::io::stdout(), "{text}").is_err())
}

fn attempts(aim: &Aim) -> Vec<Attempt> {
    let mut all = vec![
        attempt("read a file outside the views", fs::read(&aim.secret).is_err()),
        attempt("write beside that file", fs::write(format!("{}.written", aim.secret), "x").is_err()),
        attempt("write to /usr", fs::write("/usr/.creel-selftest", "x").is_err()),
        attempt("read /etc/shadow", fs::read("/etc/shadow").is_err()),
        attempt("connect to the host's loopback", !connects(aim.port)),
        attempt(
            "read the supervisor's environment",
            fs::read(format!("/proc/{}/environ", aim.prober)).is_err(),
        ),
        attempt("be root", own_status("Uid:").is_none_or(|uid| uid.split_whitespace().next() != Some("0"))),
        attempt(
            "hold capabilities",
            own_status("CapEff:").is_none_or(|c| c.trim().chars().all(|c| c == '0')),
        ),
        attempt("gain privileges by exec", rustix::thread::no_new_privs().unwrap_or(false)),
        attempt("dump core", rustix::process::getrlimit(rustix::process::Resource::Core).maximum == Some(0)),
        attempt("inherit open files", inherited() == 0),
        attempt("run a program of the host", aim.namespaces || Command::new(&aim.secret).status().is_err()),
    ];
    #[cfg(target_os = "linux")]
    all.extend(kernel(aim));
    all
}

fn attempt(name: &str, denied: bool) -> Attempt {
    Attempt { name: name.to_owned(), denied }
}

fn connects(port: u16) -> bool {
    TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(1)).is_ok()
}

fn own_status(field: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|l| l.strip_prefix(field)).map(str::to_owned)
}

fn inherited() -> usize {
    // The folder being read is open itself; where /proc is out of reach, numbers are tried.
    match fs::read_dir("/proc/self/fd") {
        Ok(dir) => dir
            .flatten()
            .filter(|e| e.file_name().to_str().and_then(|n| n.parse().ok()).is_some_and(|n: u32| n > 2))
            .count()
            .saturating_sub(1),
        Err(_) => (3..64).filter(|n| Path::new(&format!("/dev/fd/{n}")).exists()).count(),
    }
}

#[cfg(target_os = "linux")]
fn kernel(aim: &Aim) -> Vec<Attempt> {
    use rustix::io::Errno;
    let signalled = rustix::process::Pid::from_raw(i32::try_from(aim.prober).unwrap_or(1))
        .map_or(Err(Errno::SRCH), rustix::process::test_kill_process);
    vec![
        attempt("make a user namespace", crate::linux::sys::user_namespace_is_refused()),
        attempt("set up io_uring", crate::linux::sys::io_uring_is_absent()),
        attempt("signal the supervisor", signalled.is_err()),
        attempt("take a file out of the limits of its project", crate::linux::project::is_refused()),
    ]
}
