//! Sockets that a service manager keeps: a datagram socket that takes `FDSTORE=1` as systemd's does, and hands back what it
//! was given to the next supervisor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::home::{Home, SOON};

/// The service manager.
struct Manager {
    socket: UnixDatagram,
    kept: BTreeMap<String, OwnedFd>,
    /// Names that it was told to forget.
    forgotten: Vec<String>,
}

impl Manager {
    /// Listens in a home, whose supervisor knows of it from now on.
    fn of(home: &mut Home) -> Self {
        let socket = UnixDatagram::bind(home.path("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        let manager = Self { socket, kept: BTreeMap::new(), forgotten: Vec::new() };
        home.prefix = vec!["/usr/bin/env".to_owned(), manager.variable(home)];
        manager
    }

    fn variable(&self, home: &Home) -> String {
        format!("NOTIFY_SOCKET={}", home.path("notify").display())
    }

    /// Takes whatever was told until now.
    fn hear(&mut self) {
        let mut text = [0; 4096];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut slices = [IoSliceMut::new(&mut text)];
            let Ok(read) = recvmsg(&self.socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) else {
                return;
            };
            let rights = control.drain().filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            });
            let mut fds: Vec<OwnedFd> = rights.flatten().collect();
            let told = String::from_utf8(text[..read.bytes].to_vec()).unwrap();
            let name =
                told.lines().find_map(|line| line.strip_prefix("FDNAME=")).unwrap_or("stored").to_owned();
            if told.contains("FDSTOREREMOVE=1\n") {
                self.kept.remove(&name);
                self.forgotten.push(name);
            } else if told.contains("FDSTORE=1\n") {
                self.kept.insert(name, fds.remove(0));
            }
            assert!(fds.is_empty(), "{told} came with descriptors");
        }
    }

    /// Starts the supervisor with these descriptors, as systemd does.
    fn start(&self, home: &mut Home, given: &[(&str, &OwnedFd)]) {
        // Through a shell, which puts them where they belong; it may inherit these duplicates.
        let lent: Vec<OwnedFd> = given.iter().map(|(_, fd)| fd.try_clone().unwrap()).collect();
        let mut script = String::new();
        for (number, fd) in lent.iter().enumerate() {
            fcntl_setfd(fd, FdFlags::empty()).unwrap();
            // Out of the way first.
            script += &format!("exec {0}<&{1} {1}<&-; ", number + 100, fd.as_raw_fd());
        }
        for number in 0..lent.len() {
            script += &format!("exec {}<&{1} {1}<&-; ", number + 3, number + 100);
        }
        let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
        let (count, names) = (lent.len(), names.join(":"));
        script += &format!("export LISTEN_FDS={count} LISTEN_FDNAMES={names} LISTEN_PID=$$; exec \"$@\"");
        let words = ["/usr/bin/env", &self.variable(home), "/bin/bash", "-c", &script, "bash"];
        home.prefix = words.map(str::to_owned).to_vec();
        home.start();
    }
}

/// The sockets of a process, by inode.
fn sockets(pid: u32) -> Vec<u64> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let links = open.filter_map(|fd| std::fs::read_link(fd.path()).ok()?.into_os_string().into_string().ok());
    links.filter_map(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect()
}

fn inode(fd: &OwnedFd) -> u64 {
    File::from(fd.try_clone().unwrap()).metadata().unwrap().ino()
}

fn environment(pid: u32) -> String {
    let text = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    String::from_utf8_lossy(&text).replace('\0', "\n")
}

