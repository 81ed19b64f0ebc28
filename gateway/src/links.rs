//! The links of this process: one to the supervisor, one to each worker.

mod agent;
mod channel;
mod supervisor;
mod watchdog;
mod worker;

pub(crate) use supervisor::{Orders, attach, attend, spread};
