//! Programs that run inside units, or as a supervisor that gets killed.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use creel_launch::tool::{Foreground, WorkspaceAccess, run_foreground};
use creel_launch::{Launching, Level, Role, Stdio};

use crate::bench;

pub(crate) const ARG: &str = "__trial";

pub(crate) fn run_if_asked() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(ARG) {
        return;
    }
    let rest: Vec<String> = args.collect();
    let code = trial(&rest.iter().map(String::as_str).collect::<Vec<_>>());
    std::io::stdout().flush().unwrap();
    // SAFETY: takes no pointers; this process was started for the trial alone.
    unsafe { libc::_exit(code) }
}

#[expect(clippy::explicit_write, reason = "print macros are denied in this workspace")]
fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").unwrap();
}

fn trial(args: &[&str]) -> i32 {
    match args {
        ["descriptors"] => descriptors(),
        ["worker"] => worker(),
        ["seal"] => seal(),
        ["proxy", elsewhere] => proxy(elsewhere),
        ["resolve"] => {
            let found = std::net::ToSocketAddrs::to_socket_addrs("localhost:80").map(|a| a.count() > 0);
            say(&format!("resolved {found:?}"));
            0
        }
        ["panic"] => {
            creel_seal::seal().unwrap();
            panic!("a broken\ninvariant")
        }
        ["wait"] => loop {
            std::thread::sleep(Duration::from_secs(60));
        },
        ["supervise", kind] => supervise(kind),
        ["foreground", level, access, workspace, wall, command @ ..] => {
            foreground(level, access, workspace, wall, command)
        }
        ["measure"] => {
            say(&serde_json::to_string(&creel_launch::probe_levels()).unwrap());
            0
        }
        _ => 99,
    }
}

fn descriptors() -> i32 {
    // SAFETY: F_GETFD takes no pointers and changes nothing.
    let open: Vec<i32> = (3..4096).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect();
    say(&format!("open {open:?}"));
    i32::from(!open.is_empty())
}

/// What a worker may and may not do before it sealed itself.
fn worker() -> i32 {
    let mut report = String::new();
    // SAFETY: fork takes no pointers; a child leaves at once.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        // SAFETY: takes no pointers.
        unsafe { libc::_exit(0) }
    }
    let executed = exec_of("/usr/bin/true");
    // SAFETY: open_how is plain integers, for which zero (read-only) is a valid value.
    let how: libc::open_how = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated, the struct valid for the size given.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    // SAFETY: takes no pointers; the argument is PR_SET_PDEATHSIG off.
    let outlive = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
    let threads = std::thread::spawn(|| 7).join().is_ok();
    write!(
        report,
        "pid {} fork {} exec {executed} openat2 {} outlive {outlive} threads {threads}",
        std::process::id(),
        forked.min(0),
        opened.min(0)
    )
    .unwrap();
    say(&report);
    0
}

/// The errno with which the program cannot be executed. The launcher denies fork, so this process itself tries.
fn exec_of(program: &str) -> i32 {
    let path = std::ffi::CString::new(program).unwrap();
    let argv = [path.as_ptr(), std::ptr::null()];
    // SAFETY: path and argv are NUL-terminated and outlive the call.
    unsafe { libc::execv(path.as_ptr(), argv.as_ptr()) };
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

fn seal() -> i32 {
    creel_seal::seal().unwrap();
    let report = creel_seal::selftest();
    say(&report.to_string());
    i32::from(!report.sealed())
}

/// Talks through the proxy, then tries a listener of the host.
fn proxy(elsewhere: &str) -> i32 {
    let proxy = std::env::var("HTTPS_PROXY").unwrap();
    let mut stream = TcpStream::connect(proxy.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"from inside").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let outside = TcpStream::connect(elsewhere).is_ok();
    say(&format!("answer {answer} outside {outside}"));
    0
}

/// Launches a unit that never ends, says its pid, and waits to be killed.
fn supervise(kind: &str) -> i32 {
    if kind.starts_with("nursery") {
        creel_launch::open_nursery().unwrap();
    }
    let spec = match kind.trim_start_matches("nursery ") {
        "tool" => bench::shell("sleep 1000 & sleep 1000"),
        "l1" => bench::at(Level::L1, bench::shell("setsid sleep 1000 & sleep 1000")),
        _ => bench::worker(Role::Agent, "wait"),
    };
    // The unit holds our stderr: whoever reads it learns when the last of the unit is gone.
    let log = || std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned().unwrap();
    let stdin = std::fs::File::open("/dev/null").unwrap().into();
    let unit =
        Launching::begin(&spec, Stdio { stdin, stdout: log(), stderr: log() }).unwrap().wait().unwrap();
    say(&unit.pid.to_string());
    let _ = std::io::stdin().read(&mut [0]);
    0
}

fn foreground(level: &str, access: &str, workspace: &str, wall: &str, command: &[&str]) -> i32 {
    let run = Foreground {
        workspace: PathBuf::from(workspace),
        access: match access {
            "rw" => WorkspaceAccess::Rw,
            "ro" => WorkspaceAccess::Ro,
            _ => WorkspaceAccess::None,
        },
        protect_git: true,
        protect: Vec::new(),
        bytes: None,
        inodes: None,
        ro: Vec::new(),
        wall: Duration::from_millis(wall.parse().unwrap()),
        level: if level == "L1" { Level::L1 } else { Level::L2 },
        raw: true,
        command: command.iter().map(|&c| c.to_owned()).collect(),
    };
    run_foreground(&run, None).code
}
