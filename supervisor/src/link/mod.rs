//! The supervisor's end of the links to the gateway and to egress.

pub mod post;
pub mod strays;
pub mod suspension;
pub mod watch;

pub use post::{Outgoing, Post};
pub use strays::Strays;
