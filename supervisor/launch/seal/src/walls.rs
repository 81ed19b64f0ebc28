//! Attempts to get past the launcher's walls, made by the unit itself right after it sealed itself. Each is harmless
//! should it work, and all of them together take less than a millisecond.

use std::fs::{self, File};
use std::io::{self, Error};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use libc::{c_int, c_long, c_void};

use crate::promise::Promise;
use crate::selftest::Attempt;

/// What the walls answer: not there, not yours, read-only.
const HIDDEN: &[i32] = &[libc::ENOENT, libc::EACCES, libc::EPERM];
const UNWRITABLE: &[i32] = &[libc::EROFS, libc::EACCES, libc::EPERM, libc::ENOENT];
/// Landlock or seccomp, or a network in which there is nobody.
const UNREACHED: &[i32] = &[libc::EACCES, libc::EPERM, libc::ECONNREFUSED, libc::ENETUNREACH];
const REFUSED: &[i32] = &[libc::EPERM];

/// An address of no machine (RFC 5737).
const NOWHERE: [u8; 4] = [192, 0, 2, 1];
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
/// How long a connection that is under way may take to be refused.
const PATIENCE_MS: c_int = 500;

pub(crate) fn attempts(promise: &Promise) -> Vec<Attempt> {
    let mut all = Vec::with_capacity(32);
    files(promise, &mut all);
    network(promise, &mut all);
    if let Some(supervisor) = promise.supervisor {
        processes(supervisor, promise.namespaces, &mut all);
    }
    kernel(&mut all);
    privileges(&mut all);
    all
}

fn files(promise: &Promise, all: &mut Vec<Attempt>) {
    for path in &promise.outside {
        let opened = if path.is_dir() { fs::read_dir(path).map(drop) } else { File::open(path).map(drop) };
        all.push(Attempt::new(format!("read {}", path.display()), opened, HIDDEN));
    }
    let target = "/usr/.creel-selftest";
    let written = File::options().write(true).create_new(true).open(target);
    if written.is_ok() {
        let _ = fs::remove_file(target);
    }
    all.push(Attempt::new("write to /usr", written.map(drop), UNWRITABLE));
    // The path does not exist: only the mode can be what is refused.
    // SAFETY: the path is NUL-terminated.
    let set_id = unsafe { libc::chmod(c"/proc/self/none".as_ptr(), 0o4755) };
    all.push(Attempt::new("make a set-id file", of(set_id.into()), REFUSED));
}

fn network(promise: &Promise, all: &mut Vec<Attempt>) {
    if !promise.host_network {
        if let Some(port) = promise.port {
            let outcome = connect(LOOPBACK, port, libc::SOCK_STREAM);
            all.push(Attempt::new("connect to the gateway's port", outcome, UNREACHED));
        }
        let outcome = connect(NOWHERE, 443, libc::SOCK_STREAM);
        all.push(Attempt::new("connect to the outside", outcome, UNREACHED));
        let outcome = connect(NOWHERE, 53, libc::SOCK_DGRAM);
        all.push(Attempt::new("send a datagram to the outside", outcome, UNREACHED));
    }
    for (name, family, kind) in [
        ("open a unix socket", libc::AF_UNIX, libc::SOCK_STREAM),
        ("open a raw socket", libc::AF_INET, libc::SOCK_RAW),
        ("open a packet socket", libc::AF_PACKET, libc::SOCK_RAW),
        ("open a netlink socket", libc::AF_NETLINK, libc::SOCK_RAW),
    ] {
        all.push(Attempt::new(name, socket(family, kind).map(drop), REFUSED));
    }
}

fn socket(family: c_int, kind: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
    of(fd.into())?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Connects; for datagrams that only asks for a route. `Ok` also when an answer does not come in time: a packet left.
fn connect(address: [u8; 4], port: u16, kind: c_int) -> io::Result<()> {
    let socket = socket(libc::AF_INET, kind)?;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address) },
        sin_zero: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
    // SAFETY: the address is a valid sockaddr_in of the length given.
    let connected = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) };
    match of(connected.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => return other,
    }
    let mut polled = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let (mut error, mut size): (c_int, _) = (0, libc::socklen_t::try_from(size_of::<c_int>()).unwrap_or(0));
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&raw mut polled, 1, PATIENCE_MS) };
    // SAFETY: the value and its size are valid for writing and of the option's type.
    unsafe {
        let value = (&raw mut error).cast::<c_void>();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, value, &raw mut size)
    };
    if error == 0 { Ok(()) } else { Err(Error::from_raw_os_error(error)) }
}

