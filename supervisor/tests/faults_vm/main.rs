//! Rows of the fault matrix that need a machine of their own: delegated cgroups with controllers, file systems to fill,
//! a clock to set. `cargo xtask test --suite faults` runs them in a virtual machine, as root and as an ordinary user;
//! this program is not among those that `cargo test` runs by itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod anybody;
mod ground;
#[allow(dead_code, unused_imports, reason = "the other test programs use the rest of it")]
#[path = "../home/mod.rs"]
mod home;
mod root;
