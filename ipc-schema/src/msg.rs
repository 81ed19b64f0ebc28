//! The messages of Creel's own links, one module for each pair of processes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod agent;
pub mod channel;
pub mod control;
pub mod egress;
pub mod event;
pub mod policy;
pub mod process;
pub mod sandbox;
pub mod supervisor;
pub mod tool;
pub mod transcript;
pub mod unit;

/// Declares a request: its marker type, its name, its parameters and its result.
macro_rules! request {
    ($(#[$doc:meta])* $name:ident, $method:literal, $params:ty => $result:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl crate::rpc::Request for $name {
            const METHOD: &'static str = $method;
            type Params = $params;
            type Result = $result;
        }
    };
}

/// Declares a notification whose parameters are the type itself.
macro_rules! notify {
    ($name:ident, $method:literal) => {
        impl crate::rpc::Notify for $name {
            const METHOD: &'static str = $method;
            type Params = Self;
        }
    };
}

pub(crate) use {notify, request};

/// Parameters or a result without content; unknown fields are ignored, so that content can be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Empty {}

request!(
    /// Are you alive, and do you get anywhere? Asked on every link, answered from the IO task. Since: 1.0.
    Ping, "ping", Empty => Pong
);

/// The answer to [`Ping`]. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Pong {
    /// Grows with each real step of work (a model event, a poll, a commit), never with a timer.
    pub progress: u64,
    /// Whether work is under way at all; only then must `progress` grow.
    pub busy: bool,
}
