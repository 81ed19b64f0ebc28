//! The typed frames of the WebSocket that OpenClaw's clients, the command line and the web page speak.

pub mod connect;
pub mod frames;

pub use connect::{ClientInfo, ConnectAuth, ConnectParams, HelloOk};
pub use frames::{ClientFrame, ErrorShape, EventFrame, ResFrame};
