//! Messages on the launch socket (`SOCK_SEQPACKET`): one JSON text per packet, file descriptors beside it.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::LaunchError;
use crate::isolation::Isolation;

/// Far above what any note needs; a longer one is cut by the kernel and then refused as bad JSON.
const MAX_NOTE: usize = 16 * 1024;

/// Supervisor to stage: `fds` = the sealed policy, the unit's stdin and, where it has one, the folder of its cgroup.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) policy_bytes: usize,
}

/// Stage to supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Note {
    /// The unit's process exists; `fds` = its pidfd.
    Unit { pid: i32 },
    /// Everything but the seccomp program is applied; `fds` = the listener, where `port` is set, then the layers.
    Ready { isolation: Isolation, port: Option<u16> },
    /// The unit will not run.
    Failed(LaunchError),
}

/// Supervisor to nursery: `fds` = the stage's launch socket, the unit's stdout and stderr and, where the stage is to be in one
/// from its first moment on, the folder of a cgroup.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hatch {}

/// Nursery to supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Hatched {
    /// There is a stage of this pid; `fds` = its pidfd.
    Stage(i32),
    /// The kernel said this errno.
    Refused(i32),
}

pub(crate) fn send<T: Serialize>(socket: impl AsFd, note: &T, fds: &[BorrowedFd<'_>]) -> Result<()> {
    let text = serde_json::to_vec(note).map_err(|_| Errno::INVAL)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    sendmsg(socket, &[IoSlice::new(&text)], &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// `Ok(None)` at the end of the stream.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
    wait: bool,
) -> Result<Option<(T, Vec<OwnedFd>)>> {
    let mut text = vec![0; MAX_NOTE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut flags = RecvFlags::CMSG_CLOEXEC;
    flags.set(RecvFlags::DONTWAIT, !wait);
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, flags)?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    let note =
        serde_json::from_slice(text.get(..got.bytes).unwrap_or_default()).map_err(|_| Errno::BADMSG)?;
    Ok(Some((note, fds)))
}
