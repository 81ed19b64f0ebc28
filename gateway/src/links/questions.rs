//! What people are asked when nobody knows what became of a step: the words, and the wait for an answer.

use std::sync::Arc;
use std::time::Duration;

use creel_ipc::msg::agent::{Decided, Decision, TurnAskParams, TurnRef};
use creel_ipc::{ErrorClass, RpcError};
use tokio::time::Instant;

use super::agent::durable;
use super::worker::Attached;
use crate::core::{Core, now_ms, question_row};
use crate::hub::CoreEvent;
use crate::lane::Signal;
use crate::store::{Asked, Kept, NewQuestion, QuestionRecord};

/// How often it is looked whether an answer came in on another host.
const LOOK: Duration = Duration::from_secs(1);
/// Questions that are looked through; more than agents can have turns.
const MANY: u32 = 10_000;
/// Characters of a command that people are shown.
const SHOWN: usize = 1_000;

/// Asks people what becomes of a step and waits for what they say, over lives of agents and gateways.
///
/// # Errors
/// When the turn is another life's, and when this gateway is about to end.
pub(super) async fn ask(this: Attached, params: TurnAskParams) -> Result<Decided, RpcError> {
    let settings = this.core.settings();
    let agent = settings.config.agent(this.name());
    let Some(patience) = agent.and_then(|agent| agent.tools.exec.patience_for_interrupted()) else {
        return Ok(Decided { decision: Decision::Unasked });
    };
    let TurnAskParams { turn, step, name, what } = params;
    let what = shown(&what);
    let question = NewQuestion {
        step,
        text: words(&name, &what, patience),
        tool: name,
        what,
        patience_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        now_ms: now_ms(),
    };
    let mut waits: Option<Waits> = None;
    loop {
        let (of, asked) = (turn.clone(), question.clone());
        let left_ms = match durable(&this, move |store| store.ask(&of, &asked)).await? {
            Asked::Decided(decision) => {
                tracing::info!("What becomes of step {step} of turn {} is decided: {decision:?}.", turn.turn);
                if let Some(waits) = &mut waits {
                    waits.decision = Some(decision);
                }
                return Ok(Decided { decision });
            }
            Asked::Open { left_ms } => left_ms,
        };
        let ends = Instant::now() + Duration::from_millis(left_ms);
        loop {
            match open(&this.core, &turn, step).await {
                Ok(Some(record)) if waits.is_none() => waits = Some(Waits::begin(&this, record)),
                // What cannot be read now can be in a moment.
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
            let now = Instant::now();
            if now >= ends {
                break;
            }
            tokio::select! {
                () = this.core.answers.notified() => {}
                () = tokio::time::sleep_until(ends.min(now + LOOK)) => {}
                () = this.gone.cancelled() => return Err(gone()),
                () = this.core.stopping.cancelled() => return Err(gone()),
            }
        }
    }
}

async fn open(core: &Core, turn: &TurnRef, step: u32) -> Kept<Option<QuestionRecord>> {
    let questions = core.desk.read(|store| store.questions(MANY)).await?;
    Ok(questions.into_iter().find(|open| open.turn == turn.turn && open.step == step))
}

fn gone() -> RpcError {
    RpcError::new(ErrorClass::Transient, "The gateway is about to end; the question stays.")
}

/// While this lives the turn's own time stands still, and clients know that something is asked.
struct Waits {
    core: Arc<Core>,
    record: QuestionRecord,
    decision: Option<Decision>,
}

impl Waits {
    fn begin(this: &Attached, record: QuestionRecord) -> Self {
        tracing::warn!(
            "Nobody knows what became of a command of {}; people are asked what becomes of it (`creel inbox`).",
            record.lane
        );
        this.core.tell(CoreEvent::Asked(question_row(record.clone())));
        let waits = Self { core: Arc::clone(&this.core), record, decision: None };
        if let Some(account) = waits.tell(Signal::Asked) {
            this.core.wake_pump(&account);
        }
        waits
    }

    /// Tells who waits for the turn, and says the account that it came in on.
    fn tell(&self, what: Signal) -> Option<String> {
        let state = self.core.state();
        let running = state.turns.get(&self.record.turn)?;
        // A full queue holds an ending already.
        let _full = running.signal.try_send(what);
        Some(running.account.clone())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.tell(Signal::Answered);
        self.core.tell(CoreEvent::Decided { id: self.record.id, decision: self.decision });
    }
}

/// As much of a command as people are shown, without what would end the block that it is shown in.
fn shown(what: &str) -> String {
    let mut shown: String = what.chars().take(SHOWN).collect();
    if shown.len() < what.len() {
        shown.push('…');
    }
    shown.replace("```", "'''")
}

/// What is said where the turn was asked for.
fn words(tool: &str, what: &str, patience: Duration) -> String {
    let minutes = patience.as_secs().div_ceil(60);
    let minutes = if minutes == 1 { "a minute".to_owned() } else { format!("{minutes} minutes") };
    format!(
        "I was interrupted in the middle of this, and nobody knows what became of it ({tool}):\n\n```\n{what}\n```\n\n\
         Answer `/again` and I run it once more, `/skip` and I go on without, or `/stop`. Without an answer within \
         {minutes} I do not run it again."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_are_asked() {
        insta::assert_snapshot!(words("exec", &shown("make deploy\necho ```"), Duration::from_secs(900)));
        assert!(words("exec", "x", Duration::from_secs(60)).contains("within a minute"));
        assert_eq!(shown(&"ä".repeat(2_000)).chars().count(), 1_001);
    }
}
