/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// Somebody else holds it now. Whoever hears this stops everything that it does for it, at once and without another
    /// word to the store: it says of each loss what that is.
    #[error("{0} belongs to somebody else now, so this write of its former holder was refused.")]
    Fenced(Lost),
    /// The store cannot be reached. Nobody knows whether the write is in it: the same one is safe to try again, and
    /// until then the clocks of all leases run.
    #[error("The database cannot be reached, and whether the last write is in it is not known: {0}.")]
    Away(String),
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

/// What a gateway holds no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    /// Its worker must be stopped before the lease is over: no platform compares epochs.
    #[error("The account {0}")]
    Account(String),
    /// Its turn must be aborted; nothing that it still writes will be taken.
    #[error("The lane {0}")]
    Lane(String),
    /// Its agent must be told to drop it.
    #[error("The turn {0}")]
    Turn(String),
}

#[cfg(test)]
impl Lost {
    pub(crate) fn is_account(&self) -> bool {
        matches!(self, Self::Account(_))
    }
}

impl StoreError {
    pub(crate) fn lost(what: Lost) -> Self {
        Self::Fenced(what)
    }

    pub(in crate::store) fn lost_turn(turn: &str) -> Self {
        Self::Fenced(Lost::Turn(turn.to_owned()))
    }

    pub(in crate::store) fn vanished(key: &str) -> Self {
        Self::Engine(format!("the session {key} is gone, which this transaction has just written"))
    }

    pub(crate) fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced(_))
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
