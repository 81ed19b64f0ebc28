//! The nursery: a run of this binary that is executed once, prepares what all launches share, and then only forks. Each
//! fork is a launcher stage like any other, without the price of an exec. It passes descriptors on and never reads a policy.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::Errno;

use super::sys::{self, Cloned};
use super::{credentials, filter, stage};
use crate::note::{self, Hatch, Hatched};
use crate::spec::Role;

/// Milliseconds without a launch after which memory is given back.
const QUIET_MS: u16 = 500;

/// Runs the nursery until the supervisor closes its end.
pub(crate) fn run() -> ! {
    // A terminal's Ctrl-C is for the supervisor.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"creel-nursery");
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else { sys::leave(1) };
    if credentials::die_with_parent().and_then(|()| stage::supervisor_lives(&socket)).is_err() {
        sys::leave(1);
    }
    for role in Role::ALL {
        // A role that cannot be compiled is told by the launch that wants it.
        let _ = filter::of_role(role);
    }
    // What is left to do needs little of this binary.
    super::shed::shed();
    let mut stirred = false;
    loop {
        if stirred && is_quiet(&socket) {
            super::shed::shed();
            stirred = false;
        }
        let mut fds = match note::receive::<Hatch>(&socket, true) {
            Ok(Some((Hatch {}, fds))) => fds,
            Err(Errno::INTR) => continue,
            Ok(None) | Err(_) => sys::leave(0),
        };
        // To be born there costs nothing; to move there later costs the kernel a grace period.
        let cgroup = if fds.len() == 4 { fds.pop() } else { None };
        let fds = <[OwnedFd; 3]>::try_from(fds);
        let Ok(fds) = fds else { sys::leave(1) };
        // CLONE_PARENT: the stage is the supervisor's own child, as if the supervisor had started it.
        let mut in_cgroup = cgroup.is_some();
        let mut cloned = sys::clone(libc::CLONE_PARENT, 0, cgroup.as_ref().map(OwnedFd::as_fd));
        if in_cgroup && cloned.as_ref().is_err_and(sys::is_absent) {
            // Without clone3 nobody is born in a cgroup: the stage goes there by itself.
            in_cgroup = false;
            cloned = sys::clone(libc::CLONE_PARENT, 0, None);
        }
        let told = match cloned {
            Ok(Cloned::Child) => {
                drop(socket);
                become_stage(fds, in_cgroup)
            }
            Ok(Cloned::Parent { pid, pidfd }) => note::send(&socket, &Hatched::Stage(pid), &[pidfd.as_fd()]),
            Err(error) => note::send(&socket, &Hatched::Refused(error.raw_os_error().unwrap_or(0)), &[]),
        };
        if told.is_err() {
            sys::leave(0);
        }
        stirred = true;
    }
}

/// Whether nothing was asked for a while. Looked at once after each burst of launches: the nursery never wakes up by itself.
fn is_quiet(socket: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(QUIET_MS)) == Ok(0)
}

fn become_stage(fds: [OwnedFd; 3], in_cgroup: bool) -> ! {
    place(&fds);
    drop(fds);
    stage::run(in_cgroup)
}

fn place([link, stdout, stderr]: &[OwnedFd; 3]) {
    let placed = rustix::stdio::dup2_stdin(link)
        .and_then(|()| rustix::stdio::dup2_stdout(stdout))
        .and_then(|()| rustix::stdio::dup2_stderr(stderr));
    if placed.is_err() {
        sys::leave(1);
    }
}
