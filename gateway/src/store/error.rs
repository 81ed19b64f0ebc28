/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// Somebody else holds it now.
    #[error("{what} belongs to somebody else now, so this write of its former holder was refused.")]
    Fenced {
        /// The account or the turn.
        what: String,
    },
    /// Nothing can be written at the moment.
    #[error(
        "The store cannot be written: {0}. Nothing was accepted; free space on its disk, then it goes on by itself."
    )]
    Full(String),
    /// The file cannot be used.
    #[error("The database {path} cannot be used: {reason}. {remedy}")]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The engine failed in another way.
    #[error("The store failed: {0}.")]
    Engine(String),
    /// The writer has ended.
    #[error("The store is closed, because the gateway is ending.")]
    Closed,
}

impl StoreError {
    pub(crate) fn fenced(what: impl Into<String>) -> Self {
        Self::Fenced { what: what.into() }
    }

    pub(crate) fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly,
            ) => Self::Full(error.to_string()),
            _ => Self::Engine(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Engine(format!("a stored record does not fit its type: {error}"))
    }
}
