//! `messages`: how inbound messages queue up behind a running turn.

use std::collections::BTreeMap;

use crate::noun::{noun, within, word};
use crate::scalar::Pattern;
use crate::unbuilt::Unbuilt;

noun! {
    /// How inbound messages are taken up.
    pub struct Messages {
        /// What a message does that arrives while a turn runs.
        "queue" => queue: Queue = Queue::default();
        /// Messages of groups.
        "groupChat" => group_chat: GroupHistory = GroupHistory::default();
        /// Before a message is queued, and where it stays.
        "inbound" => inbound: Inbound = Inbound::default();
        /// Messages on their way out.
        "outbound" => outbound: Outbound = Outbound::default();
    }
}

noun! {
    /// What a message does that arrives while a turn runs.
    pub struct Queue {
        /// The mode.
        "mode" => mode: QueueMode = QueueMode::default();
        /// Milliseconds to wait for a further message before a turn starts.
        "debounceMs" => debounce_ms: u64 = 500, check within(0, 600_000);
        /// The same by channel.
        "debounceMsByChannel" => debounce_ms_by_channel: BTreeMap<String, u64> = BTreeMap::new();
        /// Not built yet: messages that may wait in one session. All of them wait, durably.
        "cap" => cap: Unbuilt = Unbuilt;
        /// Not built yet: what happens to the message that is one too many.
        "drop" => drop: Unbuilt = Unbuilt;
        /// The mode by channel.
        "byChannel" => by_channel: BTreeMap<String, QueueMode> = BTreeMap::new();
    }
}

word! {
    /// What a message does that arrives while a turn runs.
    pub enum QueueMode = Collect {
        /// It waits for a turn of its own.
        "followup" => Followup,
        /// All that wait become one turn.
        "collect" => Collect,
        /// It ends the running turn.
        "interrupt" => Interrupt,
    }
    not built: "steer", "steer-backlog", "queue"
}

noun! {
    /// Messages of groups.
    pub struct GroupHistory {
        /// Unanswered messages that are kept as context; 0 keeps none.
        "historyLimit" => history_limit: u32 = 50, check within(0, 1000);
        /// Regular expressions that count as a mention of the agent.
        "mentionPatterns" => mention_patterns: Vec<Pattern> = Vec::new();
    }
}

noun! {
    /// Before a message is queued, and where it stays.
    pub struct Inbound {
        /// How often its agent may fall at the same place of a message, before it is set aside and the session goes on.
        "parkAfter" => park_after: u32 = 5, check within(1, 100);
        /// Not built yet: milliseconds in which text messages of one sender become one.
        "debounceMs" => debounce_ms: Unbuilt = Unbuilt;
    }
}

noun! {
    /// Messages on their way out.
    pub struct Outbound {
        /// Minutes after which a message that could not be said is given up, unless a part of it was said.
        "expireAfterMinutes" => expire_after_minutes: u32 = 1440, check within(1, 525_600);
    }
}
