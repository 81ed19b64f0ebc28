//! Loopback and the listener of a unit.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;

use super::sys;
use crate::error::{At as _, LaunchError, Stage};

/// Brings `lo` of the unit's own network namespace up. Before any bind is of use: connect fails while it is down.
pub(crate) fn loopback() -> Result<(), LaunchError> {
    sys::loopback_up().at(Stage::Network, || "The loopback interface of the unit cannot be brought up")
}

/// A listener on 127.0.0.1 of the current network namespace, and its port.
pub(crate) fn listener() -> Result<(OwnedFd, u16), LaunchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .at(Stage::Network, || "The unit's way to creel-egress, a loopback listener, cannot be made")?;
    let port = listener.local_addr().at(Stage::Network, || "The listener has no address")?.port();
    Ok((OwnedFd::from(listener), port))
}
