//! The links of this process: one to the supervisor, one to each worker.

mod agent;
mod channel;
mod elevated;
mod processes;
mod questions;
mod refusals;
mod supervisor;
mod watchdog;
mod worker;

pub(crate) use channel::begin;
pub(crate) use refusals::Budget;
#[cfg(test)]
pub(crate) use supervisor::attach;
pub(crate) use supervisor::{Orders, attend, spread};
