/// What a client may do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubClass {
    /// The request is wrong.
    Invalid,
    /// What it names does not exist.
    NotFound,
    /// It may work later.
    Unavailable,
    /// Something else got there first.
    Conflict,
}

impl HubClass {
    /// The class as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Unavailable => "unavailable",
            Self::Conflict => "conflict",
        }
    }
}

/// Why a client does not get what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct HubError {
    /// What may be done about it.
    pub class: HubClass,
    /// What is wrong, where, and what to do: a whole sentence.
    pub sentence: String,
}

impl HubError {
    /// The request is wrong.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self { class: HubClass::Invalid, sentence: sentence.into() }
    }

    /// What it names does not exist.
    pub fn not_found(sentence: impl Into<String>) -> Self {
        Self { class: HubClass::NotFound, sentence: sentence.into() }
    }

    /// It may work later.
    pub fn unavailable(sentence: impl Into<String>) -> Self {
        Self { class: HubClass::Unavailable, sentence: sentence.into() }
    }

    /// Something else got there first.
    pub fn conflict(sentence: impl Into<String>) -> Self {
        Self { class: HubClass::Conflict, sentence: sentence.into() }
    }
}
