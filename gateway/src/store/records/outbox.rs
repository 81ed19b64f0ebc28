//! What is to be said, and what became of it.

use creel_ipc::blob::Attachment;
use creel_ipc::msg::channel::Route;

use crate::hub::OutboxState;
use crate::store::{Held, NewMessage, NewPairing};

/// Something to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewOutbound {
    /// Names it.
    pub key: String,
    /// Who says it, as `channel:account`.
    pub account: String,
    /// Where.
    pub route: Route,
    /// Markdown.
    pub text: String,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// The turn whose drafts it replaces.
    pub draft: Option<String>,
    /// The run that it belongs to.
    pub run: Option<String>,
    /// The agent that left the files.
    pub agent: Option<String>,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

impl NewOutbound {
    /// What a stranger is told who has to be let in first.
    pub(crate) fn pairing(own: &Held, message: &NewMessage, request: &NewPairing) -> Self {
        Self {
            key: format!("pairing/{}/{}", own.account(), message.ext_id),
            account: own.account().to_owned(),
            route: request.route.clone(),
            text: request.text.clone(),
            attachments: Vec::new(),
            draft: None,
            run: None,
            agent: None,
            now_ms: message.now_ms,
        }
    }
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outbound {
    /// What is said.
    pub what: NewOutbound,
    /// Where it stands.
    pub state: OutboxState,
    /// Parts that the platform accepted.
    pub parts_sent: u32,
    /// Attempts so far.
    pub attempts: u32,
    /// Which moment it waits for, by the store's clock: that of its own next attempt, or of its account's.
    pub not_before_ms: i64,
    /// How long that is.
    pub wait_ms: u64,
    /// A sentence, when it did not go well.
    pub error: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The platform has it.
    Sent {
        /// Milliseconds since the epoch.
        now_ms: i64,
    },
    /// Nothing more went out; it is tried again.
    Again {
        /// Not before so many milliseconds.
        wait_ms: u64,
        /// Whether the whole account says nothing for so long, whoever holds it then.
        hold: bool,
        /// A sentence.
        error: String,
        /// Parts that the platform accepted.
        parts: Option<u32>,
    },
    /// It may have been said.
    Unknown {
        /// A sentence.
        error: String,
    },
    /// It will not be said.
    Failed {
        /// A sentence.
        error: String,
    },
}

/// A moment by the store's clock, and how far away it was at first.
pub(in crate::store) type Moment = (i64, i64);

/// Which of the moments is waited for, and for how long. Where the clock was put back it is no longer than at first.
pub(in crate::store) fn wait_until(now_ms: i64, moments: [Moment; 2]) -> (i64, u64) {
    let wait = |(until, at_first): Moment| (until.saturating_sub(now_ms).min(at_first).max(0), until);
    let (wait, until) = moments.map(wait).into_iter().max().unwrap_or_default();
    (until, u64::try_from(wait).unwrap_or(0))
}

/// What a row of the outbox is ordered by within its account.
pub(in crate::store) fn chat_of(route: &Route) -> String {
    match &route.thread {
        Some(thread) => format!("{}\u{1f}{thread}", route.chat_id),
        None => route.chat_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_wait_counts_and_none_is_longer_than_at_first() {
        assert_eq!(wait_until(1_000, [(0, 0), (0, 0)]), (0, 0));
        assert_eq!(wait_until(1_000, [(1_500, 800), (3_000, 9_000)]), (3_000, 2_000));
        assert_eq!(wait_until(5_000, [(1_500, 800), (3_000, 9_000)]).1, 0, "both are over");
        // An hour back.
        assert_eq!(wait_until(-3_600_000, [(1_500, 800), (3_000, 9_000)]), (3_000, 9_000));
    }
}
