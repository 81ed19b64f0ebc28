//! Creel: a home for AI agents that cannot take each other down (supervisor and command line).
//!
//! [`run_up`] is the supervisor: one thread that owns the [`tree`] of units. [`unit`] holds what decides, without IO;
//! [`fdkeep`] what outlives the gateway; [`fdstore`] what outlives the supervisor; [`cgroup`] what makes an end an end; [`tool`] the runs of commands; [`logs`] what units write; [`control`] the
//! command line's socket.

#![forbid(unsafe_code)]

pub mod cgroup;
pub mod cli;
pub mod clock;
pub mod control;
pub mod denials;
pub mod doctor;
pub mod explain;
pub mod fdkeep;
pub mod fdstore;
pub mod journal;
pub mod link;
mod listener;
pub mod logs;
mod notify;
pub mod orphans;
pub mod place;
pub mod service;
pub mod settings;
pub mod signals;
mod stat;
pub mod tool;
pub mod tree;
pub mod uids;
pub mod unit;
mod up;
pub mod upgrade;

pub use up::{UpOptions, abort_on_panic, run_up};
