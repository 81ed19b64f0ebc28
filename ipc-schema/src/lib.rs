//! Creel's wire contract: every type that crosses a process boundary, and the sans-IO machinery around it.
//!
//! The crate holds no runtime and performs no IO. [`frame::Framer`] cuts a byte stream into lines,
//! [`rpc::Message`] is the JSON-RPC 2.0 envelope, [`peer::Peer`] keeps the requests in flight, and
//! [`msg`] names every method that Creel's own processes speak. [`client`] holds the typed frames of the
//! WebSocket that clients use. [`pi`] reads and writes session files. [`reach`] decides which destinations a unit may reach.
//!
//! Receivers ignore unknown fields and answer unknown methods with -32601; senders never remove or re-type
//! a field within one major version.

#![forbid(unsafe_code)]

pub mod backup;
pub mod blob;
pub mod catalog;
pub mod client;
pub mod error;
pub mod exit;
pub mod foreign;
pub mod frame;
pub mod hello;
pub mod limits;
pub mod migration;
pub mod msg;
pub mod peer;
pub mod pi;
pub mod protected;
pub mod reach;
pub mod release;
pub mod rpc;
pub mod secret;
pub mod terminal;

pub use error::{ErrorClass, ErrorData};
pub use exit::ExitCode;
pub use hello::{Hello, PROTOCOL, Protocol, Reject, Role, Welcome};
pub use limits::Limits;
pub use rpc::{Message, Notify, Request, RpcError};
pub use secret::{Secret, SecretJson};
