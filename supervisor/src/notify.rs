//! What a service manager is told, when there is one (`NOTIFY_SOCKET`).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The tree is up.
pub(crate) fn ready() {
    tell("READY=1");
}

/// The tree is about to end.
pub(crate) fn stopping() {
    tell("STOPPING=1");
}

/// The supervisor's loop goes round.
pub(crate) fn alive() {
    tell("WATCHDOG=1");
}

/// How often the service manager wants to hear [`alive`]: twice in the time that it gives.
pub(crate) fn watchdog_every() -> Option<Duration> {
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let ours = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    (ours && micros > 0).then(|| Duration::from_micros(micros) / 2)
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
