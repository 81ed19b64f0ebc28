//! What the command line orders from a gateway's program about backups, and what it hears.

use serde::{Deserialize, Serialize};

/// With this word and an order (JSON) as its arguments a gateway's program only does that: one line of JSON on standard
/// output and exit code 0, or a sentence on standard error.
pub const BACKUP: &str = "backup";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BackupOrder {
    /// Make one.
    Create(BackupCreate),
    /// Say whether one is whole.
    Verify {
        /// The backup.
        file: String,
        /// Whether people are told how far it is, on standard error.
        progress: bool,
    },
    /// Make a home of one.
    Restore(BackupRestore),
}

/// Make a home of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupRestore {
    /// The backup.
    pub file: String,
    /// The home, which must be empty or not there.
    pub home: String,
    /// Whether messages that waited for their answer when it was made are answered; else they are set aside.
    pub resume: bool,
    /// Whether people are told how far it is, on standard error.
    pub progress: bool,
}

/// Make a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupCreate {
    /// The home.
    pub home: String,
    /// The database, which may lie elsewhere.
    pub database: String,
    /// The file to write.
    pub file: String,
    /// Whether configuration and tokens go into it.
    pub secrets: bool,
    /// Whether people are told how far it is, on standard error.
    pub progress: bool,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupReport {
    /// The backup.
    pub file: String,
    /// The Creel that made it.
    pub creel: String,
    /// When.
    pub created_at: String,
    /// Whether configuration and tokens are in it.
    pub secrets: bool,
    /// What was left out of it, by its path in the home.
    pub left_out: Vec<String>,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Replies that had not been said when it was made: after a restore nobody knows whether they were.
    pub in_doubt: u64,
    /// Messages that had not been answered when it was made, and were set aside by a restore: nobody knows whether they were
    /// answered since.
    pub set_aside: u64,
}
