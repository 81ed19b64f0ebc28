//! The system calls that no crate wraps. All of it runs in the single-threaded launcher stage.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// From the kernel's `sched.h`; too large for the type that libc gives such flags.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The result of [`clone`], once in each process.
pub(crate) enum Cloned {
    Child,
    Parent { pid: i32, pidfd: OwnedFd },
}

/// `clone3` without a stack: behaves as `fork`, in new namespaces and in the cgroup of this open folder.
pub(crate) fn clone(
    flags: libc::c_int,
    exit_signal: libc::c_int,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain integers, for which zero is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    // Through u32: CLONE_NEWNET and above must not be sign-extended.
    args.flags = u64::from((flags | libc::CLONE_PIDFD).cast_unsigned());
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = u64::from(exit_signal.cast_unsigned());
    if let Some(folder) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(folder.as_raw_fd().cast_unsigned());
    }
    // SAFETY: the struct is valid for the size given and `pidfd` outlives the call. Without CLONE_VM the child has its own
    // copy of this single-threaded process, so going on in Rust is sound.
    let mut pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    if pid == -1 && is_absent(&io::Error::last_os_error()) && cgroup.is_none() {
        // The runtime of a container may hide clone3, whose flags it cannot look into. Only the cgroup needs it.
        let flags = libc::c_long::from(flags | libc::CLONE_PIDFD | exit_signal);
        // SAFETY: as above; no stack, and `pidfd` where CLONE_PIDFD has the kernel write it. The other two are unused.
        pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, &raw mut pidfd, 0_usize, 0_usize) };
    }
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => Ok(Cloned::Parent {
            pid: i32::try_from(pid).map_err(io::Error::other)?,
            // SAFETY: the kernel has just made this descriptor for us alone.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// Whether this is the answer to a call that the kernel, or the runtime of a container, does not have.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOSYS)
}

/// Room for the stack of a process that shares our memory.
const STACK: usize = 256 << 10;

/// Runs `body` in a new process in our own memory (with descriptors of its own), while we stand still until it executes a
/// program or ends. Nothing is copied, and the two never run at once.
pub(crate) fn in_our_place(body: &mut dyn FnMut() -> isize) -> io::Result<nix::unistd::Pid> {
    let mut stack = vec![0_u8; STACK];
    let flags = nix::sched::CloneFlags::CLONE_VM | nix::sched::CloneFlags::CLONE_VFORK;
    // SAFETY: CLONE_VFORK: we go on only after the child has left this memory, so stack and closure outlive its use of
    // them, and there is never more than one running user of it.
    let child = unsafe { nix::sched::clone(Box::new(&mut *body), &mut stack, flags, Some(libc::SIGCHLD)) };
    Ok(child?)
}

/// Starts a process whose only use is its new user namespace, and which ends when the writing end of a pipe does. `end` is
/// the reading end, `other` the writing one.
pub(crate) fn hold_namespace(end: RawFd, other: RawFd) -> io::Result<i32> {
    extern "C" fn wait(pipe: *mut libc::c_void) -> libc::c_int {
        let mut byte = 0_u8;
        // SAFETY: `pipe` is the leaked pair below; the descriptors are this process's own copies; the buffer is one byte
        // of its own stack. Nothing else of the shared memory is touched (neither call fails, so not even errno).
        unsafe {
            let [end, other] = *pipe.cast::<[RawFd; 2]>();
            libc::syscall(libc::SYS_close, other);
            libc::syscall(libc::SYS_read, end, &raw mut byte, 1);
        }
        0
    }
    // Both leaked: the child uses them while we go on, and the stage is gone in a moment.
    let pipe = Box::leak(Box::new([end, other]));
    let stack = vec![0_u8; STACK].leak();
    // SAFETY: the top of a stack of our own, aligned to 16; stack and argument live as long as this memory.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(STACK);
        let top = top.sub(top.addr() % 16);
        let flags = libc::CLONE_VM | libc::CLONE_NEWUSER | libc::SIGCHLD;
        libc::clone(wait, top.cast(), flags, std::ptr::from_mut(pipe).cast())
    };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
}

/// Attributes for [`set_mount`].
#[derive(Default)]
pub(crate) struct MountChange<'a> {
    pub(crate) set: u64,
    pub(crate) private: bool,
    pub(crate) idmap: Option<BorrowedFd<'a>>,
    pub(crate) recursive: bool,
}

