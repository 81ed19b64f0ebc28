//! Listening sockets that systemd keeps while no supervisor runs, so that after a crash nobody who connects is refused:
//! the kernel lets them wait until the next supervisor accepts.
//!
//! Out go `FDSTORE=1` messages with a name for each socket. In come descriptors by `LISTEN_FDS`, of which a socket is used
//! only if it is just what the configuration asks for; all others are closed and forgotten.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use creel_config::Env;
use creel_launch::succession::Inherited;
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketAddrUnix, SocketType, getsockname, sockopt};
use sd_notify::NotifyState;

/// The variables that speak of descriptors, for this process alone.
pub const VARIABLES: [&str; 4] = ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID"];

/// The number of the first descriptor.
const FIRST: RawFd = 3;
/// More than the unit lets systemd keep.
const MOST: RawFd = 256;
/// The gateway's port.
const PORT: &str = "gateway";
/// The control socket; the identity of its file follows, for the path alone does not tell whether it is still the same.
const CONTROL: &str = "control-";

/// What was kept, until it is used or dropped and so closed.
#[derive(Debug, Default)]
pub struct Stored {
    sockets: Vec<(String, OwnedFd)>,
}

impl Stored {
    /// Takes over what systemd kept for this process, which is nothing without `LISTEN_FDS`. To be called once, before
    /// anything else is started.
    pub fn take(env: &Env) -> Self {
        let of = |name: &str| env.get(name).map(String::as_str);
        if of("LISTEN_PID").and_then(|pid| pid.parse().ok()) != Some(std::process::id()) {
            return Self::default();
        }
        let count: RawFd = of("LISTEN_FDS").and_then(|count| count.parse().ok()).unwrap_or(0);
        let mut names = of("LISTEN_FDNAMES").unwrap_or_default().split(':');
        let mut stored = Self::default();
        for number in FIRST..FIRST.saturating_add(count.clamp(0, MOST)) {
            let name = names.next().unwrap_or_default().to_owned();
            // Not all at once: one that is not there costs only itself.
            match Inherited::take([number]).and_then(|taken| taken.get(number)) {
                Ok(fd) => stored.sockets.push((name, fd)),
                Err(_not_there) => forget(&name),
            }
        }
        stored
    }

    /// The port, if it was kept and is this one.
    pub fn port(&mut self, address: SocketAddr) -> Option<TcpListener> {
        self.pick(|name| name == PORT, |_, fd| is_port(fd, address)).map(TcpListener::from)
    }

    /// The control socket, if it was kept and its file is still there.
    pub fn control(&mut self, path: &Path) -> Option<OwnedFd> {
        self.pick(|name| name.starts_with(CONTROL), |name, fd| is_control(name, fd, path))
    }

    /// Closes whatever was not asked for, and has systemd close it too.
    pub fn close_others(&mut self) {
        for (name, _closed) in self.sockets.drain(..) {
            tracing::warn!("What was kept for Creel under the name {name:?} is of no use and is closed.");
            forget(&name);
        }
    }

    /// The first of these names that fits; the others of these names are closed and forgotten, before a new one is kept
    /// in their place.
    fn pick(
        &mut self,
        is_named: impl Fn(&str) -> bool,
        fits: impl Fn(&str, &OwnedFd) -> Result<(), String>,
    ) -> Option<OwnedFd> {
        let (named, others) = self.sockets.drain(..).partition(|(name, _)| is_named(name));
        self.sockets = others;
        let (mut picked, mut unfit): (Option<(String, OwnedFd)>, BTreeSet<String>) = Default::default();
        for (name, fd) in named {
            match fits(&name, &fd) {
                Ok(()) if picked.is_none() => picked = Some((name, fd)),
                outcome => {
                    let why = outcome.err().unwrap_or_else(|| "there is another one".to_owned());
                    tracing::info!("The socket {name:?} that was kept is closed: {why}.");
                    unfit.insert(name);
                }
            }
        }
        for name in &unfit {
            forget(name);
        }
        let (name, fd) = picked?;
        if unfit.contains(&name) {
            keep(&name, &fd);
        }
        tracing::info!("The socket {name:?} was kept: nobody was refused in the meantime.");
        Some(fd)
    }
}

/// Whether it listens on this address.
fn is_port(fd: &OwnedFd, address: SocketAddr) -> Result<(), String> {
    match SocketAddr::try_from(listens(fd)?) {
        Ok(bound) if bound == address => Ok(()),
        Ok(bound) => Err(format!("it is bound to {bound}, not to {address}")),
        Err(_other) => Err("it is of another family of addresses".to_owned()),
    }
}

