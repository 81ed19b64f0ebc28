//! The Linux launcher.

mod calls;
mod credentials;
mod direct;
mod elf;
mod filter;
#[cfg(test)]
mod filter_tests;
mod first;
pub(crate) mod identity;
mod last;
mod layer;
mod limits;
mod network;
pub(crate) mod nursery;
mod outer_layer;
pub(crate) mod project;
mod root;
mod ruleset;
mod scratch;
pub(crate) mod shed;
pub(crate) mod stage;
pub mod succession;
pub(crate) mod sys;
mod views;
