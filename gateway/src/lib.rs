//! Creel's gateway: the only owner of state, the one port, routing and delivery.
//!
//! [`hub`] is the seam to everything that speaks to clients.

#![forbid(unsafe_code)]

mod access;
pub mod api;
mod core;
mod deliver;
pub mod hub;
mod inbound;
mod lane;
mod links;
mod route;
mod settings;
#[cfg(test)]
mod spine;
mod store;