/// `mount_setattr` on an open mount.
pub(crate) fn set_mount(mount: BorrowedFd<'_>, change: &MountChange<'_>) -> io::Result<()> {
    // SAFETY: mount_attr is plain integers, for which zero is a valid value.
    let mut attr: libc::mount_attr = unsafe { std::mem::zeroed() };
    attr.attr_set = change.set;
    if change.private {
        attr.propagation = libc::MS_PRIVATE;
    }
    if let Some(namespace) = change.idmap {
        attr.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attr.userns_fd = u64::from(namespace.as_raw_fd().cast_unsigned());
    }
    let recursive = if change.recursive { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::AT_EMPTY_PATH | recursive;
    let path: &CStr = c"";
    // SAFETY: the descriptor is open, the path is NUL-terminated, the struct is valid for the size given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes every descriptor from `first` on, or marks it close-on-exec.
pub(crate) fn close_from(first: u32, only_on_exec: bool) -> io::Result<()> {
    let flags = if only_on_exec { libc::CLOSE_RANGE_CLOEXEC } else { 0 };
    close_range(first, u32::MAX, flags)
}

/// Closes every descriptor but the three standard ones and these.
pub(crate) fn close_all_but(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd().cast_unsigned()).collect();
    kept.sort_unstable();
    let mut from = 3;
    for fd in kept.into_iter().filter(|fd| *fd > 2) {
        if fd > from {
            close_range(from, fd - 1, 0)?;
        }
        from = fd + 1;
    }
    close_range(from, u32::MAX, 0)
}

fn close_range(first: u32, last: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: takes no pointers. Callers that really close do so in a process of their own, in which nobody uses them.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Overwrites the environment that this process was given, for one that goes on without an exec.
pub(crate) fn forget_environment() {
    unsafe extern "C" {
        static mut environ: *mut *mut libc::c_char;
    }
    // SAFETY: only a unit calls this, a copy of its launcher: one thread, and nobody in it reads the environment any more. The array
    // ends in null, and each entry is a NUL-terminated string in memory of this process that may be written.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            libc::memset((*at).cast(), 0, libc::strlen(*at));
            at = at.add(1);
        }
    }
}

/// Gives every signal its default action and unblocks all: an ignored signal would stay ignored across exec.
pub(crate) fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is a valid action; refusals (SIGKILL, SIGSTOP, the two of libc) are harmless.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
}

/// Drops every capability the running kernel knows from the bounding set.
pub(crate) fn empty_bounding_set() -> io::Result<()> {
    for capability in 0..64_i32 {
        // SAFETY: takes no pointers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            let error = io::Error::last_os_error();
            // The first number the kernel does not know ends the list.
            return if error.raw_os_error() == Some(libc::EINVAL) { Ok(()) } else { Err(error) };
        }
    }
    Ok(())
}

/// True when no capability is left in the bounding set.
pub(crate) fn bounding_set_is_empty() -> bool {
    // SAFETY: takes no pointers; -1 (unknown capability) counts as absent.
    (0..64_i32).all(|c| unsafe { libc::prctl(libc::PR_CAPBSET_READ, c, 0, 0, 0) } != 1)
}

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: ifreq is plain data, for which zero is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is a valid ifreq with a NUL-terminated name and outlives the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The Landlock ABI of the running kernel, 0 where there is none.
pub(crate) fn landlock_abi() -> i32 {
    const VERSION: u32 = 1;
    // SAFETY: a null attribute of size 0 with the version flag is the documented query.
    let abi = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0, VERSION)
    };
    i32::try_from(abi).unwrap_or(0).max(0)
}

/// True when `io_uring_setup` says that there is no such call.
pub(crate) fn io_uring_is_absent() -> bool {
    // SAFETY: with a null argument the call fails with EFAULT where it exists.
    let done = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<libc::c_void>()) };
    done < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS)
}

/// True when a new user namespace is refused. Should it be granted, this process has it.
pub(crate) fn user_namespace_is_refused() -> bool {
    // SAFETY: takes no pointers.
    unsafe { libc::unshare(libc::CLONE_NEWUSER) != 0 }
}

/// Leaves at once: no destructors, no handlers of a process we are a copy of.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: takes no pointers and does not return.
    unsafe { libc::_exit(code) }
}
