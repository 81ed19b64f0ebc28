//! The outbox of one account: each chat in order, several chats at once, nothing said twice by our own doing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::blob::Attachment;
use creel_ipc::msg::channel::{SendMessage, SendParams};
use creel_ipc::{ErrorClass, RpcError};
use creel_link::{CallError, Link};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::blobs::Missing;
use crate::core::{Core, agent_unit, channel_unit, now_ms};
use crate::hub::OutboxState;
use crate::store::{Held, NewOutbound, Outbound, Settled, StoreError};

/// Chats of one account that are written to at once.
const AT_ONCE: usize = 8;
/// Rows that are looked at.
const LOOK: u32 = 256;
/// The first wait before something is tried again, in milliseconds.
const BACKOFF_MS: u64 = 500;
/// The longest.
const BACKOFF_MAX_MS: u64 = 60_000;
/// The longest that a platform is believed that an account has to wait: a day.
const HOLD_MAX_MS: u64 = 86_400_000;
/// How long a chat waits after a message whose end nobody knows.
const STRAGGLER: Duration = Duration::from_secs(1);
/// Before the store is asked again that did not answer.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// Delivers through one life of an account's worker.
#[derive(Debug, Clone)]
pub(crate) struct Pump {
    pub core: Arc<Core>,
    pub held: Held,
    pub incarnation: u64,
    pub link: Link,
    pub wake: Arc<Notify>,
    pub gone: CancellationToken,
}

/// A send that is over.
struct Landed {
    key: String,
    chat: String,
    /// The store did not take it, so nothing goes out for a moment.
    refused: bool,
}

/// When rows may go, by this machine's own clock, which nobody puts back: a wait that has been seen once gets no longer.
#[derive(Debug, Default)]
struct Pace {
    /// By the moment that the store named.
    due: HashMap<i64, Instant>,
    rest: Option<Instant>,
}

impl Pace {
    /// When this moment of the store's is, told at `now` to be so far away. `seen` gathers what is still waited for.
    fn due(&self, seen: &mut HashMap<i64, Instant>, moment: i64, wait: Duration, now: Instant) -> Instant {
        let told = now + wait;
        let due = self.due.get(&moment).map_or(told, |before| told.min(*before));
        seen.insert(moment, due);
        due.max(self.rest.unwrap_or(due))
    }
}

impl Pump {
    /// Runs until the worker's link ends or the gateway does; then waits for what is on its way.
    pub(crate) async fn run(self) {
        let mut sends: JoinSet<Landed> = JoinSet::new();
        let mut busy: HashSet<String> = HashSet::new();
        let mut pace = Pace::default();
        loop {
            let pause = self.feed(&mut sends, &mut busy, &mut pace).await;
            tokio::select! {
                Some(landed) = sends.join_next() => {
                    if let Ok(landed) = landed {
                        busy.remove(&landed.chat);
                        if landed.refused {
                            pace.rest = Some(Instant::now() + STORE_RETRY);
                        }
                        tracing::debug!("{} has landed.", landed.key);
                    }
                }
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = self.gone.cancelled() => break,
                () = self.core.stopping.cancelled() => break,
            }
        }
        while sends.join_next().await.is_some() {}
    }

