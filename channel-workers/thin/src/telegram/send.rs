//! The way out: one part after the other, each told as soon as the platform has it.

use std::time::Duration;

use creel_channel_core::Order;
use creel_ipc::msg::channel::Route;
use creel_ipc::{ErrorClass, RpcError};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::Failure;
use super::html::{self, Part};
use super::{Telegram, lock};

/// The General topic of a forum: its messages name no topic, its chat actions do.
const GENERAL: &str = "1";

impl Telegram {
    pub(super) async fn deliver(&self, order: &Order) -> Result<(), RpcError> {
        let route = &order.params.route;
        self.check_hold(&route.chat_id)?;
        let texts = html::parts(&order.params.text, self.text_limit());
        let done = usize::try_from(order.parts.sent()).unwrap_or(usize::MAX);
        for (index, part) in texts.iter().enumerate().skip(done) {
            let outcome = match (&order.draft_message, index) {
                (Some(draft), 0) => self.finish_draft(route, draft, part).await,
                _ => self.say(route, part, index == 0).await,
            };
            let id = outcome.map_err(|failure| self.error(&failure, &route.chat_id))?;
            order.parts.delivered(&id).await;
        }
        let mut refused = None;
        for (index, attachment) in order.params.attachments.iter().enumerate() {
            let index = index + texts.len();
            if index < done {
                continue;
            }
            match self.send_file(route, attachment, index == 0).await {
                Ok(id) => order.parts.delivered(&id).await,
                Err(error) if error.class() == ErrorClass::BadRequest => {
                    // The other files may well be taken.
                    order.parts.passed_over();
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Says one part and returns the message's id.
    pub(super) async fn say(&self, route: &Route, part: &Part, first: bool) -> Result<String, Failure> {
        let mut params = self.message(route, first);
        params["text"] = part.html.clone().into();
        params["parse_mode"] = "HTML".into();
        let outcome = match self.call(route, "sendMessage", &mut params).await {
            Err(failure) if failure.says("can't parse entities") => {
                tracing::warn!(
                    "The platform does not take the markup of a message; it goes out as plain text: {failure}"
                );
                plain(&mut params, part);
                self.call(route, "sendMessage", &mut params).await
            }
            outcome => outcome,
        };
        message_id(&outcome?)
    }

    /// The parameters that every new message has.
    pub(super) fn message(&self, route: &Route, first: bool) -> Value {
        let mut params = json!({"chat_id": chat_id(&self.current(&route.chat_id))});
        if let Some(topic) = topic(route).filter(|_| route.thread.as_deref() != Some(GENERAL)) {
            params["message_thread_id"] = topic.into();
        }
        let quoted = route.reply_to.as_deref().and_then(|id| id.parse::<i64>().ok());
        if let Some(id) = quoted.filter(|_| first) {
            params["reply_parameters"] = json!({"message_id": id, "allow_sending_without_reply": true});
        }
        params
    }

    /// Calls a method of a chat; a group that got a new id is followed once.
    pub(super) async fn call(
        &self,
        route: &Route,
        method: &str,
        params: &mut Value,
    ) -> Result<Value, Failure> {
        match self.api.call(method, params, self.pace.call).await {
            Err(Failure::Refused { migrated_to: Some(new), .. }) => {
                self.follow(route, new);
                params["chat_id"] = new.into();
                self.api.call(method, params, self.pace.call).await
            }
            outcome => outcome,
        }
    }

    pub(super) fn follow(&self, route: &Route, new: i64) {
        tracing::warn!(old = ?route.chat_id, new, "A group became a supergroup and has a new id.");
        lock(&self.moved).insert(route.chat_id.clone(), new.to_string());
    }

    /// The chat's id now.
    pub(super) fn current(&self, chat_id: &str) -> String {
        lock(&self.moved).get(chat_id).cloned().unwrap_or_else(|| chat_id.to_owned())
    }

    pub(super) async fn show_typing(&self, route: &Route) {
        if self.check_hold(&route.chat_id).is_err() {
            return;
        }
        let mut params = json!({"chat_id": chat_id(&self.current(&route.chat_id)), "action": "typing"});
        if let Some(topic) = topic(route) {
            params["message_thread_id"] = topic.into();
        }
        if let Err(failure) = self.api.call("sendChatAction", &params, self.pace.typing).await {
            tracing::debug!("Typing is not shown: {failure}");
            self.hold_after(&failure, &route.chat_id);
        }
    }

    /// Refuses while the platform wants to be left alone with a chat.
    pub(super) fn check_hold(&self, chat_id: &str) -> Result<(), RpcError> {
        let mut held = lock(&self.held);
        let now = Instant::now();
        held.retain(|_, until| *until > now);
        match held.get(chat_id) {
            Some(until) => Err(pause(*until - now)),
            None => Ok(()),
        }
    }

    /// Notes how long the platform wants to be left alone.
    pub(super) fn hold_after(&self, failure: &Failure, chat_id: &str) {
        if let Failure::Refused { code: 429, retry_after, .. } = failure {
            let until = Instant::now() + retry_after.unwrap_or(self.pace.retry.1);
            lock(&self.held).insert(chat_id.to_owned(), until);
        }
    }

    /// The failure in the gateway's terms.
    pub(super) fn error(&self, failure: &Failure, chat_id: &str) -> RpcError {
        self.hold_after(failure, chat_id);
        let (class, sentence) = match failure {
            Failure::NotSent(_) => (ErrorClass::Transient, format!("The message was not sent: {failure}.")),
            Failure::Lost(_) => {
                (ErrorClass::UnknownOutcome, format!("The message may or may not have been sent: {failure}."))
            }
            Failure::Refused { code: 429, retry_after, .. } => {
                return pause(retry_after.unwrap_or(self.pace.retry.1));
            }
            failure if failure.is_about_the_token() => {
                (ErrorClass::AuthFatal, "Telegram refuses the bot token.".to_owned())
            }
            Failure::Refused { code: 403, .. } => (
                ErrorClass::BadRequest,
                format!("The bot is blocked or not a member of chat {chat_id}: {failure}."),
            ),
            failure => (ErrorClass::BadRequest, format!("Telegram refuses the message: {failure}.")),
        };
        RpcError::new(class, sentence)
    }
}

fn pause(pause: Duration) -> RpcError {
    let told = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1);
    RpcError::retry_after("Telegram asks for a pause in this chat.", told)
}

/// Numbers as numbers, `@names` as they are.
pub(super) fn chat_id(id: &str) -> Value {
    id.parse::<i64>().map_or_else(|_| id.into(), Value::from)
}

pub(super) fn topic(route: &Route) -> Option<i64> {
    route.thread.as_deref()?.parse().ok()
}

pub(super) fn plain(params: &mut Value, part: &Part) {
    params["text"] = part.plain.clone().into();
    if let Some(params) = params.as_object_mut() {
        params.remove("parse_mode");
    }
}

/// The id of a message that was accepted.
pub(super) fn message_id(message: &Value) -> Result<String, Failure> {
    let id = message["message_id"].as_i64().map(|id| id.to_string());
    id.ok_or_else(|| Failure::Lost("it told no message id".to_owned()))
}
