//! Tool runs: one confined command each, asked for by the gateway and idempotent by the run's id.

pub mod background;
pub mod binds;
pub mod capture;
pub mod command;
pub mod ends;
pub mod homes;
pub mod layers;
pub mod leavings;
pub mod quota;
pub mod run;
pub mod runs;
pub mod scroll;
pub mod setup;

pub use run::{Run, RunState};
pub use runs::Runs;