fn answer(stream: impl std::io::Read) -> Value {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

#[test]
fn nobody_is_refused_while_no_supervisor_runs() {
    let mut home = Home::new("{gateway: {port: PORT}}");
    let mut manager = Manager::of(&mut home);
    home.start();
    home.wait_state("gateway", "running");
    manager.hear();
    assert_eq!(manager.kept.len(), 2, "{:?}", manager.kept);
    let control = manager.kept.keys().find(|name| name.starts_with("control-")).unwrap().clone();
    let before = home.pids();
    home.signal(Signal::KILL);
    home.wait_exit();
    home.wait_gone(before.values().copied());

    // Nothing of Creel runs, and both are let in to wait.
    let mut web = TcpStream::connect(("127.0.0.1", home.port)).unwrap();
    web.set_read_timeout(Some(SOON)).unwrap();
    writeln!(web, "{}", json!({"method": "units.status", "params": {}})).unwrap();
    let mut local = UnixStream::connect(home.path("run/control.sock")).unwrap();
    local.set_read_timeout(Some(SOON)).unwrap();
    writeln!(local, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "units.status", "params": {}}))
        .unwrap();

    let given = [("gateway", &manager.kept["gateway"]), (control.as_str(), &manager.kept[&control])];
    manager.start(&mut home, &given);
    home.wait_state("gateway", "running");
    home.wait_state("agent:main", "running");
    assert_eq!(answer(&local)["result"]["supervisorPid"], home.pid());
    assert_eq!(answer(&web)["supervisorPid"], home.pid());
    // It is the same socket, it is not stored a second time, and nobody else has it or has heard of it.
    let port = inode(&manager.kept["gateway"]);
    manager.hear();
    assert_eq!((inode(&manager.kept["gateway"]), manager.forgotten.contains(&control)), (port, false));
    assert!(sockets(home.pid()).contains(&port) && sockets(home.unit_pid("gateway")).contains(&port));
    for unit in ["egress", "agent:main"] {
        let pid = home.unit_pid(unit);
        let held = sockets(pid);
        assert!(!held.contains(&port) && !held.contains(&inode(&manager.kept[&control])), "{unit}: {held:?}");
        assert!(!environment(pid).contains("LISTEN_"), "{unit}: {}", environment(pid));
    }

    // Another port is kept in its place.
    let old = home.port;
    home.port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    home.configure("{gateway: {port: PORT}}");
    home.control("config.reload", json!({})).unwrap();
    manager.hear();
    let moved = TcpListener::from(manager.kept["gateway"].try_clone().unwrap());
    assert_eq!(moved.local_addr().unwrap().port(), home.port);
    home.until("the end of the old port", |_| TcpStream::connect(("127.0.0.1", old)).is_err().then_some(()));

    // A program that takes over is told nothing of descriptors that have other numbers by now.
    assert!(environment(home.pid()).contains("LISTEN_FDS=2\n"));
    home.control("control.upgrade", json!({"noRoll": true})).unwrap();
    home.until("the end of the upgrade", |home| {
        let state = home.control("control.upgradeStatus", json!({})).ok()?;
        (state["phase"] == "done").then_some(())
    });
    assert!(!environment(home.pid()).contains("LISTEN_"), "{}", environment(home.pid()));
}

#[test]
fn what_is_not_the_configured_socket_is_closed_and_forgotten() {
    let mut home = Home::new("{gateway: {port: PORT}}");
    let mut manager = Manager::of(&mut home);
    let other = OwnedFd::from(TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let file = OwnedFd::from(File::open("/dev/null").unwrap());
    let (alien, _peer) = UnixStream::pair().unwrap();
    let alien = OwnedFd::from(alien);
    manager.start(&mut home, &[("gateway", &other), ("control-1-2", &file), ("alien", &alien)]);
    home.wait_state("gateway", "running");
    manager.hear();
    for name in ["gateway", "control-1-2", "alien"] {
        assert!(manager.forgotten.iter().any(|told| told == name), "{name}: {:?}", manager.forgotten);
    }
    let held = sockets(home.pid());
    assert!(!held.contains(&inode(&other)) && !held.contains(&inode(&alien)), "{held:?}");
    let kept = TcpListener::from(manager.kept["gateway"].as_fd().try_clone_to_owned().unwrap());
    assert_eq!(kept.local_addr().unwrap().port(), home.port);
    home.wait_log("supervisor", "\"alien\" is of no use and is closed");
}
