//! Replies shown while they are written: one message, edited; the final text takes its place.

use creel_channel_core::Drafted;
use creel_ipc::msg::channel::Route;
use serde_json::json;

use super::api::Failure;
use super::html::{self, Part};
use super::send::{chat_id, plain};
use super::{Telegram, lock};

/// An edit can be repeated without harm.
const EDITS: u32 = 3;
/// Drafts whose text is remembered.
const MOST: usize = 256;

impl Telegram {
    pub(super) async fn show_draft(&self, route: &Route, text: &str, shown: Option<&str>) -> Drafted {
        if self.check_hold(&route.chat_id).is_err() {
            return Drafted::Later(self.pace.draft);
        }
        // What does not fit into one message comes with the final text.
        let Some(part) = html::parts(text, self.text_limit()).into_iter().next() else {
            return Drafted::Later(self.pace.draft);
        };
        let outcome = match shown {
            None => self.say(route, &part, true).await,
            Some(id) if lock(&self.drafts).get(&place(route, id)) == Some(&part.html) => Ok(id.to_owned()),
            Some(id) => self.edit(route, id, &part).await.map(|()| id.to_owned()),
        };
        match outcome {
            Ok(id) => {
                let mut drafts = lock(&self.drafts);
                if drafts.len() >= MOST {
                    drafts.clear();
                }
                drafts.insert(place(route, &id), part.html);
                Drafted::Shown(id)
            }
            Err(failure) => {
                tracing::debug!("A draft is not shown: {failure}");
                self.hold_after(&failure, &route.chat_id);
                match (failure, shown) {
                    (Failure::Refused { code: 429, retry_after, .. }, _) => {
                        Drafted::Later(retry_after.unwrap_or(self.pace.retry.1))
                    }
                    (Failure::NotSent(_), _) | (Failure::Lost(_), Some(_)) => {
                        Drafted::Later(self.pace.retry.0)
                    }
                    // It may be shown without our knowing its id: a second one would say everything twice.
                    (Failure::Lost(_), None) | (Failure::Refused { .. }, _) => Drafted::GaveUp,
                }
            }
        }
    }

    /// The final text takes the place of the draft. Where that cannot be, it is a message of its own.
    pub(super) async fn finish_draft(
        &self,
        route: &Route,
        draft: &str,
        part: &Part,
    ) -> Result<String, Failure> {
        lock(&self.drafts).remove(&place(route, draft));
        let mut attempt = 1;
        loop {
            match self.edit(route, draft, part).await {
                Ok(()) => return Ok(draft.to_owned()),
                Err(Failure::Lost(why)) if attempt < EDITS => {
                    tracing::debug!("The last edit of a draft is repeated: {why}");
                    tokio::time::sleep(self.pace.retry.0 * attempt).await;
                    attempt += 1;
                }
                Err(Failure::Refused { code: 400, description, .. }) => {
                    tracing::warn!(?description, "A draft cannot be edited; the text is a new message.");
                    return self.say(route, part, true).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn edit(&self, route: &Route, id: &str, part: &Part) -> Result<(), Failure> {
        let mut params = json!({
            "chat_id": chat_id(&self.current(&route.chat_id)),
            "message_id": id.parse::<i64>().unwrap_or(0),
            "text": part.html,
            "parse_mode": "HTML",
        });
        let outcome = match self.call(route, "editMessageText", &mut params).await {
            Err(failure) if failure.says("can't parse entities") => {
                plain(&mut params, part);
                self.call(route, "editMessageText", &mut params).await
            }
            outcome => outcome,
        };
        match outcome {
            Ok(_) => Ok(()),
            Err(failure) if failure.says("message is not modified") => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

fn place(route: &Route, id: &str) -> String {
    format!("{}:{id}", route.chat_id)
}
