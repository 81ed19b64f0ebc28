//! The fault matrix: one test or more for each row, named after it, across real processes.
//!
//! `cargo xtask test --suite faults` runs these, those of the other test programs that are named in the same way, and
//! those that need a machine of their own, and prints one verdict for each row.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod a_exit;
mod b_misbehaves;
mod c_resources;
mod d_supervisor;
mod e_system;
#[allow(dead_code, unused_imports, reason = "the other test programs use the rest of it")]
#[path = "../home/mod.rs"]
mod home;
