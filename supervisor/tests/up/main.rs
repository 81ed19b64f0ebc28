//! `creel up` across processes: the real supervisor and launcher, with units that misbehave on demand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod cgroup;
mod control;
mod deprived;
mod disk;
mod events;
mod fall;
mod handover;
mod held;
#[allow(dead_code, unused_imports, reason = "the fault tests use the rest of it")]
#[path = "../home/mod.rs"]
mod home;
mod kept;
mod lock;
mod logs;
mod reload;
mod sandbox;
mod stop;
mod tools;
mod uids;
mod upgrade;
