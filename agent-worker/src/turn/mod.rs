//! A turn: from what came in to what is said.
//!
//! [`core::Core`] decides, sans-IO; [`drive`] carries out. Everything that costs money or has a side effect is
//! journalled at the gateway as a numbered step before the turn goes on, so that another life of this process can
//! take over at any point.

pub mod action;
pub mod alarm;
pub mod breaker;
pub mod calls;
pub mod cascade;
pub mod core;
pub mod deltas;
pub mod drive;
mod farewell;
pub mod journal;
pub mod model_call;
mod prepare;
pub mod repair;
pub mod tokens;
pub mod tool_call;
pub mod window;
