//! The control socket: the command line's way to the supervisor.

pub mod connection;
mod events;
mod lines;
pub mod method;
pub mod socket;

pub use socket::{ControlError, Door};
