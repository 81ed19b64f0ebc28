//! The turn's requests to the gateway, repeated for as long as that makes sense.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use creel_ipc::msg::agent::{
    ContextPage, JournalStep, PageParams, StepBegin, StepBeginParams, StepBegun, StepEnd, StepEndParams,
    TurnAsk, TurnAskParams, TurnContext, TurnDone, TurnDoneParams, TurnJournal, TurnRef,
};
use creel_ipc::msg::transcript::Entry;
use creel_ipc::{ErrorClass, Request};
use creel_link::{CallError, Link};

use super::action::{Call, Input};
use super::tokens;

/// Longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The journal of one turn. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    link: Link,
    turn: Arc<str>,
    /// Raised when the gateway starts the same turn again under a new epoch.
    epoch: Arc<AtomicU64>,
}

impl Journal {
    /// The journal of a turn.
    pub fn new(link: Link, turn: &str, epoch: Arc<AtomicU64>) -> Self {
        Self { link, turn: turn.into(), epoch }
    }

    fn turn(&self) -> TurnRef {
        TurnRef { turn: self.turn.as_ref().to_owned(), epoch: self.epoch.load(Ordering::Acquire) }
    }

    /// Asks until there is an answer that time will not change.
    async fn ask<M: Request>(&self, params: impl Fn(TurnRef) -> M::Params) -> Result<M::Result, CallError> {
        let mut pause = Duration::from_millis(100);
        loop {
            let turn = self.turn();
            let epoch = turn.epoch;
            let error = match self.link.call::<M>(&params(turn)).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            match error.class() {
                ErrorClass::Conflict if self.epoch.load(Ordering::Acquire) != epoch => {}
                ErrorClass::Transient | ErrorClass::RetryAfter => {
                    tracing::warn!(method = M::METHOD, %error, "the gateway asks to try again");
                    let asked = match &error {
                        CallError::Refused(refused) => {
                            refused.data.as_ref().and_then(|data| data.retry_after_ms)
                        }
                        _ => None,
                    };
                    let asked = Duration::from_millis(asked.unwrap_or(0)).min(MAX_PAUSE);
                    tokio::time::sleep(pause.max(asked)).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                _ => return Err(error),
            }
        }
    }

    /// The transcript before the turn, oldest first, as far back as `window` tokens reach.
    ///
    /// # Errors
    /// What the gateway said, when repeating would not help.
    pub async fn history(&self, window: u64) -> Result<Vec<Entry>, CallError> {
        let mut pages: Vec<ContextPage> = Vec::new();
        let mut size = 0;
        let mut cursor = None;
        loop {
            let page = self.ask::<TurnContext>(|turn| PageParams { turn, cursor }).await?;
            size += tokens::of_entries(&page.entries);
            let next = page.next;
            // A cursor that does not move would never end.
            let stuck = page.entries.is_empty() || next == cursor;
            pages.push(page);
            if size > window || next.is_none() || stuck {
                break;
            }
            cursor = next;
        }
        Ok(pages.into_iter().rev().flat_map(|page| page.entries).collect())
    }

    /// The steps that an earlier life journalled.
    ///
    /// # Errors
    /// What the gateway said, when repeating would not help.
    pub async fn steps(&self) -> Result<Vec<JournalStep>, CallError> {
        let mut steps = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.ask::<TurnJournal>(|turn| PageParams { turn, cursor }).await?;
            let stuck = page.steps.is_empty() || page.next == cursor;
            steps.extend(page.steps);
            if page.next.is_none() || stuck {
                return Ok(steps);
            }
            cursor = page.next;
        }
    }

    /// Journals that a tool call begins.
    pub async fn begin(&self, call: Call) -> Input {
        let params = |turn| StepBeginParams {
            turn,
            step: call.step,
            name: call.name.clone(),
            call_id: call.id.clone(),
            arguments: call.arguments.clone(),
        };
        let known: Result<StepBegun, CallError> = self.ask::<StepBegin>(params).await;
        match known {
            Ok(known) => Input::Begun { step: call.step, known },
            Err(error) => refused(&error),
        }
    }

    /// Asks people what becomes of a call. This may take as long as they do.
    pub async fn consult(&self, call: Call) -> Input {
        // The command line is what a person can judge; of another tool all that it was told.
        let what = call.arguments["command"].as_str();
        let what = what.map_or_else(|| call.arguments.to_string(), str::to_owned);
        let params =
            |turn| TurnAskParams { turn, step: call.step, name: call.name.clone(), what: what.clone() };
        match self.ask::<TurnAsk>(params).await {
            Ok(decided) => Input::Decided { step: call.step, decision: decided.decision },
            Err(error) => refused(&error),
        }
    }

    /// Journals a step's result.
    pub async fn end(&self, step: u32, entry: Entry) -> Input {
        let params = |turn| StepEndParams { turn, step, entry: entry.clone() };
        match self.ask::<StepEnd>(params).await {
            Ok(_) => Input::Ended { step },
            Err(error) => refused(&error),
        }
    }

    /// Ends the turn.
    ///
    /// # Errors
    /// What the gateway said, when repeating would not help.
    pub async fn done(&self, done: impl Fn(TurnRef) -> TurnDoneParams) -> Result<(), CallError> {
        self.ask::<TurnDone>(done).await.map(|_| ())
    }
}

/// What a failed request means for the turn.
pub fn refused(error: &CallError) -> Input {
    match error.class() {
        // When the link is gone, this process ends; the next life goes on from the journal.
        ErrorClass::Conflict | ErrorClass::UnknownOutcome => Input::Lost,
        _ => Input::Refused { reason: error.to_string() },
    }
}
