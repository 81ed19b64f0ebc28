//! Answers that say that a command was interrupted: they name no message, so they are counted, chat by chat.

use std::collections::BTreeMap;

/// What such an answer says, without the tool's name: the outbox has that in backticks, and the platform without.
const SENTENCE: &str = "call is unknown: Creel was interrupted";

/// The answers of all chats.
#[derive(Debug, Default)]
pub(crate) struct Interrupted(BTreeMap<i64, Chat>);

#[derive(Debug, Default)]
struct Chat {
    /// What the platform has.
    delivered: u64,
    /// Rows of the outbox that are sent.
    sent: u64,
    /// Rows of the outbox whose end nobody knows.
    unknown: u64,
    /// Messages that such an answer was found for.
    excused: u64,
}

impl Chat {
    /// Answers that there really are: what is sent must be there, what is unknown may be.
    fn answers(&self) -> u64 {
        self.delivered.min(self.sent) + self.unknown
    }
}

impl Interrupted {
    /// Whether a text is such an answer.
    pub(crate) fn is_said_by(text: &str) -> bool {
        text.contains(SENTENCE)
    }

    /// The platform has one.
    pub(crate) fn delivered(&mut self, chat: i64) {
        self.0.entry(chat).or_default().delivered += 1;
    }

    /// The outbox has one.
    pub(crate) fn row(&mut self, chat: i64, state: &str) {
        let chat = self.0.entry(chat).or_default();
        match state {
            "sent" => chat.sent += 1,
            "unknown" => chat.unknown += 1,
            _ => {}
        }
    }

    /// Whether there is one left for a command of this chat that has no other answer.
    pub(crate) fn excuses(&mut self, chat: i64) -> bool {
        let Some(chat) = self.0.get_mut(&chat) else { return false };
        let some = chat.excused < chat.answers();
        chat.excused += u64::from(some);
        some
    }

    /// Those that are the answer to nothing, or were said more often than they were meant to be.
    pub(crate) fn strange(&self) -> u64 {
        let strange = |chat: &Chat| {
            let too_often = chat.delivered.saturating_sub(chat.sent + chat.unknown);
            too_often + chat.answers().saturating_sub(chat.excused)
        };
        self.0.values().map(strange).sum()
    }
}
