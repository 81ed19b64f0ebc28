//! Creel's gateway: the only owner of state, the one port, routing and delivery.
//!
//! [`hub`] is the seam to everything that speaks to clients.

#![forbid(unsafe_code)]

mod access;
pub mod api;
mod backup;
mod blobs;
mod core;
mod deliver;
mod dialer;
mod drain;
pub mod hub;
mod inbound;
mod lane;
mod links;
mod logs;
mod maintenance;
mod openclaw;
mod opening;
mod relay;
mod relocation;
mod route;
mod run;
mod settings;
#[cfg(test)]
mod spine;
mod store;
mod tenure;
mod token;
mod transcripts;
mod watch;

pub use run::{RunError, run};
#[cfg(feature = "bench")]
pub use store::bench;
