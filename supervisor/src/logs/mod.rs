//! What units write to stderr: cut into lines, bounded, kept in a file and in memory.
//!
//! Nothing here ever blocks or ends a unit: what does not fit the budget or the disk is counted.

pub mod backward;
pub mod book;
pub mod budget;
pub mod file;
mod journald;
pub mod line;
pub mod past;
pub mod reader;
pub mod trace;

pub use book::{Book, BookState, Gap, Log, LogRules};
