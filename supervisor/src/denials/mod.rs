//! What sandboxes denied, each as one sentence that names rule, path and configuration key.
//!
//! The kernel tells little of it to an ordinary user: what a cgroup counted, how a process ended, what egress refused and
//! what the supervisor itself ended are exact; everything else is concluded from what a command printed, or told by a worker, and says so.

mod printed;
mod ring;
mod run;
pub mod told;

pub use ring::{Ring, RingState};
pub use run::{Counted, Terms};
