//! What the probes try from the inside, but for the limits. Each is harmless should it work.

use std::fs::{self, File};
use std::io::{self, Error};
use std::os::unix::net::UnixStream;
use std::path::Path;

use libc::{c_int, c_long, c_void};

use super::{Aim, Probe, allowed, forbidden};

const SECCOMP: &str = "seccomp";

pub(super) fn all(aim: &Aim) -> Vec<Probe> {
    let mut all = files(aim);
    all.extend(network(aim));
    all.extend(processes(aim));
    all.extend(kernel());
    all.extend(privileges());
    all.extend(work(aim));
    all
}

fn files(aim: &Aim) -> Vec<Probe> {
    let views = if aim.namespaces { "private root" } else { "Landlock" };
    let (secret, workspace) = (Path::new(&aim.secret), Path::new(&aim.workspace));
    let beside = secret.with_file_name("written");
    let file = |deed: &str, wall: &str, outcome| forbidden("files", deed, wall, outcome);
    let link = workspace.join("link");
    let through = std::os::unix::fs::symlink(secret, &link).and_then(|()| File::open(&link)).map(drop);
    let mut all = vec![
        file("read a file outside the workspace", views, File::open(secret).map(drop)),
        file("write a file outside", views, File::options().write(true).open(secret).map(drop)),
        file("create a file outside", views, File::create(beside).map(drop)),
        file("list a folder outside", views, fs::read_dir(secret.with_file_name("")).map(drop)),
        file("read it through a link in the workspace", views, through),
        file("link it into the workspace", views, fs::hard_link(secret, workspace.join("hard"))),
        file("write to /usr", "read-only", system_folder()),
        file("read /etc/shadow", views, File::open("/etc/shadow").map(drop)),
        file("make a device in the workspace", SECCOMP, device(workspace)),
        file("make a set-id file", SECCOMP, set_id(workspace)),
    ];
    if aim.namespaces {
        let hook = workspace.join(".git/hooks/pre-commit");
        all.push(file("plant a git hook", "read-only .git", File::create(hook).map(drop)));
        let moved = fs::rename(workspace.join(".git"), workspace.join(".got"));
        all.push(file("move .git away", "mount of .git", moved));
    }
    all
}

fn system_folder() -> io::Result<()> {
    let path = "/usr/.creel-test";
    File::create_new(path)?;
    fs::remove_file(path)
}

fn device(workspace: &Path) -> io::Result<()> {
    let path = c_path(&workspace.join("null"))?;
    // SAFETY: the path is NUL-terminated.
    of(unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 3)) }.into())
}

fn set_id(workspace: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = workspace.join("set-id");
    fs::write(&path, "")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4755))
}

fn network(aim: &Aim) -> Vec<Probe> {
    let wall = if aim.namespaces { "network namespace" } else { SECCOMP };
    let net = |deed: &str, wall: &str, outcome| forbidden("network", deed, wall, outcome);
    let loopback = ([127, 0, 0, 1], aim.port).into();
    let tcp = std::net::TcpStream::connect_timeout(&loopback, std::time::Duration::from_secs(1));
    let datagram = || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
        socket.send_to(b"\0", "192.0.2.1:53").map(drop)
    };
    let outside = ([192, 0, 2, 1], 443).into();
    let outside = std::net::TcpStream::connect_timeout(&outside, std::time::Duration::from_secs(1));
    let socket = |family, kind| {
        // SAFETY: takes no pointers. The descriptor ends with this process.
        of(unsafe { libc::socket(family, kind, 0) }.into())
    };
    vec![
        net("connect to a port of the host", wall, tcp.map(drop)),
        net("connect to the outside", wall, outside.map(drop)),
        net("ask a name server (UDP)", wall, datagram()),
        net(
            "connect to a unix socket of the host",
            if aim.namespaces { "private root" } else { SECCOMP },
            UnixStream::connect(&aim.socket).map(drop),
        ),
        net("open a raw socket", SECCOMP, socket(libc::AF_INET, libc::SOCK_RAW)),
        net("open a packet socket", SECCOMP, socket(libc::AF_PACKET, libc::SOCK_RAW)),
        net("open a netlink socket", SECCOMP, socket(libc::AF_NETLINK, libc::SOCK_RAW)),
        net("open a vsock socket", SECCOMP, socket(libc::AF_VSOCK, libc::SOCK_STREAM)),
    ]
}

fn processes(aim: &Aim) -> Vec<Probe> {
    let other = aim.prober;
    let wall = if aim.namespaces { "pid namespace" } else { "Landlock" };
    let deed = |deed: &str, wall: &str, outcome| forbidden("processes", deed, wall, outcome);
    let null = std::ptr::null::<c_void>();
    // SAFETY: no pointers but null with lengths of zero; signal 0 only asks.
    let (traced, read) = unsafe {
        (
            of(libc::syscall(libc::SYS_ptrace, libc::PTRACE_SEIZE, other, null, null)),
            of(libc::syscall(libc::SYS_process_vm_readv, other, null, 0, null, 0, 0)),
        )
    };
    let mut all = vec![
        deed(
            "read the environment of a process",
            wall,
            File::open(format!("/proc/{other}/environ")).map(drop),
        ),
        deed("trace a process (ptrace)", SECCOMP, traced),
        deed("read the memory of a process", SECCOMP, read),
    ];
    if aim.namespaces || aim.landlock >= 6 {
        // SAFETY: takes no pointers.
        let signalled = of(unsafe { libc::kill(other, 0) }.into());
        all.push(deed("signal a process", wall, signalled));
    }
    all
}

