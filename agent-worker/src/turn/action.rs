//! What goes into the turn's core and what comes out of it.

use creel_ipc::msg::agent::{Decision, DeltaKind, StepBegun, TurnOutcome};
use creel_ipc::msg::transcript::{Entry, Usage};
use serde_json::Value;

use crate::model::Ev;
use crate::tools::Outcome;

/// A tool call of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its step in the turn.
    pub step: u32,
    /// Its id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, as the model gave them.
    pub arguments: Value,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A model call says something.
    Model {
        /// The number of the call; what a cancelled call says is ignored.
        attempt: u64,
        /// What it says.
        events: Vec<Ev>,
    },
    /// The journal answered the beginning of a step.
    Begun {
        /// The step.
        step: u32,
        /// What the journal knows.
        known: StepBegun,
    },
    /// A tool is done.
    Ran {
        /// The step.
        step: u32,
        /// What the model gets to read.
        outcome: Outcome,
    },
    /// An earlier life may have done it, and nobody knows what became of it.
    Doubtful {
        /// The step.
        step: u32,
    },
    /// People said what becomes of a step, or were not there to.
    Decided {
        /// The step.
        step: u32,
        /// What they said.
        decision: Decision,
    },
    /// The journal has a step's result.
    Ended {
        /// The step.
        step: u32,
    },
    /// The turn belongs to somebody else now.
    Lost,
    /// The journal refused a step for good.
    Refused {
        /// A sentence.
        reason: String,
    },
    /// Somebody wants the turn to stop.
    Abort,
    /// A timer fired.
    Timer(Timer),
}

/// The turn's timers; setting one again moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The turn takes too long.
    Turn,
    /// A model says nothing: at first, or in the middle of its answer.
    Silence,
    /// The next attempt.
    Retry,
    /// The last words of a turn that ends early are not waited for any longer.
    Closing,
}

impl Timer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Turn, Self::Silence, Self::Retry, Self::Closing];
}

/// How far a tool may trust that nothing was done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It never ran.
    Fresh,
    /// An earlier life may have done it: look first.
    Check,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Ask a model. Its events come back as [`Input::Model`], the last one being an end or a failure.
    Ask {
        /// The number of the call.
        attempt: u64,
        /// Which of the turn's models.
        model: usize,
        /// The conversation.
        messages: Vec<Entry>,
        /// Whether an answer that was shown in part is begun again.
        again: bool,
    },
    /// Stop the model call.
    CancelAsk,
    /// Show a piece of the answer.
    Delta(DeltaKind, String),
    /// Journal the beginning of a tool call; answered by [`Input::Begun`].
    Begin(Call),
    /// Run a tool; answered by [`Input::Ran`], or by [`Input::Doubtful`] where an earlier life may have done it.
    Run(Call, Trust),
    /// Ask people what becomes of a call; answered by [`Input::Decided`].
    Consult(Call),
    /// Stop every tool that runs. Nothing is answered for them.
    CancelTools,
    /// Journal a step's result; answered by [`Input::Ended`].
    End {
        /// The step.
        step: u32,
        /// The result.
        entry: Entry,
    },
    /// Set a timer, or clear it.
    Timer(Timer, Option<u64>),
    /// The turn is over. Nothing follows.
    Finish(Ending),
    /// The turn is somebody else's: forget it without a word. Nothing follows.
    Drop,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// Outcome.
    pub outcome: TurnOutcome,
    /// A sentence for the person, when it did not end well.
    pub error: Option<String>,
    /// What is said, in order.
    pub replies: Vec<String>,
    /// Tokens of the whole turn.
    pub usage: Usage,
}
