use creel_ipc::msg::agent::{Decision, DeltaKind, TurnOutcome, TurnTool};
use creel_ipc::msg::transcript::Usage;
use creel_ipc::msg::unit::UnitStatus;

use super::{ChannelRow, QuestionRow};

/// Something that happened. Runs are named by the id that [`super::ChatAccepted`] gave.
#[derive(Debug, Clone, PartialEq)]
pub enum CoreEvent {
    /// A run was handed to its agent. It comes again when the agent died and the run starts over.
    RunStarted {
        /// The run.
        run: String,
        /// Its session.
        session_key: String,
        /// Its agent.
        agent: String,
        /// The channel it was asked on; absent for the web page and the command line.
        channel: Option<String>,
        /// Milliseconds since the epoch.
        at_ms: i64,
    },
    /// A model request left.
    RunModel {
        /// The run.
        run: String,
        /// Its session.
        session_key: String,
        /// The provider's id.
        provider: String,
        /// The model's id.
        model: String,
        /// Whether an answer that was told in part is begun again.
        again: bool,
    },
    /// A piece of the answer.
    Delta {
        /// The run.
        run: String,
        /// Its session.
        session_key: String,
        /// The answer or the reasoning.
        kind: DeltaKind,
        /// What was added.
        text: String,
    },
    /// A tool call as it runs.
    Tool {
        /// The run.
        run: String,
        /// Its session.
        session_key: String,
        /// The call. Its `turn` is the gateway's own id, not the run's.
        tool: TurnTool,
    },
    /// A run ended and is durable.
    RunEnded {
        /// The run.
        run: String,
        /// Its session.
        session_key: String,
        /// How.
        outcome: TurnOutcome,
        /// A sentence, when it did not end well.
        error: Option<String>,
        /// The whole answer.
        text: String,
        /// Tokens.
        usage: Usage,
    },
    /// A session is new, was written to or began afresh.
    SessionChanged {
        /// Its key.
        key: String,
    },
    /// People are asked what becomes of an interrupted command. It comes again when the agent or the gateway fell.
    Asked(QuestionRow),
    /// A question waits no more, or not here.
    Decided {
        /// The question.
        id: u64,
        /// What was decided; absent when it goes on to wait in another life.
        decision: Option<Decision>,
    },
    /// Somebody asks to be let in, or was.
    PairingChanged {
        /// The channel.
        channel: String,
        /// The account.
        account: String,
    },
    /// A unit's state changed.
    UnitChanged(Box<UnitStatus>),
    /// A channel account's connection changed.
    ChannelChanged(ChannelRow),
    /// The gateway ends.
    ShuttingDown {
        /// A sentence.
        reason: String,
    },
}
