//! What the command line orders from a gateway's program about moving the state to another store, and what it hears.

use serde::{Deserialize, Serialize};

/// With this word and a [`StoreMigrate`] (JSON) as its arguments a gateway's program only does that: one line of JSON on
/// standard output and exit code 0, or a sentence on standard error. Its environment is the operator's.
pub const STORE_MIGRATE: &str = "store-migrate";

/// Copy the whole state to the other engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreMigrate {
    /// The home.
    pub home: String,
    /// The configuration file, which says where both stores are.
    pub config_file: String,
    /// The folder of the state.
    pub state_dir: String,
    /// Where to: `postgres` or `sqlite`.
    pub to: String,
    /// Whether people are told how far it is, on standard error.
    pub progress: bool,
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreMigrated {
    /// The store that was read, which stays as it was.
    pub from: String,
    /// The store that was filled.
    pub to: String,
    /// Whether it had exactly this already.
    pub already: bool,
    /// The tables, as they are on both sides.
    pub tables: Vec<MigratedTable>,
    /// Their rows.
    pub rows: u64,
    /// Texts with a NUL, in whose place U+FFFD stands in PostgreSQL.
    pub replaced: u64,
    /// How long it took.
    pub took_ms: u64,
}

/// One table, counted and hashed on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigratedTable {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// The sum of the SHA-256 of its rows, in hexadecimal.
    pub sha256: String,
}
