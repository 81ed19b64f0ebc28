//! The control socket: the command line's way to the supervisor.

pub mod connection;
pub mod socket;

pub use socket::{ControlError, Door};
