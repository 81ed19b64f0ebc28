//! One unit: its life as a table ([`table`], [`machine`]), the spec of its process ([`template`]) and the process
//! itself ([`process`]).

pub mod backoff;
pub mod brake;
pub mod dice;
pub mod event;
pub mod machine;
pub mod pace;
pub mod policy;
pub mod process;
pub mod promise;
pub mod table;
pub mod template;

/// A moment: the monotonic time since the supervisor started. Decisions know no other clock.
pub type At = std::time::Duration;
