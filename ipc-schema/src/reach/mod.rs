//! Who may reach what: one reading of host names, addresses and rules for the configuration, for egress and for the
//! command line, so that nobody allows what another one refuses.

mod address;
mod host;
mod rule;

pub use address::is_private;
pub use host::{Host, HostError, Pattern, Target};
pub use rule::{Refusal, find, permitted};
