//! What the command line has a gateway's program read: databases of others, which only that program can open.

use serde::{Deserialize, Serialize};

/// With this word and the path of a database of OpenClaw's as its arguments a gateway's program only reads that: each
/// session in it as one line of JSON on standard output ([`ForeignSession`]) and exit code 0, or a sentence on standard
/// error.
pub const READ_OPENCLAW: &str = "read-openclaw";

/// A session of another program's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignSession {
    /// Its key, such as `agent:main:main`.
    pub key: String,
    /// The id of its transcript.
    pub id: String,
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its transcript as a session file: JSON Lines, as Pi writes them.
    pub text: String,
}
