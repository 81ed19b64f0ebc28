//! Workspaces that their file system limits: ext4 and XFS with project quota, in files of their own. Few machines that build
//! have a kernel for it, so `cargo xtask redteam` runs this in its virtual machine too.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod disk;
#[allow(dead_code, unused_imports, reason = "the fault tests use the rest of it")]
#[path = "../home/mod.rs"]
mod home;
mod kept;
mod passing;