fn processes(supervisor: i32, namespaces: bool, all: &mut Vec<Attempt>) {
    // In a process namespace the same number may be one of our own threads.
    if Path::new(&format!("/proc/self/task/{supervisor}")).exists() {
        return;
    }
    if namespaces || landlock_abi() >= 6 {
        // SAFETY: takes no pointers; signal 0 only asks.
        let signalled = unsafe { libc::kill(supervisor, 0) };
        all.push(Attempt::new("signal the supervisor", of(signalled.into()), &[libc::ESRCH, libc::EPERM]));
    }
    let environ = File::open(format!("/proc/{supervisor}/environ"));
    all.push(Attempt::new("read the supervisor's environment", environ.map(drop), HIDDEN));
    let null = std::ptr::null::<c_void>();
    // SAFETY: PTRACE_SEIZE takes no pointers here.
    let traced = unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_SEIZE, supervisor, null, null) };
    all.push(Attempt::new("ptrace the supervisor", of(traced), REFUSED));
    // SAFETY: null pointers with lengths of zero.
    let read = unsafe { libc::syscall(libc::SYS_process_vm_readv, supervisor, null, 0, null, 0, 0) };
    all.push(Attempt::new("read the supervisor's memory", of(read), REFUSED));
}

/// Calls with arguments that do nothing, or fail in another way, where they are not denied.
fn kernel(all: &mut Vec<Attempt>) {
    let null = std::ptr::null::<c_void>();
    let path = c"/proc/self/none".as_ptr();
    // SAFETY: each pointer is null or NUL-terminated and outlives the calls; the kernel checks them.
    let calls = unsafe {
        [
            ("mount", of(libc::syscall(libc::SYS_mount, null, path, null, 0, null))),
            ("unshare", of(libc::syscall(libc::SYS_unshare, -1))),
            ("setns", of(libc::syscall(libc::SYS_setns, -1, 0))),
            ("chroot", of(libc::syscall(libc::SYS_chroot, path))),
            ("bpf", of(libc::syscall(libc::SYS_bpf, -1, null, 0))),
            ("perf_event_open", of(libc::syscall(libc::SYS_perf_event_open, null, 0, -1, -1, 0))),
            ("keyctl", of(libc::syscall(libc::SYS_keyctl, -1, 0, 0))),
            ("userfaultfd", of(libc::syscall(libc::SYS_userfaultfd, -1))),
            ("open_by_handle_at", of(libc::syscall(libc::SYS_open_by_handle_at, -1, null, 0))),
            ("init_module", of(libc::syscall(libc::SYS_init_module, null, 0, path))),
            ("ioctl TIOCSTI", of(libc::syscall(libc::SYS_ioctl, -1, libc::TIOCSTI, null))),
        ]
    };
    all.extend(calls.map(|(call, outcome)| Attempt::new(call, outcome, REFUSED)));
    // SAFETY: as above.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 0, null) };
    all.push(Attempt::new("io_uring_setup", of(ring), &[libc::ENOSYS]));
}

/// What a unit must not have kept.
fn privileges(all: &mut Vec<Attempt>) {
    // SAFETY: takes no pointers.
    let no_new_privs = unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } == 1;
    // SAFETY: takes no pointers.
    let uid = unsafe { libc::geteuid() };
    let mut core = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: the struct is valid for writing.
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut core) };
    for (name, kept) in [
        ("gain privileges by exec", !no_new_privs),
        ("hold capabilities", !capabilities_are_gone()),
        ("be root", uid == 0),
        ("dump core", core.rlim_max > 0),
    ] {
        let outcome = if kept { Ok(()) } else { Err(Error::from_raw_os_error(libc::EPERM)) };
        all.push(Attempt::new(name, outcome, REFUSED));
    }
}

fn capabilities_are_gone() -> bool {
    /// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
    const VERSION: u32 = 0x2008_0522;
    let mut header = [VERSION, 0];
    let mut sets = [u32::MAX; 6];
    // SAFETY: header and sets have the sizes of version 3; process 0 is ourselves.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) };
    got == 0 && sets == [0; 6]
}

fn landlock_abi() -> c_long {
    /// `LANDLOCK_CREATE_RULESET_VERSION`.
    const VERSION: c_int = 1;
    // SAFETY: with this flag the call takes no attribute and makes nothing.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<c_void>(), 0, VERSION) }
}

/// The errno of the call that was just made.
fn of(returned: c_long) -> io::Result<()> {
    if returned >= 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