    /// Starts what may go now; says how long to wait for what may not yet.
    async fn feed(
        &self,
        sends: &mut JoinSet<Landed>,
        busy: &mut HashSet<String>,
        pace: &mut Pace,
    ) -> Duration {
        const LONG: Duration = Duration::from_secs(60);
        let now = Instant::now();
        let own = self.held.clone();
        let rows = match self.core.desk.read(move |store| store.open_outbound(&own, LOOK)).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!("The outbox of {} cannot be read: {error}", self.held.account());
                return STORE_RETRY;
            }
        };
        let mut next = now + LONG;
        let mut seen = HashMap::new();
        for row in rows {
            let chat =
                row.what.route.chat_id.clone() + "\u{1f}" + row.what.route.thread.as_deref().unwrap_or("");
            if busy.contains(&chat) {
                continue;
            }
            let due = pace.due(&mut seen, row.not_before_ms, Duration::from_millis(row.wait_ms), now);
            if due > now {
                next = next.min(due);
            } else if sends.len() < AT_ONCE
                && let Some(sending) = self.may_send(&row)
            {
                busy.insert(chat.clone());
                let send = self.clone().send(row, chat);
                sends.spawn(async move {
                    let landed = send.await;
                    drop(sending);
                    landed
                });
            }
        }
        pace.due = seen;
        next.saturating_duration_since(Instant::now())
    }

    /// Counts as on its way while the answer is kept. What was begun is brought to its end, also where new work is
    /// held back.
    fn may_send(&self, row: &Outbound) -> Option<Arc<()>> {
        if self.gone.is_cancelled() {
            return None;
        }
        let unit = channel_unit(self.held.account());
        let state = self.core.state();
        let worker = state.workers.get(&unit).filter(|worker| worker.incarnation == self.incarnation)?;
        let may = row.state == OutboxState::Attempting || !state.drains.hold(&unit);
        may.then(|| Arc::clone(&worker.sending))
    }

    async fn send(self, row: Outbound, chat: String) -> Landed {
        let key = row.what.key.clone();
        let landed = |refused| Landed { key: key.clone(), chat: chat.clone(), refused };
        if row.state == OutboxState::Queued && stale(&row, self.patience_ms(), now_ms()) {
            let error = "It had waited too long to be worth saying (messages.outbound.expireAfterMinutes).";
            tracing::warn!("The message {key} to {} is given up: {error}", self.held.account());
            self.settle(&key, Settled::Failed { error: error.to_owned() }).await;
            return landed(false);
        }
        let (own, named, incarnation) = (self.held.clone(), key.clone(), self.incarnation);
        // The attempt is on the disk before the worker hears of it.
        match self.core.desk.write(move |store| store.attempt(&own, &named, incarnation)).await {
            Ok(true) => {}
            Ok(false) => return landed(false),
            Err(error) => {
                tracing::error!("An attempt to send {key} was not stored: {error}");
                return landed(true);
            }
        }
        let (from, to) =
            (agent_unit(row.what.agent.as_deref().unwrap_or_default()), channel_unit(self.held.account()));
        let missing = self.core.settings().blobs.hand_over(&from, &to, &row.what.attachments).await;
        let (text, attachments) = without(&row.what, &missing);
        let params = SendParams {
            key: key.clone(),
            route: row.what.route.clone(),
            text,
            attachments,
            parts_sent: row.parts_sent,
            draft: row.what.draft.clone(),
        };
        let answer = self.link.call::<SendMessage>(&params).await;
        if self.core.stopping.is_cancelled() && matches!(answer, Err(CallError::Closed { .. })) {
            // This gateway lets go; its successor asks the same worker again, or finds it gone.
            return landed(false);
        }
        let settled = match answer {
            Ok(_) => Settled::Sent { now_ms: now_ms() },
            Err(CallError::Refused(error)) => refused(&row, &error, self.patience_ms(), now_ms()),
            Err(error @ CallError::Closed { .. }) => Settled::Unknown { error: error.to_string() },
            Err(error) => Settled::Failed { error: error.to_string() },
        };
        if let Settled::Unknown { error } | Settled::Failed { error } = &settled {
            tracing::warn!("The message {key} to {} was not settled well: {error}", self.held.account());
        }
        let straggling = matches!(settled, Settled::Unknown { .. });
        self.settle(&key, settled).await;
        self.core.vitals.progress();
        if straggling {
            // The chat stays busy: what is perhaps still on its way should land before the next message.
            tokio::time::sleep(STRAGGLER).await;
        }
        landed(false)
    }

    /// How long a message may wait to be said.
    fn patience_ms(&self) -> i64 {
        i64::from(self.core.settings().config.messages.outbound.expire_after_minutes) * 60_000
    }

    /// Tells the store until it has heard.
    async fn settle(&self, key: &str, settled: Settled) {
        loop {
            let (own, named, what) = (self.held.clone(), key.to_owned(), settled.clone());
            let told = self.core.desk.write(move |store| store.settle(&own, &named, &what)).await;
            self.core.note_store(&told);
            match told {
                Ok(()) => return,
                Err(error @ (StoreError::Fenced(_) | StoreError::Closed)) => {
                    tracing::warn!("How {key} went was not stored: {error}");
                    return;
                }
                Err(error) => {
                    tracing::error!("How {key} went cannot be stored yet: {error}");
                    tokio::time::sleep(STORE_RETRY).await;
                }
            }
        }
    }
}

