//! Handing a turn's end over to the gateway.

use creel_ipc::msg::agent::{Reply, TurnDoneParams, TurnOutcome};
use creel_ipc::msg::transcript::Usage;

use super::action::{Ending, Input};
use super::journal::{Journal, refused};

/// The end of a turn that said nothing.
pub(super) fn ending(outcome: TurnOutcome, error: Option<String>) -> Ending {
    Ending { outcome, error, replies: Vec::new(), usage: Usage::default() }
}

/// Tells the gateway until it has heard, or until the turn is somebody else's.
pub(super) async fn end(journal: &Journal, ended: Ending) {
    let Ending { outcome, usage, .. } = &ended;
    tracing::info!(?outcome, input = usage.input, output = usage.output, error = ended.error, "a turn ended");
    let replies: Vec<Reply> =
        ended.replies.into_iter().map(|text| Reply { text, attachments: Vec::new() }).collect();
    let done = journal
        .done(|turn| TurnDoneParams {
            turn,
            outcome: ended.outcome,
            error: ended.error.clone(),
            replies: replies.clone(),
            usage: ended.usage,
        })
        .await;
    match done.as_ref().map_err(refused) {
        Ok(()) | Err(Input::Lost) => {}
        Err(_) => {
            let error = done.err().map_or_else(String::new, |error| error.to_string());
            tracing::error!(error, "the end of the turn was refused");
            // Most likely the replies are too much for a frame.
            let sentence = format!("The answer could not be handed over. {error}");
            let short = journal
                .done(|turn| TurnDoneParams {
                    turn,
                    outcome: TurnOutcome::Failed,
                    error: Some(sentence.clone()),
                    replies: Vec::new(),
                    usage: ended.usage,
                })
                .await;
            if let Err(error) = short {
                tracing::error!(%error, "the end of the turn was refused again");
            }
        }
    }
}
