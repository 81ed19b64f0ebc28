//! Telegram by the Bot API: long polling in, HTML out.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use creel_channel_core::{Account, Drafted, Order, Pending, Ports};
use creel_ipc::RpcError;
use creel_ipc::msg::channel::{ChannelConfig, Route};
use tokio::time::Instant;

use crate::Surroundings;

mod api;
mod draft;
mod fetch;
mod html;
mod poll;
mod send;
mod settings;
mod update;
mod upload;

use api::Api;
use settings::TelegramSettings;

/// How fast things go. Tests make them faster.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The first pause after a failure, and the longest.
    pub retry: (Duration, Duration),
    /// Pause beyond the poll timeout when another program polls the same bot.
    pub conflict: Duration,
    /// Time for one call.
    pub call: Duration,
    /// Time for a poll beyond its timeout.
    pub poll_margin: Duration,
    /// Without a completed poll for so long, new connections are made.
    pub watchdog: Duration,
    /// How often typing is shown again.
    pub typing: Duration,
    /// The least time between two versions of a draft.
    pub draft: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            retry: (Duration::from_secs(1), Duration::from_secs(30)),
            conflict: Duration::from_secs(5),
            call: Duration::from_secs(60),
            poll_margin: Duration::from_secs(20),
            watchdog: Duration::from_secs(120),
            typing: Duration::from_secs(5),
            draft: Duration::from_millis(1200),
        }
    }
}

/// One bot.
pub struct Telegram {
    settings: Quiet,
    api: Api,
    pace: Pace,
    blobs: Option<PathBuf>,
    text_limit: AtomicUsize,
    /// Chats that the platform told us to leave alone for a while.
    held: Mutex<HashMap<String, Instant>>,
    /// Groups that got a new id.
    moved: Mutex<HashMap<String, String>>,
    /// What each open draft shows.
    drafts: Mutex<HashMap<String, String>>,
}

/// The settings that are not needed to make the client.
struct Quiet {
    poll_seconds: u64,
    edits: bool,
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Telegram {
    /// The bot that the configuration describes. Does not connect yet.
    ///
    /// # Errors
    /// With class `config_fatal`: which setting is missing or wrong, and what to write.
    pub fn open(config: &ChannelConfig, around: &Surroundings, pace: Pace) -> Result<Self, RpcError> {
        let TelegramSettings { token, api_root, poll_seconds, edits } = TelegramSettings::read(config)?;
        Ok(Self {
            settings: Quiet { poll_seconds, edits },
            api: Api::new(&api_root, token, around)?,
            pace,
            blobs: around.blobs.clone(),
            text_limit: AtomicUsize::new(settings::text_limit(config)),
            held: Mutex::default(),
            moved: Mutex::default(),
            drafts: Mutex::default(),
        })
    }

    fn text_limit(&self) -> usize {
        self.text_limit.load(Ordering::Relaxed)
    }
}

impl Account for Telegram {
    fn run(self: Arc<Self>, ports: Ports) -> Pending<'static, RpcError> {
        Box::pin(async move { self.receive(&ports).await })
    }

    fn send<'a>(&'a self, order: &'a Order) -> Pending<'a, Result<(), RpcError>> {
        Box::pin(self.deliver(order))
    }

    fn typing_every(&self) -> Option<Duration> {
        Some(self.pace.typing)
    }

    fn typing<'a>(&'a self, route: &'a Route) -> Pending<'a, ()> {
        Box::pin(self.show_typing(route))
    }

    fn draft_every(&self) -> Option<Duration> {
        Some(self.pace.draft)
    }

    fn draft<'a>(&'a self, route: &'a Route, text: &'a str, shown: Option<&'a str>) -> Pending<'a, Drafted> {
        Box::pin(self.show_draft(route, text, shown))
    }

    fn retune(&self, config: &ChannelConfig) {
        self.text_limit.store(settings::text_limit(config), Ordering::Relaxed);
    }
}
