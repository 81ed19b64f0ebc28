//! When units end, and what ends with them.

use std::io::{BufRead as _, BufReader};
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio as ChildStdio};

use creel_launch::{Exit, Launching, Level, Role, Signal, Stdio};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::bench::{at, launch, run, shell, worker};

fn pidfd(pid: i32) -> OwnedFd {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    assert!(fd >= 0, "no process {pid}");
    // SAFETY: the kernel has just made this descriptor for us alone.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
}

/// True when the process ends within ten seconds.
fn ends(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap() == 1
}

/// True when nobody holds the other end after ten seconds at most.
fn closes(log: impl Into<OwnedFd>) -> bool {
    let log = log.into();
    let mut fds = [PollFd::new(log.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap() == 1
}

#[test]
fn a_unit_dies_with_its_supervisor() {
    for kind in ["tool", "worker", "l1", "nursery tool", "nursery worker", "nursery l1"] {
        let mut supervisor = Command::new(std::env::current_exe().unwrap())
            .args([crate::trial::ARG, "supervise", kind])
            .stdin(ChildStdio::piped())
            .stdout(ChildStdio::piped())
            .stderr(ChildStdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let unit = pidfd(line.trim().parse().unwrap());
        supervisor.kill().unwrap();
        supervisor.wait().unwrap();
        assert!(ends(&unit), "the {kind} unit lives on");
        assert!(closes(supervisor.stderr.take().unwrap()), "something of the {kind} unit lives on");
    }
}

#[test]
fn a_tool_at_level_1_leaves_no_scratch_folder() {
    let (_, scratch) = run(&at(Level::L1, shell("echo x > $TMPDIR/x; echo $TMPDIR")));
    assert!(scratch.starts_with("/tmp/creel-") && !std::path::Path::new(scratch.trim()).exists());
}

#[test]
fn a_unit_is_the_supervisors_own_child() {
    let running = launch(&worker(Role::Gateway, "wait")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.unit.pid)).unwrap();
    let parent = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap();
    assert_eq!(parent, std::process::id().to_string());
    assert_eq!(running.unit.try_wait().unwrap(), None);
    running.unit.signal(Signal::KILL).unwrap();
    assert_eq!(running.unit.wait().unwrap(), Exit::Signal(9));
}

#[test]
fn daemons_die_with_their_tool() {
    for level in [Level::L2, Level::L1] {
        // The daemons keep the output open: `run` returns when the last of them is gone.
        let script = "setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; echo started";
        assert_eq!(run(&at(level, shell(script))), (Exit::Code(0), "started\n".into()));
    }
}

#[test]
fn ending_a_tool_ends_all_of_it() {
    for level in [Level::L2, Level::L1] {
        let mut running =
            launch(&at(level, shell("trap '' TERM; setsid sleep 1000 & echo on; sleep 1000"))).unwrap();
        let mut line = [0; 3];
        std::io::Read::read_exact(&mut running.output, &mut line).unwrap();
        running.unit.end().unwrap();
        assert_eq!(running.finish().0.code(), 137);
    }
}

#[test]
fn the_exit_of_a_tool_is_its_programs() {
    for level in [Level::L2, Level::L1] {
        assert_eq!(run(&at(level, shell("exit 7"))).0, Exit::Code(7));
        assert_eq!(run(&at(level, shell("kill -9 $$"))).0, Exit::Code(137));
    }
}

#[test]
fn a_signal_reaches_the_program_of_a_tool() {
    for level in [Level::L2, Level::L1] {
        let mut running =
            launch(&at(level, shell("trap 'exit 42' TERM; echo on; while :; do sleep 0.01; done"))).unwrap();
        let mut line = [0; 3];
        std::io::Read::read_exact(&mut running.output, &mut line).unwrap();
        running.unit.signal(Signal::TERM).unwrap();
        assert_eq!(running.finish().0, Exit::Code(42));
    }
}

#[test]
fn a_launch_can_be_driven_by_readiness() {
    let null = || std::fs::File::options().read(true).write(true).open("/dev/null").unwrap().into();
    let mut launching =
        Launching::begin(&shell("exit 3"), Stdio { stdin: null(), stdout: null(), stderr: null() }).unwrap();
    let unit = loop {
        let mut fds = [PollFd::new(launching.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(10_000_u16)).unwrap(), 1);
        if let Some(unit) = launching.poll().unwrap() {
            break unit;
        }
    };
    assert_eq!(unit.wait().unwrap(), Exit::Code(3));
}