/// Whether nobody would want to hear it any more. What was begun is said to its end.
fn stale(row: &Outbound, patience_ms: i64, now_ms: i64) -> bool {
    row.parts_sent == 0 && now_ms - row.what.now_ms > patience_ms
}

/// What can be said where files are missing: the text goes out all the same, and names them.
fn without(what: &NewOutbound, missing: &[Missing]) -> (String, Vec<Attachment>) {
    let gone = |file: &Attachment| missing.iter().any(|missing| missing.sha256 == file.sha256);
    let attachments = what.attachments.iter().filter(|file| !gone(file)).cloned().collect();
    let text =
        std::iter::once(what.text.as_str()).chain(missing.iter().map(|missing| missing.sentence.as_str()));
    let text: Vec<&str> = text.filter(|text| !text.is_empty()).collect();
    (text.join("\n\n"), attachments)
}

/// What an answer means for the row and for the account.
fn refused(row: &Outbound, error: &RpcError, patience_ms: i64, now_ms: i64) -> Settled {
    let parts = error.data.as_ref().and_then(|data| data.parts_sent);
    let said = error.message.clone();
    let again = |wait_ms, hold| {
        if now_ms - row.what.now_ms > patience_ms {
            let minutes = patience_ms / 60_000;
            return Settled::Failed {
                error: format!("It was tried for {minutes} minutes, then given up: {said}"),
            };
        }
        Settled::Again { wait_ms, hold, error: said.clone(), parts }
    };
    match error.class() {
        ErrorClass::RetryAfter => {
            let wait = error.data.as_ref().and_then(|data| data.retry_after_ms).unwrap_or(1_000);
            again(wait.min(HOLD_MAX_MS), true)
        }
        ErrorClass::Transient | ErrorClass::Conflict => again(backoff_ms(row.attempts), false),
        ErrorClass::UnknownOutcome => Settled::Unknown { error: said },
        ErrorClass::BadRequest | ErrorClass::AuthFatal | ErrorClass::ConfigFatal => {
            Settled::Failed { error: said }
        }
        // A class that this build does not know may mean anything: saying it twice would be worse.
        ErrorClass::Unknown => Settled::Unknown { error: said },
    }
}

fn backoff_ms(attempts: u32) -> u64 {
    BACKOFF_MS.saturating_mul(1_u64 << attempts.min(16)).min(BACKOFF_MAX_MS)
}

#[cfg(test)]
mod tests {
    use creel_ipc::error::ErrorData;
    use creel_ipc::msg::channel::{ChatKind, Route};

    use super::*;

    const DAY_MS: i64 = 24 * 3_600_000;

    fn row(attempts: u32) -> Outbound {
        let route = Route {
            chat_id: "1".into(),
            kind: ChatKind::Direct,
            thread: None,
            reply_to: None,
            addressee: None,
        };
        Outbound {
            what: NewOutbound {
                key: "t/0".into(),
                account: "telegram:default".into(),
                route,
                text: "hi".into(),
                attachments: Vec::new(),
                draft: None,
                run: None,
                agent: None,
                now_ms: 1_000,
            },
            state: OutboxState::Attempting,
            parts_sent: 0,
            attempts,
            not_before_ms: 0,
            wait_ms: 0,
            error: None,
        }
    }

