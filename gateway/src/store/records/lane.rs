//! Lanes, and the turns that are taken from them.

use creel_ipc::msg::agent::{InputMessage, Reply, TurnOutcome, TurnRef};
use creel_ipc::msg::channel::Route;
use creel_ipc::msg::transcript::Usage;
use serde_json::Value;

use super::SessionSettings;
use crate::store::{Claimant, Held, Lane};

/// A lane with something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenLane {
    /// Its key.
    pub lane: String,
    /// Its agent.
    pub agent: String,
    /// Messages that wait.
    pub pending: u32,
    /// The turn that was under way.
    pub turn: Option<TurnRef>,
}

/// How a lane is taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneClaim {
    /// The gateway.
    pub who: Claimant,
    /// The lane.
    pub lane: String,
    /// The id of the turn, if a new one begins.
    pub turn: String,
    /// Whether messages of one place become one turn.
    pub merge: bool,
    /// The id of the transcript, if the session begins afresh.
    pub fresh_id: String,
    /// The session begins afresh when its last turn ended before this moment.
    pub stale_before_ms: i64,
    /// What is otherwise for messages of a channel, where the lane's key names none.
    pub by_channel: Vec<ChannelWay>,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// How a lane is taken up for messages of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChannelWay {
    /// The channel.
    pub channel: String,
    /// Whether messages of one place become one turn.
    pub merge: bool,
    /// The session begins afresh when its last turn ended before this moment.
    pub stale_before_ms: i64,
}

impl LaneClaim {
    fn way(&self, account: &str) -> Option<&ChannelWay> {
        let channel = account.split(':').next();
        self.by_channel.iter().find(|way| Some(way.channel.as_str()) == channel)
    }

    /// Whether messages of one place become one turn, by the account that they came in on and the session's settings.
    pub(in crate::store) fn merges(&self, account: &str, settings: &SessionSettings) -> bool {
        match settings.queue.as_deref() {
            Some(mode) => mode != "followup",
            None => self.way(account).map_or(self.merge, |way| way.merge),
        }
    }

    /// The session begins afresh when its last turn ended before this moment, by the account of the new one's message.
    pub(in crate::store) fn stale_before(&self, account: &str) -> i64 {
        self.way(account).map_or(self.stale_before_ms, |way| way.stale_before_ms)
    }
}

/// A turn that this gateway may start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claimed {
    /// The lane, held for this turn.
    pub lease: Held<Lane>,
    /// The turn and its epoch, which is the lease's.
    pub turn: TurnRef,
    /// What clients call it.
    pub run: String,
    /// Its lane, the session's key.
    pub lane: String,
    /// Its agent.
    pub agent: String,
    /// How often its agent fell in the middle of it since it last got further.
    pub falls: u32,
    /// The id of the transcript.
    pub session_id: String,
    /// `direct`, `group` or `channel`.
    pub kind: String,
    /// `provider/model` that the session asks for.
    pub model: Option<String>,
    /// What else the session has otherwise than its agent.
    pub settings: SessionSettings,
    /// The account that it came in on.
    pub account: String,
    /// Where the answer goes.
    pub route: Option<Route>,
    /// Whether the session began afresh with it.
    pub fresh: bool,
    /// What came in, oldest first.
    pub input: Vec<InputMessage>,
    /// Entries of the transcript before it.
    pub history: u64,
    /// Steps in its journal.
    pub journal: u32,
    /// Messages of the lane that still wait.
    pub pending: u32,
}

/// A step that is about to happen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewStep {
    /// Its number.
    pub step: u32,
    /// The tool's name.
    pub name: String,
    /// The call's id.
    pub call_id: String,
    /// The tool's arguments.
    pub arguments: Value,
}

/// The end of a turn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finish {
    /// How.
    pub outcome: TurnOutcome,
    /// A sentence, when it did not end well.
    pub error: Option<String>,
    /// What is said.
    pub replies: Vec<Reply>,
    /// Tokens.
    pub usage: Usage,
    /// Whether the messages are set aside, because their turn fell too often.
    pub parked: bool,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// What the end of a turn left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finished {
    /// Whether it had ended before: then nothing was done.
    pub already: bool,
    /// What clients call it.
    pub run: String,
    /// Its lane.
    pub lane: String,
    /// The account of its replies, when there are any.
    pub account: Option<String>,
    /// Messages of the lane that wait.
    pub pending: u32,
}
