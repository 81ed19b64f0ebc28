//! Replacing the program of this process while it keeps its pid, its children and the descriptors it lends.
//!
//! The death signal of a unit follows the thread that started it: only the main thread may become another program.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Descriptors that the program before this one lent, by number. They stay open for a further successor until this is
/// dropped.
#[derive(Debug)]
pub struct Inherited(BTreeMap<RawFd, OwnedFd>);

impl Inherited {
    /// Takes descriptors of these numbers over.
    ///
    /// # Errors
    /// When one is not open, is one of the three standard ones, or was not lent: everything that this program opens is
    /// close-on-exec, so what is not was handed through an exec and has no owner here.
    pub fn take(numbers: impl IntoIterator<Item = RawFd>) -> io::Result<Self> {
        let mut taken = BTreeMap::new();
        for number in numbers {
            if number <= libc::STDERR_FILENO || taken.contains_key(&number) {
                return Err(io::Error::other(format!("descriptor {number} cannot be taken over")));
            }
            // SAFETY: takes no pointers; a number that is not open is answered with an error.
            let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
            if flags < 0 {
                return Err(io::Error::other(format!("descriptor {number} is not open")));
            }
            if flags & libc::FD_CLOEXEC != 0 {
                return Err(io::Error::other(format!("descriptor {number} was not handed over")));
            }
            // SAFETY: it is open, and it has no owner: it came through an exec (see above), and not twice in this map.
            taken.insert(number, unsafe { OwnedFd::from_raw_fd(number) });
        }
        Ok(Self(taken))
    }

    /// A duplicate of one of them, which no further program inherits.
    ///
    /// # Errors
    /// When it was not taken over, or no descriptor is left.
    pub fn get(&self, number: RawFd) -> io::Result<OwnedFd> {
        let fd = self.0.get(&number);
        fd.ok_or_else(|| io::Error::other(format!("descriptor {number} is not among those handed over")))?
            .try_clone()
    }
}

/// Becomes another program; returns only when that fails.
///
/// # Errors
/// What the kernel says to the program.
pub fn become_program(program: BorrowedFd<'_>, args: &[CString], env: &[CString]) -> io::Result<Infallible> {
    Ok(nix::unistd::fexecve(program, args, env)?)
}

/// Asks the kernel for SIGALRM in so many seconds, also after an exec; 0 takes it back. Without [`fall_back_on_alarm`]
/// that is the end of the process.
pub fn alarm(seconds: u32) {
    // SAFETY: takes no pointers.
    unsafe { libc::alarm(seconds) };
}

/// Keeps SIGTERM, SIGINT, SIGHUP and the stops of a terminal waiting, also across an exec, until [`release_signals`]:
/// without their handlers they would end or stop the process.
///
/// # Errors
/// None is known.
pub fn hold_signals() -> io::Result<()> {
    Ok(held().thread_block()?)
}

/// Lets the held signals through.
///
/// # Errors
/// None is known.
pub fn release_signals() -> io::Result<()> {
    Ok(held().thread_unblock()?)
}

fn held() -> SigSet {
    let stops = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().chain(stops).collect()
}

/// Shows the process under its usual name; after an exec by descriptor it bears a number.
pub fn take_name(name: &CStr) {
    let _cosmetic = nix::sys::prctl::set_name(name);
}

/// The program to go back to, in the form that a signal handler can use.
struct Fallback {
    program: RawFd,
    args: Vec<*const c_char>,
    env: Vec<*const c_char>,
}

static FALLBACK: AtomicPtr<Fallback> = AtomicPtr::new(ptr::null_mut());

/// From now on SIGALRM makes this process become `program`, whatever it hangs in.
///
/// # Errors
/// When the handler cannot be installed.
pub fn fall_back_on_alarm(program: RawFd, args: Vec<CString>, env: Vec<CString>) -> io::Result<()> {
    let leak = |texts: Vec<CString>| {
        let texts = texts.into_iter().map(|text| text.into_raw().cast_const());
        texts.chain([ptr::null()]).collect()
    };
    let fallback = Fallback { program, args: leak(args), env: leak(env) };
    // Once in the life of a program, and needed until its end.
    FALLBACK.store(Box::into_raw(Box::new(fallback)), Ordering::Release);
    // The handler does not return, so its signal must not stay blocked in the program that follows.
    let flags = SaFlags::SA_NODEFER;
    let action = SigAction::new(SigHandler::Handler(on_alarm), flags, SigSet::empty());
    // SAFETY: the handler does nothing but two system calls on memory that is never freed.
    unsafe { sigaction(Signal::SIGALRM, &action) }?;
    Ok(())
}

extern "C" fn on_alarm(_signal: i32) {
    let fallback = FALLBACK.load(Ordering::Acquire);
    if !fallback.is_null() {
        // SAFETY: the pointer comes from Box::into_raw and is never freed; both arrays end in null and point to strings
        // that are never freed; the path is NUL-terminated; execveat is a plain system call.
        unsafe {
            let fallback = &*fallback;
            libc::syscall(
                libc::SYS_execveat,
                fallback.program,
                c"".as_ptr(),
                fallback.args.as_ptr(),
                fallback.env.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
        }
    }
    // SAFETY: ends the process without running anything; that is what SIGALRM means without a handler.
    unsafe { libc::_exit(128 + libc::SIGALRM) };
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn only_what_was_lent_can_be_taken_and_only_once() {
        let (own, other) = std::io::pipe().unwrap();
        assert!(Inherited::take([own.as_raw_fd()]).unwrap_err().to_string().contains("not handed over"));
        assert!(Inherited::take([1]).is_err());
        let lent = rustix::io::dup(&other).unwrap();
        let number = std::os::fd::IntoRawFd::into_raw_fd(lent);
        let inherited = Inherited::take([number]).unwrap();
        let again = inherited.get(number).unwrap();
        assert!(rustix::io::fcntl_getfd(&again).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert!(inherited.get(own.as_raw_fd()).is_err());
        drop(inherited);
        assert!(Inherited::take([number]).is_err());
    }
}