/// Calls with arguments that do nothing, or fail in another way, where they are not denied: what counts is the errno.
fn kernel() -> Vec<Probe> {
    let null = std::ptr::null::<c_void>();
    let path = c"/proc/self/none".as_ptr();
    // SAFETY: each pointer is null or NUL-terminated and outlives the calls; the kernel checks them.
    let calls = unsafe {
        [
            ("mount", of(libc::syscall(libc::SYS_mount, null, path, null, 0, null))),
            ("umount2", of(libc::syscall(libc::SYS_umount2, path, 0))),
            ("pivot_root", of(libc::syscall(libc::SYS_pivot_root, path, path))),
            ("chroot", of(libc::syscall(libc::SYS_chroot, path))),
            ("unshare (user namespace)", of(libc::syscall(libc::SYS_unshare, -1))),
            ("setns", of(libc::syscall(libc::SYS_setns, -1, 0))),
            ("bpf", of(libc::syscall(libc::SYS_bpf, -1, null, 0))),
            ("perf_event_open", of(libc::syscall(libc::SYS_perf_event_open, null, 0, -1, -1, 0))),
            ("keyctl", of(libc::syscall(libc::SYS_keyctl, -1, 0, 0))),
            ("userfaultfd", of(libc::syscall(libc::SYS_userfaultfd, -1))),
            ("open_by_handle_at", of(libc::syscall(libc::SYS_open_by_handle_at, -1, null, 0))),
            ("init_module", of(libc::syscall(libc::SYS_init_module, null, 0, path))),
            ("kexec_load", of(libc::syscall(libc::SYS_kexec_load, 0, 0, null, -1))),
            ("reboot", of(libc::syscall(libc::SYS_reboot, 0, 0, 0, null))),
            ("settimeofday", of(libc::syscall(libc::SYS_settimeofday, null, null))),
            ("sethostname", of(libc::syscall(libc::SYS_sethostname, null, -1))),
            ("syslog", of(libc::syscall(libc::SYS_syslog, -1, null, 0))),
            ("personality", of(libc::syscall(libc::SYS_personality, libc::ADDR_NO_RANDOMIZE))),
            ("ioctl TIOCSTI", of(libc::syscall(libc::SYS_ioctl, -1, libc::TIOCSTI, null))),
            ("io_uring_setup", of(libc::syscall(libc::SYS_io_uring_setup, 0, null))),
        ]
    };
    let seccomp = |(call, outcome): (&str, io::Result<()>)| {
        let expected = if call == "io_uring_setup" { libc::ENOSYS } else { libc::EPERM };
        let errno = outcome.as_ref().err().and_then(Error::raw_os_error);
        // Refused for its arguments is not refused by the wall.
        let outcome = if errno == Some(expected) { outcome } else { Ok(()) };
        forbidden("kernel", call, SECCOMP, outcome)
    };
    calls.into_iter().map(seccomp).collect()
}

fn privileges() -> Vec<Probe> {
    // By calls: level 1 shows no /proc.
    let capable = rustix::thread::capabilities(None).is_ok_and(|sets| !sets.effective.is_empty());
    let may_gain = !rustix::thread::no_new_privs().unwrap_or(false);
    let kept = |kept: bool| if kept { Ok(()) } else { Err(Error::from_raw_os_error(libc::EPERM)) };
    let own = |deed: &str, wall: &str, is: bool| forbidden("privileges", deed, wall, kept(is));
    // SAFETY: takes no pointers.
    let uid = unsafe { libc::geteuid() };
    // SAFETY: F_GETFD takes no pointers and changes nothing.
    let inherited = (3..1024).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).count();
    let environment = std::env::vars_os().any(|(name, _)| name != "HOME" && name != "TMPDIR");
    let core = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
    vec![
        own("be root", "uid", uid == 0),
        own("hold capabilities", "capset", capable),
        own("gain privileges by exec", "no_new_privs", may_gain),
        own("inherit open files", "close_range", inherited > 0),
        own("see the environment of the host", "allow-list", environment),
        own("dump core", "rlimit", core != Some(0)),
    ]
}

fn work(aim: &Aim) -> Vec<Probe> {
    let written = Path::new(&aim.workspace).join("made");
    let temporary = std::env::temp_dir().join("made");
    let thread = std::thread::Builder::new().spawn(|| ()).map(drop);
    let run = std::process::Command::new("/bin/sh").args(["-c", "exit 0"]).status();
    let run = run.and_then(|status| if status.success() { Ok(()) } else { Err(io::ErrorKind::Other.into()) });
    vec![
        allowed("write in the workspace", fs::write(written, "x")),
        allowed("write in the temporary folder", fs::write(temporary, "x")),
        allowed("read /usr", fs::read_dir("/usr/bin").map(drop)),
        allowed("run a program", run),
        allowed("start a thread", thread),
    ]
}

fn c_path(path: &Path) -> io::Result<std::ffi::CString> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(std::ffi::CString::new(path.as_os_str().as_bytes())?)
}

/// The errno of the call that was just made.
fn of(returned: c_long) -> io::Result<()> {
    const FINE: c_int = 0;
    if returned >= c_long::from(FINE) { Ok(()) } else { Err(Error::last_os_error()) }
}
