//! Creel's gateway: the only owner of state, the one port, routing and delivery.
//!
//! [`hub`] is the seam to everything that speaks to clients.

#![forbid(unsafe_code)]

mod core;
pub mod hub;
