//! Reading and writing a unix socket together with descriptors.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Descriptors that one frame may carry.
const MAX_FDS: usize = 8;

/// Reads what is there, up to the buffer's length, and keeps received descriptors in order.
pub(crate) async fn receive(
    stream: &UnixStream,
    buffer: &mut [u8],
    fds: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    stream
        .async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut slices = [IoSliceMut::new(&mut *buffer)];
            let message =
                rustix::net::recvmsg(stream.as_fd(), &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            for item in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = item {
                    fds.extend(received);
                }
            }
            Ok(message.bytes)
        })
        .await
}

/// Writes all bytes; the descriptors travel with the first of them.
pub(crate) async fn send(stream: &UnixStream, mut bytes: &[u8], fds: &[OwnedFd]) -> io::Result<()> {
    let mut pending = fds;
    while !bytes.is_empty() {
        let borrowed: Vec<_> = pending.iter().map(AsFd::as_fd).collect();
        let sent = stream
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        "too many descriptors for one frame",
                    ));
                }
                let slices = [IoSlice::new(bytes)];
                Ok(rustix::net::sendmsg(stream.as_fd(), &slices, &mut control, SendFlags::NOSIGNAL)?)
            })
            .await?;
        pending = &[];
        bytes = &bytes[sent..];
    }
    Ok(())
}
