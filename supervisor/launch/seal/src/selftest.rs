//! Tries what a unit must not be able to do, and says what happened.

use std::borrow::Cow;
use std::fmt;

use crate::promise::Promise;

/// What one attempt ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel refused with this errno.
    Denied(i32),
    /// It worked.
    Worked,
}

/// One attempt of the self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// A system call or a deed, e.g. `execve` or `open a unix socket`.
    pub call: Cow<'static, str>,
    /// What came back.
    pub outcome: Outcome,
    /// Whether that is what the process must see.
    pub as_sealed: bool,
}

impl Attempt {
    /// An attempt that must fail with one of these errnos.
    #[cfg(target_os = "linux")]
    pub(crate) fn new(
        call: impl Into<Cow<'static, str>>,
        outcome: std::io::Result<()>,
        expected: &[i32],
    ) -> Self {
        let outcome = match outcome {
            Ok(()) => Outcome::Worked,
            Err(error) => Outcome::Denied(error.raw_os_error().unwrap_or(0)),
        };
        let as_sealed = matches!(outcome, Outcome::Denied(errno) if expected.contains(&errno));
        Self { call: call.into(), outcome, as_sealed }
    }
}

/// The result of a self-test.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Every attempt, in order. Empty on systems without seccomp.
    pub attempts: Vec<Attempt>,
}

impl Report {
    /// True when every attempt was answered as it must be, and there was at least one.
    #[must_use]
    pub fn sealed(&self) -> bool {
        !self.attempts.is_empty() && self.attempts.iter().all(|a| a.as_sealed)
    }

    /// Names of what was denied, as it must be.
    #[must_use]
    pub fn denied(&self) -> Vec<String> {
        let denied = |a: &&Attempt| a.as_sealed && a.outcome != Outcome::Worked;
        self.attempts.iter().filter(denied).map(|a| a.call.clone().into_owned()).collect()
    }

    /// Names of what was not answered as it must be.
    #[must_use]
    pub fn escaped(&self) -> Vec<String> {
        let escaped = |a: &Attempt| match a.outcome {
            _ if a.as_sealed => None,
            Outcome::Worked => Some(a.call.clone().into_owned()),
            // Refused, but not by the wall that was promised.
            Outcome::Denied(errno) => Some(format!("{} (errno {errno})", a.call)),
        };
        self.attempts.iter().filter_map(escaped).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempts.is_empty() {
            return f.write_str("not sealed: this system has no seccomp");
        }
        f.write_str(if self.sealed() { "sealed:" } else { "NOT sealed:" })?;
        for a in &self.attempts {
            match a.outcome {
                Outcome::Denied(errno) => write!(f, " {} denied (errno {errno})", a.call)?,
                Outcome::Worked => write!(f, " {} WORKED", a.call)?,
            }
        }
        Ok(())
    }
}

/// Tries to fork and to execute, with arguments that do nothing should it work, and starts one thread, which must work.
#[must_use]
pub fn selftest() -> Report {
    #[cfg(target_os = "linux")]
    return Report { attempts: linux::attempts() };
    #[cfg(not(target_os = "linux"))]
    Report::default()
}

/// The whole self-test of a unit: what [`selftest`] tries, and everything that the supervisor promised of this unit's
/// sandbox. Call it after [`crate::seal()`], before the unit takes any work. Takes less than a millisecond.
#[must_use]
pub fn selftest_of_unit() -> Report {
    let mut report = selftest();
    let promise = Promise::of_process();
    #[cfg(target_os = "linux")]
    if promise.confined {
        report.attempts.extend(crate::walls::attempts(&promise));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (&mut report, promise);
    report
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::Error;

    use super::{Attempt, Outcome};

    pub(super) fn attempts() -> Vec<Attempt> {
        // A path that exists nowhere: unsealed, the answer is ENOENT and not EPERM.
        let path = c"/proc/self/no-such-program";
        let argv = [path.as_ptr(), std::ptr::null()];
        // SAFETY: path, argv and the empty environment are valid, NUL-terminated and outlive the call.
        let exec =
            unsafe { libc::syscall(libc::SYS_execve, path.as_ptr(), argv.as_ptr(), argv[1..].as_ptr()) };
        let exec = attempt("execve", exec, libc::EPERM);
        // SAFETY: as above; the directory fd is the AT_FDCWD constant.
        let execat = unsafe {
            libc::syscall(
                libc::SYS_execveat,
                libc::AT_FDCWD,
                path.as_ptr(),
                argv.as_ptr(),
                argv[1..].as_ptr(),
                0,
            )
        };
        let mut all = vec![exec, attempt("execveat", execat, libc::EPERM)];
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: fork takes no pointers; a child, should there be one, leaves at once in `process`.
            let forked = unsafe { libc::syscall(libc::SYS_fork) };
            all.push(process("fork", forked, libc::EPERM));
        }
        // SAFETY: clone without a stack and without CLONE_VM behaves as fork; the child leaves at once in `process`.
        let cloned = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        all.push(process("clone", cloned, libc::EPERM));
        // SAFETY: a null argument of size 0 is refused by the kernel (EINVAL) where the call exists.
        let cloned = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<libc::c_void>(), 0) };
        all.push(attempt("clone3", cloned, libc::ENOSYS));
        all.push(thread());
        all
    }

    fn attempt(call: &'static str, returned: libc::c_long, expected: i32) -> Attempt {
        let outcome = if returned >= 0 { Ok(()) } else { Err(Error::last_os_error()) };
        Attempt::new(call, outcome, &[expected])
    }

    fn process(call: &'static str, returned: libc::c_long, expected: i32) -> Attempt {
        let seen = attempt(call, returned, expected);
        if returned == 0 {
            // SAFETY: we are the child that should not exist; _exit takes no pointers and does not return.
            unsafe { libc::_exit(0) }
        }
        if returned > 0 {
            // SAFETY: reaps the child just made; a null status pointer is allowed.
            unsafe { libc::waitpid(libc::pid_t::try_from(returned).unwrap_or(-1), std::ptr::null_mut(), 0) };
        }
        seen
    }

    fn thread() -> Attempt {
        let joined = std::thread::Builder::new().spawn(|| ()).map(std::thread::JoinHandle::join);
        let (outcome, as_sealed) = match joined {
            Ok(_) => (Outcome::Worked, true),
            Err(e) => (Outcome::Denied(e.raw_os_error().unwrap_or(0)), false),
        };
        Attempt { call: "thread".into(), outcome, as_sealed }
    }
}
