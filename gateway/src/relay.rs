//! What happens on other hosts that share the database, told to the clients of this one.
//!
//! Each gateway says what it does over the database ([`Bus`]), in frames that may be lost; and each looks twice a second what
//! has changed in the sessions. The first makes it live, the second makes it right: the end of a run is never in a frame, it is
//! read from the store by whoever hears or sees of it, and told once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use self::frame::{Ear, Mouth, Word};
use self::sight::Sight;
use crate::core::Core;
use crate::hub::{CoreEvent, RunState};
use crate::store::{Bus, Kept, Reach, SessionQuery, SessionRecord};

mod frame;
mod sight;

/// Events of this gateway that may wait for the next frame.
pub(crate) const QUEUE: usize = 1_024;
/// How often a frame is said, when there is something to say.
const SAY: Duration = Duration::from_millis(50);
/// How often sessions are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Sessions that are looked at: those that were written to last. At the start all are noted.
const LAST: u32 = 100;
const ALL: u32 = 100_000;
/// Entries of a session in which ends of runs are looked for.
const NEW_ENTRIES: u64 = 64;
/// Before a connection that was lost is made again.
const AGAIN: Duration = Duration::from_millis(500);

/// Relays until the gateway ends.
pub(crate) async fn relay(core: Arc<Core>, reach: Reach, own: mpsc::Receiver<CoreEvent>) {
    let name = core.who.life.clone();
    let mut relay =
        Relay { core: Arc::clone(&core), own, mouth: Mouth::new(name.clone()), ear: Ear::new(name) };
    let looking = tokio::spawn(look(Arc::clone(&core)));
    let all = async {
        loop {
            match Bus::open(&reach).await {
                Ok((bus, words)) => {
                    if let Err(error) = relay.attend(&bus, words).await {
                        tracing::warn!(
                            "Other hosts are heard late, by looking, until they are reached again: {error}"
                        );
                    }
                    relay.ear.lost();
                }
                Err(error) => tracing::debug!("Other hosts are not heard: {error}"),
            }
            relay.wait(AGAIN).await;
        }
    };
    tokio::select! {
        () = all => {}
        () = core.stopping.cancelled() => {}
    }
    looking.abort();
}

struct Relay {
    core: Arc<Core>,
    own: mpsc::Receiver<CoreEvent>,
    mouth: Mouth,
    ear: Ear,
}

impl Relay {
    /// Speaks and hears, until the connection is lost.
    async fn attend(&mut self, bus: &Bus, mut words: mpsc::Receiver<String>) -> Kept<()> {
        let mut say = interval(SAY);
        say.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(event) = self.own.recv() => self.mouth.take(event),
                word = words.recv() => match word {
                    Some(word) => self.hear(&word).await,
                    None => return Err(crate::store::StoreError::Away("its connection was closed".to_owned())),
                },
                _ = say.tick(), if self.mouth.waits() => {
                    let frames = self.mouth.frames();
                    if self.core.has_others() {
                        for frame in frames {
                            bus.say(&frame).await?;
                        }
                    }
                }
            }
        }
    }

    /// Lets time pass; what is said meanwhile nobody hears.
    async fn wait(&mut self, time: Duration) {
        let until = Instant::now() + time;
        let mut over = std::pin::pin!(tokio::time::sleep_until(until));
        loop {
            tokio::select! {
                () = &mut over => break,
                Some(event) = self.own.recv() => self.mouth.take(event),
            }
        }
        self.mouth.hush();
    }

    async fn hear(&mut self, word: &str) {
        for word in self.ear.hear(word) {
            match word {
                // Looking was faster.
                Word::Event(event) if run_of(&event).is_some_and(|run| self.core.state().told.knows(run)) => {
                }
                Word::Event(event) => {
                    if matches!(*event, CoreEvent::SessionChanged { .. }) {
                        self.core.hint.notify_one();
                    }
                    self.core.pass_on(*event);
                }
                Word::Ended { run, session_key } => {
                    self.core.hint.notify_one();
                    end_of(&self.core, &run, &session_key).await;
                }
            }
        }
    }
}

fn run_of(event: &CoreEvent) -> Option<&str> {
    match event {
        CoreEvent::RunStarted { run, .. }
        | CoreEvent::RunModel { run, .. }
        | CoreEvent::Delta { run, .. }
        | CoreEvent::Tool { run, .. } => Some(run),
        _ => None,
    }
}

/// Tells the end of a run of another host, if it has one and nobody has told it here.
async fn end_of(core: &Core, run: &str, session_key: &str) {
    let Ok(status) = core.run_wait(run, 0).await else { return };
    if let RunState::Ended(outcome) = status.state
        && core.state().told.is_new(run)
    {
        core.pass_on(CoreEvent::RunEnded {
            run: run.to_owned(),
            session_key: session_key.to_owned(),
            outcome,
            error: status.error,
            text: status.text.unwrap_or_default(),
            usage: status.usage,
        });
    }
}

/// Looks at the sessions, again and again.
async fn look(core: Arc<Core>) {
    let mut sight = Sight::default();
    let mut first = true;
    loop {
        let limit = if first { ALL } else { LAST };
        match sessions(&core, limit).await {
            Ok(records) => {
                first = false;
                let busy = |key: &str| core.state().lanes_held.contains_key(key);
                for seen in sight.see(&records, busy) {
                    let ends = if seen.grown == 0 {
                        Ok(Vec::new())
                    } else {
                        runs(&core, &seen.key, seen.grown).await
                    };
                    for run in ends.unwrap_or_default() {
                        end_of(&core, &run, &seen.key).await;
                    }
                    core.pass_on(CoreEvent::SessionChanged { key: seen.key });
                }
            }
            Err(error) => tracing::debug!("What other hosts do is not seen: {error}"),
        }
        sleep(LOOK).await;
    }
}

async fn sessions(core: &Core, limit: u32) -> Kept<Vec<SessionRecord>> {
    let query = SessionQuery { since_ms: i64::MIN, limit, ..SessionQuery::default() };
    core.desk.read(move |store| store.sessions(&query)).await
}

/// The runs of a session's last entries, in their order.
async fn runs(core: &Core, key: &str, entries: u64) -> Kept<Vec<String>> {
    let (key, limit) = (key.to_owned(), u32::try_from(entries.min(NEW_ENTRIES)).unwrap_or(1));
    let records = core.desk.read(move |store| store.history(&key, limit)).await?;
    let mut runs: Vec<String> = Vec::new();
    for record in records {
        if runs.last() != Some(&record.run) {
            runs.push(record.run);
        }
    }
    Ok(runs)
}
