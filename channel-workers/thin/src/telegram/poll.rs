//! The way in: long polls, and an offset that moves only when everything before it is durable.

use std::convert::Infallible;
use std::time::Duration;

use creel_channel_core::inbound::Gone;
use creel_channel_core::{Backoff, Ports, backoff};
use creel_ipc::{ErrorClass, RpcError};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Telegram;
use super::api::Failure;
use super::update::{self, Me};

/// Files of so many updates are fetched at a time.
const FETCHES: usize = 4;
/// After a week without updates the platform begins anew with a random id. An old offset would then hide updates;
/// unconfirmed ones live for a day, so nothing comes back without it.
const OFFSET_KEPT: Duration = Duration::from_secs(6 * 24 * 3600);

/// Where the polls are.
struct Cursor {
    offset: Option<i64>,
    moved: Instant,
}

impl Telegram {
    /// Receives until a human must act.
    pub(super) async fn receive(&self, ports: &Ports) -> RpcError {
        let me = match self.learn_name(ports).await {
            Ok(me) => me,
            Err(fatal) => return fatal,
        };
        match self.poll_on(ports, &me).await {
            Ok(never) => match never {},
            Err(fatal) => fatal,
        }
    }

    async fn learn_name(&self, ports: &Ports) -> Result<Me, RpcError> {
        let mut backoff = Backoff::new(self.pace.retry.0, self.pace.retry.1);
        loop {
            let failure = match self.api.poll("getMe", &json!({}), self.pace.call).await {
                Ok(me) => match (me["id"].as_i64(), me["username"].as_str()) {
                    (Some(id), Some(username)) => {
                        ports.board.named(username);
                        tracing::info!(?username, "The bot is known to the Bot API.");
                        return Ok(Me { id, username: username.to_owned() });
                    }
                    _ => Failure::Lost("getMe told no name".to_owned()),
                },
                Err(failure) => failure,
            };
            self.after(&failure, ports, &mut backoff).await?;
        }
    }

    async fn poll_on(&self, ports: &Ports, me: &Me) -> Result<Infallible, RpcError> {
        let mut cursor = Cursor { offset: None, moved: Instant::now() };
        let mut backoff = Backoff::new(self.pace.retry.0, self.pace.retry.1);
        let mut completed = Instant::now();
        // A predecessor's poll may still be held by the server: look first, wait later.
        let mut wait = 0;
        loop {
            if cursor.moved.elapsed() > OFFSET_KEPT {
                cursor.offset = None;
            }
            match self.poll_once(cursor.offset, wait).await {
                Ok(updates) => {
                    ports.board.alive();
                    ports.vitals.progress();
                    backoff.reset();
                    wait = self.settings.poll_seconds;
                    self.take(updates, ports, me, &mut cursor).await;
                    completed = Instant::now();
                }
                Err(failure) if failure.says("webhook is active") => {
                    tracing::warn!(
                        "A webhook is set for this bot; it is removed, and what is waiting is kept."
                    );
                    let keep = json!({"drop_pending_updates": false});
                    if let Err(failure) = self.api.poll("deleteWebhook", &keep, self.pace.call).await {
                        self.after(&failure, ports, &mut backoff).await?;
                    }
                }
                Err(failure) if failure.code() == Some(409) => {
                    self.yield_to_other(ports).await;
                    wait = 0;
                }
                Err(failure) => {
                    self.after(&failure, ports, &mut backoff).await?;
                    if completed.elapsed() > self.pace.watchdog {
                        tracing::warn!("No poll was completed for long; new connections are made.");
                        self.api.renew_polls();
                        completed = Instant::now();
                        wait = 0;
                    }
                }
            }
        }
    }

    async fn poll_once(&self, offset: Option<i64>, wait: u64) -> Result<Vec<Value>, Failure> {
        let mut kinds = vec!["message", "channel_post"];
        if self.settings.edits {
            kinds.extend(["edited_message", "edited_channel_post"]);
        }
        let mut params = json!({"timeout": wait, "limit": 100, "allowed_updates": kinds});
        if let Some(offset) = offset {
            params["offset"] = offset.into();
        }
        let most = Duration::from_secs(wait) + self.pace.poll_margin;
        match self.api.poll("getUpdates", &params, most).await? {
            Value::Array(updates) => Ok(updates),
            _ => Err(Failure::Lost("getUpdates told no list".to_owned())),
        }
    }

    /// Another program polls the same bot. Whoever is meant to will win; until then the old poll may be held for its
    /// whole timeout, so coming back sooner would only end each other's polls.
    async fn yield_to_other(&self, ports: &Ports) {
        let sentence = "Another program receives the updates of this bot. Stop it, or give this account a bot of its own.";
        tracing::warn!("{sentence}");
        ports.board.connecting(Some(RpcError::new(ErrorClass::Conflict, sentence)));
        self.api.renew_polls();
        let poll = Duration::from_secs(self.settings.poll_seconds);
        let pause = poll + self.pace.conflict;
        tokio::time::sleep(pause + backoff::jitter(self.pace.conflict)).await;
    }

    /// Waits after a failure, or says that there is no use in waiting.
    async fn after(&self, failure: &Failure, ports: &Ports, backoff: &mut Backoff) -> Result<(), RpcError> {
        if failure.is_about_the_token() {
            let sentence = "Telegram refuses the bot token. Write a new token of @BotFather into `botToken`, and check `apiRoot`.";
            return Err(RpcError::new(ErrorClass::AuthFatal, sentence));
        }
        let (error, pause) = match failure {
            Failure::Refused { code: 429, retry_after, .. } => {
                let pause = retry_after.unwrap_or(self.pace.retry.1);
                let told = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                (RpcError::retry_after("Telegram asks for a pause.", told), pause)
            }
            failure => {
                let sentence = format!("Telegram is not reached: {failure}.");
                (RpcError::new(ErrorClass::Transient, sentence), backoff.pause())
            }
        };
        tracing::warn!(?pause, "{error}");
        ports.board.connecting(Some(error));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Hands a batch over in its order. The offset moves when all of it is durable.
    async fn take(&self, updates: Vec<Value>, ports: &Ports, me: &Me, cursor: &mut Cursor) {
        let Some(last) = updates.iter().filter_map(|update| update["update_id"].as_i64()).max() else {
            if !updates.is_empty() {
                // Nothing that could be confirmed: do not ask for the same at full speed.
                tracing::warn!(updates = updates.len(), "Updates without an id are passed over.");
                tokio::time::sleep(self.pace.retry.0).await;
            }
            return;
        };
        let mut fetches = Vec::with_capacity(updates.len());
        for update in &updates {
            match update::read(update, me, self.settings.edits) {
                Ok(message) => fetches.push(self.fetch(message)),
                Err(why) => {
                    tracing::info!(update_id = ?update["update_id"].as_i64(), why, "An update is passed over.");
                }
            }
        }
        let mut fetched = futures_util::stream::iter(fetches).buffered(FETCHES);
        let mut receipts = Vec::new();
        while let Some(inbound) = fetched.next().await {
            receipts.push(ports.inlet.submit(inbound).await);
        }
        for receipt in receipts {
            if receipt.stored().await == Err(Gone) {
                // The process is about to end; the server gives out the batch again.
                return std::future::pending().await;
            }
        }
        cursor.offset = Some(last + 1);
        cursor.moved = Instant::now();
    }
}
