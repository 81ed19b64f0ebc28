//! Files that travel beside the frames: a frame names them by hash, it never carries them.
//!
//! Each unit that may exchange files has a directory `CREEL_BLOB_DIR` with `in/` (read-only to the unit) and
//! `out/` (its own). The file name is the lower-case hex SHA-256 of the content.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file of an inbound or outbound message. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// Lower-case hex SHA-256 of the content, and the file's name in `in/` or `out/`.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Media type, such as `image/png`.
    pub mime: String,
    /// What the sender called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
