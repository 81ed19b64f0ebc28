//! Sizes and times that both ends of a link agree on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of one frame, newline included: 1 MiB.
pub const MAX_FRAME: usize = 1024 * 1024;
/// Bytes of output kept of each of a tool run's two streams. Two of them still fit a frame when every byte
/// needs a six-byte escape.
pub const MAX_TOOL_STREAM: usize = 64 * 1024;
/// Bytes of a background process's output in one answer.
pub const MAX_PROCESS_TEXT: usize = 64 * 1024;
/// Bytes of one transcript entry's text; longer tool results are cut before they are journalled.
pub const MAX_ENTRY: usize = 128 * 1024;
/// Milliseconds a worker has from its start to its `hello`, and a gateway to its `welcome`: less than the half minute that
/// a unit has to get ready, so that what it lacked is named, and enough for a machine that is slow just then.
pub const HANDSHAKE_MS: u64 = 20_000;
/// Milliseconds between two pings on a link.
pub const PING_EVERY_MS: u64 = 10_000;
/// Pings that may stay unanswered before a worker counts as wedged.
pub const PINGS_MISSED: u32 = 3;
/// Lines that are no messages which a peer may write within [`STRAY_WINDOW_MS`]; with one more it is replaced.
pub const STRAYS: u32 = 10;
/// Milliseconds for which such lines are counted.
pub const STRAY_WINDOW_MS: u64 = 60_000;

/// Limits of one link, told to the worker in `welcome`. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Bytes of one frame, newline included.
    pub max_frame: u32,
    /// Requests of one sender that may wait for their answer.
    pub inflight: u32,
    /// Milliseconds between two pings.
    pub ping_every_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_frame: MAX_FRAME as u32, inflight: 256, ping_every_ms: PING_EVERY_MS }
    }
}
