//! The listening end: only for this user and root, and there again when somebody cleans it away.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::StreamCommon;
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use tokio::time::Instant;

use super::clients::{Clients, Who};
use super::connection::{Room, serve};
use super::method::Access;
use crate::fdstore;
use crate::place::{self, Audience};

/// How often to look whether the socket is still there.
const LOOK: Duration = Duration::from_secs(5);
/// Connections at the same time.
const MOST: usize = 32;
/// Bytes of a socket's path that the kernel takes.
const LONGEST_PATH: usize = 107;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The kernel does not take such a path.
    #[error(
        "The path of the control socket, {0}, is longer than {LONGEST_PATH} bytes; name a shorter folder with CREEL_RUNTIME_DIR."
    )]
    TooLong(PathBuf),
    /// It cannot be made.
    #[error("The control socket {path} cannot be made: {error}.")]
    Unusable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The socket while it listens.
#[derive(Debug)]
pub struct Door {
    clients: Clients,
    path: PathBuf,
    listener: Listener,
    /// Identity of the file on disk.
    inode: Option<(u64, u64)>,
    /// A descriptor to let go of when there is no other: with it a client can be let in and sent away.
    reserve: Option<File>,
    audience: Audience,
}

impl Door {
    /// Makes the socket in place of what a dead supervisor left: the lock is held, so nobody else can own it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: PathBuf, audience: Audience) -> Result<Self, ControlError> {
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(ControlError::TooLong(path));
        }
        match listen(&path, audience) {
            Ok(listener) => {
                let door = Self::at(path, listener, audience);
                door.have_it_kept();
                Ok(door)
            }
            Err(error) => Err(ControlError::Unusable { path, error }),
        }
    }

    /// Takes over the socket of the program before this one, with whoever knocks at it.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn resume(path: PathBuf, listener: OwnedFd, audience: Audience) -> io::Result<Self> {
        Ok(Self::at(path, Listener::UdSocket(listener.try_into()?), audience))
    }

    /// Takes over the socket of a supervisor that crashed, with whoever knocked at it meanwhile.
    ///
    /// # Errors
    /// When it cannot be watched, or its file not be given its mode.
    pub fn adopt(path: PathBuf, listener: OwnedFd, audience: Audience) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&listener, true)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(audience.socket()))?;
        Self::resume(path, listener, audience)
    }

    fn at(path: PathBuf, listener: Listener, audience: Audience) -> Self {
        let clients = Clients::default();
        clients.set_listener(&listener);
        Self { clients, inode: inode(&path), path, listener, reserve: reserve(), audience }
    }

    fn have_it_kept(&self) {
        let Listener::UdSocket(listener) = &self.listener;
        if let Some(inode) = self.inode {
            fdstore::keep_control(listener, inode);
        }
    }

    /// Those inside.
    pub fn clients(&self) -> Clients {
        self.clients.clone()
    }

    /// Lets clients in until the supervisor ends.
    pub async fn run(mut self, room: Room) {
        let (mut refused_at, mut said_at): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            let accepted = tokio::time::timeout(LOOK, self.listener.accept()).await;
            match accepted {
                Err(_nobody) => self.reopen_if_gone(),
                Ok(Err(error)) => {
                    if said_at.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) {
                        said_at = Some(Instant::now());
                        tracing::warn!("A control connection could not be taken: {error}.");
                    }
                    // The kernel says so even when nobody waits: a pause, not a spin.
                    if !self.send_one_away() {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
                Ok(Ok(stream)) => {
                    let (uid, may) = match admit(&stream, self.clients.len(), self.audience) {
                        Ok(admitted) => admitted,
                        Err(reason) => {
                            if refused_at.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) {
                                refused_at = Some(Instant::now());
                                tracing::warn!("A control connection was refused: {reason}");
                            }
                            continue;
                        }
                    };
                    let Ok(stream) = raw(stream) else { continue };
                    if let Some(client) = self.clients.enter(stream, Who { uid, may }) {
                        tokio::task::spawn_local(serve(client, room.clone()));
                    }
                }
            }
        }
    }

    /// Out of descriptors, most likely: whoever waits is let in with the one that was kept for this and sent away. Without
    /// waiting in between, or somebody else would take it.
    fn send_one_away(&mut self) -> bool {
        let had = self.reserve.take().is_some();
        let Listener::UdSocket(listener) = &self.listener;
        let sent = had && rustix::net::accept(listener.inner()).is_ok();
        self.reserve = reserve();
        sent
    }

    fn reopen_if_gone(&mut self) {
        if inode(&self.path) == self.inode {
            return;
        }
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let opened = place::runtime(folder, self.audience).and_then(|()| listen(&self.path, self.audience));
        match opened {
            Ok(listener) => {
                tracing::warn!("The control socket {} was gone and is made again.", self.path.display());
                if let Some(gone) = self.inode {
                    fdstore::forget_control(gone);
                }
                self.listener = listener;
                self.clients.set_listener(&self.listener);
                self.inode = inode(&self.path);
                self.have_it_kept();
            }
            Err(error) => tracing::warn!("The control socket {} is gone: {error}.", self.path.display()),
        }
    }
}

fn listen(path: &Path, audience: Audience) -> io::Result<Listener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let name = path.to_fs_name::<GenericFilePath>()?;
    // Its drop must not unlink a successor's socket: the lock, not the path, says who is who.
    let mode = u16::try_from(audience.socket()).unwrap_or(0o600);
    let listener = ListenerOptions::new().name(name).mode(mode.into()).reclaim_name(false).create_tokio()?;
    // The umask of a service takes away what its group is to have.
    std::fs::set_permissions(path, PermissionsExt::from_mode(audience.socket()))?;
    Ok(listener)
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Lets this user and root in, and the group to look where it is let to the socket at all; who it is.
fn admit(stream: &Stream, inside: usize, audience: Audience) -> Result<(u32, Access), String> {
    if inside >= MOST {
        return Err(format!("{MOST} are open already."));
    }
    let own = rustix::process::geteuid().as_raw();
    let peer = stream.peer_creds().map_err(|error| format!("its user is not known: {error}."))?;
    match peer.euid() {
        Some(uid) if uid == own || uid == 0 => Ok((uid, Access::Write)),
        Some(uid) if audience == Audience::Group => Ok((uid, Access::Read)),
        Some(uid) => Err(format!("it comes from uid {uid}, not {own}.")),
        None => Err("its user is not known.".to_owned()),
    }
}

/// The raw end of an admitted connection.
fn raw(stream: Stream) -> io::Result<tokio::net::UnixStream> {
    // `Stream` has one variant on Unix; its descriptor becomes an ordinary stream of the runtime.
    let fd = match &stream {
        Stream::UdSocket(stream) => stream.as_fd().try_clone_to_owned()?,
    };
    drop(stream);
    let stream = std::os::unix::net::UnixStream::from(fd);
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_has_the_mode_of_its_audience_whatever_the_umask_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        for (audience, mode) in [(Audience::Owner, 0o600), (Audience::Group, 0o660)] {
            let _door = Door::open(path.clone(), audience).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        }
    }
}
