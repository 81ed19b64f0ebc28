//! What a service manager is told, when there is one (`NOTIFY_SOCKET`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The tree is up.
pub(crate) fn ready() {
    tell("READY=1");
}

/// The tree is about to end.
pub(crate) fn stopping() {
    tell("STOPPING=1");
}

/// Best effort: a service manager that does not listen is its own problem.
fn tell(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = path.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::warn!("The service manager could not be told {state}: {error}.");
    }
}
