//! The control socket: the command line's way to the supervisor.

pub mod clients;
pub mod connection;
mod events;
mod lines;
pub mod method;
pub mod socket;

pub use clients::{Clients, ClientsState};
pub use connection::{Room, serve};
pub use socket::{ControlError, Door};