    fn verdict(class: ErrorClass) -> Settled {
        refused(&row(1), &RpcError::new(class, "No."), DAY_MS, 2_000)
    }

    #[test]
    fn a_limit_of_the_platform_holds_the_whole_account() {
        let mut error = RpcError::retry_after("Too many.", 7_000);
        error.data = error.data.map(|data| ErrorData { parts_sent: Some(2), ..data });
        let again =
            |wait_ms| Settled::Again { wait_ms, hold: true, error: "Too many.".into(), parts: Some(2) };
        assert_eq!(refused(&row(1), &error, DAY_MS, 2_000), again(7_000));
        error.data = error.data.map(|data| ErrorData { retry_after_ms: Some(u64::MAX), ..data });
        assert_eq!(refused(&row(1), &error, DAY_MS, 2_000), again(HOLD_MAX_MS));
    }

    #[tokio::test]
    async fn a_wait_that_was_seen_gets_no_longer_and_another_one_is_another() {
        let (now, seconds) = (Instant::now(), Duration::from_secs);
        let mut pace = Pace::default();
        let mut look = |moment, wait, after| {
            let mut seen = HashMap::new();
            let due = pace.due(&mut seen, moment, seconds(wait), now + seconds(after));
            pace.due = seen;
            due - now
        };
        assert_eq!(look(100, 30, 0), seconds(30));
        assert_eq!(look(100, 30, 10), seconds(30), "the store's clock was put back");
        assert_eq!(look(100, 5, 11), seconds(16), "or forth");
        assert_eq!(look(200, 60, 12), seconds(72), "the platform asks for more");
        pace.rest = Some(now + seconds(80));
        let mut seen = HashMap::new();
        assert_eq!(pace.due(&mut seen, 200, seconds(1), now) - now, seconds(80), "the store rests");
    }

    #[test]
    fn every_class_has_one_meaning() {
        let again = Settled::Again { wait_ms: 1_000, hold: false, error: "No.".into(), parts: None };
        assert_eq!(verdict(ErrorClass::Transient), again);
        assert_eq!(verdict(ErrorClass::Conflict), again);
        let failed = Settled::Failed { error: "No.".into() };
        for class in [ErrorClass::BadRequest, ErrorClass::AuthFatal, ErrorClass::ConfigFatal] {
            assert_eq!(verdict(class), failed);
        }
        for class in [ErrorClass::UnknownOutcome, ErrorClass::Unknown] {
            assert_eq!(verdict(class), Settled::Unknown { error: "No.".into() });
        }
    }

    #[test]
    fn what_waited_too_long_is_stale_unless_a_part_of_it_was_said() {
        let mut row = row(0);
        assert!(!stale(&row, DAY_MS, 1_000 + DAY_MS));
        assert!(stale(&row, DAY_MS, 1_001 + DAY_MS));
        row.parts_sent = 1;
        assert!(!stale(&row, DAY_MS, 1_001 + DAY_MS));
    }

    #[test]
    fn a_missing_file_does_not_hold_back_the_text_and_the_other_files() {
        let file = |sha256: &str| Attachment {
            sha256: sha256.into(),
            bytes: 1,
            mime: "text/plain".into(),
            name: None,
        };
        let mut what = row(0).what;
        what.attachments = vec![file("aa"), file("bb")];
        let missing = [Missing { sha256: "aa".into(), sentence: "The file aa is gone.".into() }];
        let (text, files) = without(&what, &missing);
        assert_eq!((text.as_str(), files), ("hi\n\nThe file aa is gone.", vec![file("bb")]));
        what.text = String::new();
        assert_eq!(without(&what, &missing).0, "The file aa is gone.");
    }

    #[test]
    fn what_failed_for_a_day_is_given_up() {
        let error = RpcError::new(ErrorClass::Transient, "Down.");
        let late = refused(&row(30), &error, DAY_MS, 2_000 + DAY_MS);
        assert!(matches!(late, Settled::Failed { .. }), "{late:?}");
        assert_eq!(backoff_ms(60), BACKOFF_MAX_MS);
    }
}
