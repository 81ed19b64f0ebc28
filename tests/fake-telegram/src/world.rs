//! Everything the server knows: bots, chats, messages, files, and what bots said.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::fault::Script;

/// Milliseconds that an unconfirmed update is kept.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// Something that a bot said and the server accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Position in the order of acceptance, from 1.
    pub seq: u64,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The bot.
    pub token: String,
    /// The method, such as `sendMessage`.
    pub method: String,
    /// Where.
    pub chat_id: i64,
    /// The topic.
    pub thread: Option<i64>,
    /// The message, new or edited; none for a chat action.
    pub message_id: Option<i64>,
    /// The message it replies to.
    pub reply_to: Option<i64>,
    /// The text (or caption, or action) as readers see it, without markup.
    pub text: String,
    /// Its entities.
    pub entities: Vec<Value>,
    /// Its file.
    pub file: Option<SentFile>,
    /// Whether the client was told that it was accepted.
    pub answered: bool,
    /// All parameters as they came.
    pub params: Value,
}

/// A file that a bot sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    /// The file's name.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// Its size.
    pub bytes: usize,
    /// Lower-case hex SHA-256 of its content.
    pub sha256: String,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) bots: HashMap<String, Bot>,
    pub(crate) revoked: HashSet<String>,
    pub(crate) chats: HashMap<i64, Chat>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) files: HashMap<String, Stored>,
    pub(crate) calls: HashMap<String, u64>,
    /// Calls that met a fault after which the client cannot know what became of them.
    pub(crate) hidden: HashMap<String, u64>,
    pub(crate) script: Script,
    pub(crate) polls: Polls,
    /// Milliseconds that the clock was put forward.
    pub(crate) ahead_ms: i64,
}

/// Who polls a bot. A client is known by its `apiRoot`: `…/as/NAME`.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    /// Polls that wait now, by the bot's token and the client.
    now: BTreeMap<(String, String), u32>,
    /// Each time that a client began to poll a bot that another one polled.
    pub(crate) beside: Vec<(String, String)>,
    /// Everybody who ever polled, in the order in which they began, without repetitions in a row.
    pub(crate) clients: Vec<String>,
}

impl Polls {
    pub(crate) fn begin(&mut self, token: &str, client: &str) {
        let others = self.now.keys().filter(|(polled, other)| polled == token && other != client);
        let others: Vec<_> = others.map(|(_, other)| (other.clone(), client.to_owned())).collect();
        self.beside.extend(others);
        *self.now.entry((token.to_owned(), client.to_owned())).or_default() += 1;
        if self.clients.last().is_none_or(|last| last != client) {
            self.clients.push(client.to_owned());
        }
    }

    pub(crate) fn end(&mut self, token: &str, client: &str) {
        let key = (token.to_owned(), client.to_owned());
        if let Some(polls) = self.now.get_mut(&key) {
            *polls -= 1;
            if *polls == 0 {
                self.now.remove(&key);
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Bot {
    pub(crate) id: i64,
    pub(crate) updates: VecDeque<Update>,
    pub(crate) next_update: i64,
    pub(crate) webhook: Option<String>,
    pub(crate) allowed: Option<Vec<String>>,
    /// Names the poll that may wait; an older one is ended with 409.
    pub(crate) poll: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Update {
    pub(crate) id: i64,
    pub(crate) at_ms: i64,
    pub(crate) kind: String,
    pub(crate) body: Value,
    /// Comes once more although it was confirmed.
    pub(crate) again: bool,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Chat {
    pub(crate) kind: String,
    pub(crate) title: Option<String>,
    pub(crate) forum: bool,
    pub(crate) topics: BTreeSet<i64>,
    pub(crate) blocked: bool,
    pub(crate) migrated_to: Option<i64>,
    pub(crate) next_message: i64,
    pub(crate) messages: BTreeMap<i64, Value>,
}

#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) path: String,
    pub(crate) content: Vec<u8>,
    /// What the API claims as its size.
    pub(crate) size: u64,
}

impl Bot {
    fn new(id: i64) -> Self {
        Self {
            id,
            updates: VecDeque::new(),
            next_update: 100_000 + id,
            webhook: None,
            allowed: None,
            poll: 0,
        }
    }

    pub(crate) fn username(&self) -> String {
        format!("creel{}_bot", self.id)
    }

    pub(crate) fn user(&self) -> Value {
        json!({"id": self.id, "is_bot": true, "first_name": "Creel", "username": self.username()})
    }
}

impl Chat {
    pub(crate) fn show(&self, id: i64) -> Value {
        let mut chat = Map::new();
        chat.insert("id".into(), id.into());
        chat.insert("type".into(), self.kind.clone().into());
        if let Some(title) = &self.title {
            chat.insert("title".into(), title.clone().into());
        }
        if self.forum {
            chat.insert("is_forum".into(), true.into());
        }
        Value::Object(chat)
    }

    pub(crate) fn take_message_id(&mut self) -> i64 {
        self.next_message += 1;
        self.next_message
    }
}

impl State {
    pub(crate) fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(self.ahead_ms)
    }

    /// The bot of a token; every token of the right form has one.
    pub(crate) fn bot(&mut self, token: &str) -> Option<&mut Bot> {
        if self.revoked.contains(token) {
            return None;
        }
        let (id, _) = token.split_once(':')?;
        let id = id.parse().ok()?;
        Some(self.bots.entry(token.to_owned()).or_insert_with(|| Bot::new(id)))
    }

    /// Queues an update of a kind for a bot.
    pub(crate) fn queue(&mut self, token: &str, kind: &str, body: Value) -> Option<i64> {
        let at_ms = self.now_ms();
        let twice = self.script.duplicates_with_new_id();
        let bot = self.bot(token)?;
        let id = bot.next_update;
        for _ in 0..if twice { 2 } else { 1 } {
            let id = bot.next_update;
            bot.next_update += 1;
            bot.updates.push_back(Update {
                id,
                at_ms,
                kind: kind.to_owned(),
                body: body.clone(),
                again: false,
            });
        }
        Some(id)
    }

    /// Forgets what the client confirmed (everything below `offset`) and what is too old.
    pub(crate) fn confirm(&mut self, token: &str, offset: i64) {
        let oldest = self.now_ms() - KEPT_MS;
        let Some(bot) = self.bots.get_mut(token) else { return };
        let script = &mut self.script;
        bot.updates.retain_mut(|update| {
            if update.at_ms < oldest {
                return false;
            }
            if update.id >= offset {
                return true;
            }
            if !update.again && script.duplicates_with_same_id() {
                update.again = true;
                return true;
            }
            false
        });
    }
}

/// The state, and a signal for whoever waits for it to change.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Default for World {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

/// The state under its lock; letting go of it wakes whoever waits.
pub(crate) struct Guard<'a>(MutexGuard<'a, State>, &'a watch::Sender<()>);

impl std::ops::Deref for Guard<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.0
    }
}

impl std::ops::DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.1.send_replace(());
    }
}

impl World {
    pub(crate) fn state(&self) -> Guard<'_> {
        Guard(self.state.lock().unwrap_or_else(PoisonError::into_inner), &self.changed)
    }

    /// Looks without waking anybody.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `found` finds something.
    pub(crate) async fn when<T>(&self, found: impl Fn(&State) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(it) = self.peek(|state| found(state)) {
                return it;
            }
            // The sender lives as long as the world.
            let _never = changed.changed().await;
        }
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