/// Whether it listens on this path, and the file there is the one that it made.
fn is_control(name: &str, fd: &OwnedFd, path: &Path) -> Result<(), String> {
    let bound = SocketAddrUnix::try_from(listens(fd)?).ok();
    if bound.as_ref().and_then(|bound| bound.path_bytes()) != Some(path.as_os_str().as_encoded_bytes()) {
        return Err(format!("it is not bound to {}", path.display()));
    }
    let found = std::fs::symlink_metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("{} is somebody else's", path.display()));
    }
    match control_name((found.dev(), found.ino())) == name {
        true => Ok(()),
        false => Err(format!("{} is another file by now", path.display())),
    }
}

/// The address of a socket that listens for connections.
fn listens(fd: &OwnedFd) -> Result<SocketAddrAny, String> {
    let told = |error: Errno| match error {
        Errno::NOTSOCK => "it is no socket".to_owned(),
        error => error.to_string(),
    };
    if sockopt::socket_type(fd).map_err(told)? != SocketType::STREAM {
        return Err("it is not for connections".to_owned());
    }
    if !is_listening(fd).map_err(told)? {
        return Err("it does not listen".to_owned());
    }
    getsockname(fd).map_err(told)
}

#[cfg(target_os = "linux")]
fn is_listening(fd: &OwnedFd) -> rustix::io::Result<bool> {
    sockopt::socket_acceptconn(fd)
}

/// Nothing else keeps descriptors.
#[cfg(not(target_os = "linux"))]
fn is_listening(_fd: &OwnedFd) -> rustix::io::Result<bool> {
    Ok(false)
}

fn control_name((device, inode): (u64, u64)) -> String {
    format!("{CONTROL}{device:x}-{inode:x}")
}

/// Has the port kept, in place of another one.
pub fn keep_port(listener: &impl AsFd) {
    forget(PORT);
    keep(PORT, listener);
}

/// Has the control socket kept, whose file has this identity.
pub fn keep_control(listener: &impl AsFd, file: (u64, u64)) {
    keep(&control_name(file), listener);
}

/// Has the control socket of this file closed.
pub fn forget_control(file: (u64, u64)) {
    forget(&control_name(file));
}

fn keep(name: &str, socket: &impl AsFd) {
    let message = [NotifyState::FdStore, NotifyState::FdName(name)];
    told(name, sd_notify::notify_with_fds(&message, &[socket.as_fd()]));
}

fn forget(name: &str) {
    told(name, sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]));
}

fn told(name: &str, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!("The service manager could not be told of the socket {name:?}: {error}.");
    }
}

/// The environment without the variables that speak of descriptors.
pub fn without_words(mut env: Env) -> Env {
    for name in VARIABLES {
        env.remove(name);
    }
    env
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn stored(sockets: impl IntoIterator<Item = (String, OwnedFd)>) -> Stored {
        Stored { sockets: sockets.into_iter().collect() }
    }

    #[test]
    fn only_a_listening_socket_of_the_very_address_is_the_port() {
        let right = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = right.local_addr().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let mut kept = stored([
            (PORT.to_owned(), other.into()),
            (PORT.to_owned(), client.into()),
            (PORT.to_owned(), tempfile::tempfile().unwrap().into()),
            ("else".to_owned(), right.try_clone().unwrap().into()),
            (PORT.to_owned(), right.into()),
        ]);
        assert_eq!(kept.port(address).unwrap().local_addr().unwrap(), address);
        assert_eq!(kept.sockets.len(), 1, "what bears another name is not for the port");
        kept.close_others();
        assert!(kept.sockets.is_empty());
        let lan = SocketAddr::from(([0, 0, 0, 0], address.port()));
        let mut kept = stored([(PORT.to_owned(), TcpListener::bind("127.0.0.1:0").unwrap().into())]);
        assert!(kept.port(lan).is_none() && kept.sockets.is_empty());
    }

    #[test]
    fn a_control_socket_whose_file_was_replaced_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let file = || std::fs::metadata(&path).map(|found| (found.dev(), found.ino())).unwrap();
        let first = UnixListener::bind(&path).unwrap();
        let name = control_name(file());
        let entry = || (name.clone(), OwnedFd::from(first.try_clone().unwrap()));
        assert!(stored([entry()]).control(&path).is_some());
        assert!(stored([entry()]).control(&folder.path().join("other.sock")).is_none());
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        assert!(stored([entry()]).control(&path).is_none());
        let _second = UnixListener::bind(&path).unwrap();
        assert!(stored([entry()]).control(&path).is_none());
    }

    #[test]
    fn words_for_another_process_count_for_nothing() {
        let words = [("LISTEN_PID", "1"), ("LISTEN_FDS", "7"), ("LISTEN_FDNAMES", "a:b"), ("HOME", "/")];
        let env: Env = words.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert!(Stored::take(&env).sockets.is_empty());
        assert_eq!(without_words(env).into_keys().collect::<Vec<_>>(), ["HOME"]);
    }
}
