//! The store in PostgreSQL, for several gateways on one database.
//!
//! Each method is a transaction of its own, so that no gateway keeps a row from the others for longer than one method, and
//! two gateways that write groups cannot lock each other out. Within a group these transactions do not wait for the
//! disk; the group's last one does, and with it everything before it in the write-ahead log, here and on synchronous standbys.
//! Nobody is told anything before that. What the server loses together with its memory was told to nobody.
//!
//! Rows are locked in one order everywhere: account, lane, session, then what belongs to them. Only the server's clock
//! counts, read after a row was asked for, so that it is never ahead of the moment in which the lock was had.

use std::time::{Duration, Instant};

use creel_ipc::msg::agent::{ContextPage, JournalPage, StepBegun, TurnRef};
use creel_ipc::msg::transcript::Entry;
use tokio::runtime::Runtime;
use tokio_postgres::Row;

use self::link::{Call, Link};
use self::search::{conversation, said};
use self::value::{Columns, Value, values};
use super::*;

mod bus;
mod deliver;
pub(in crate::store) mod door;
mod durability;
mod import;
mod inbox;
mod lane;
mod lease;
mod link;
mod methods;
mod operator;
mod pairing;
#[cfg(test)]
mod privacy;
mod question;
mod reach;
mod reads;
mod schema;
mod search;
#[cfg(test)]
mod server;
mod sessions;
#[cfg(test)]
mod standby;
#[cfg(test)]
mod survival;
mod turn;
mod value;

pub(crate) use bus::{Bus, LONGEST};
pub(crate) use durability::Promise;
pub(crate) use reach::Reach;
#[cfg(test)]
pub(crate) use server::Server;
pub(in crate::store) use value::without_nul;

/// How often a transaction is tried that another gateway was in the way of.
const TRIES: u32 = 4;
/// The longest time for which a server that did not answer is not asked again.
const REST: Duration = Duration::from_secs(1);
/// Within a group: the last transaction waits for the disk, and for what is before it in the log.
const GROUPED: &str = "BEGIN; SET LOCAL synchronous_commit = off";
const GROUPED_AFTER: &str = "COMMIT; BEGIN; SET LOCAL synchronous_commit = off";
/// Something that must reach the disk even when the last method has changed nothing.
const END_OF_GROUP: &str = "BEGIN; SELECT pg_logical_emit_message(true, 'creel', ''); COMMIT";
const END_OF_GROUP_AFTER: &str = "COMMIT; BEGIN; SELECT pg_logical_emit_message(true, 'creel', ''); COMMIT";

/// Whether everything that was ever written is durable. What a standby has is not asked: there it is waited for.
const SETTLED: &str = "SELECT current_setting('synchronous_standby_names') = ''
        AND pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()";

/// One connection to the database, made again when it is lost.
#[derive(Debug)]
pub(crate) struct Postgres {
    rt: Runtime,
    reach: Reach,
    link: Option<Link>,
    promise: Promise,
    rules: Rules,
    group: Group,
    rest: Rest,
    /// The newest timeline that was seen.
    timeline: u32,
    /// How far a test has moved the clock.
    shift_ms: i64,
}

/// Where a group of methods stands.
#[derive(Debug)]
enum Group {
    None,
    /// Whether the transaction of its last method is still to be committed.
    Open {
        begun: bool,
    },
    /// The connection was lost: nobody knows which of its methods are in the database.
    Broken(String),
}

/// Since when the server does not answer.
#[derive(Debug, Default)]
struct Rest {
    failures: u32,
    until: Option<(Instant, String)>,
}

/// What every transaction works on.
struct Tx<'a> {
    rt: &'a Runtime,
    link: &'a Link,
    rules: Rules,
    shift_ms: i64,
}

impl Postgres {
    /// Connects, and brings the database up to date. Of several hosts the one that takes writes is used. Must not be called on
    /// a thread of an async runtime.
    ///
    /// # Errors
    /// [`StoreError::Away`] when no server answers, and [`StoreError::Unusable`] for a database of a newer Creel and for a
    /// server that cannot keep the promise.
    pub(crate) fn open(reach: Reach, promise: Promise, rules: Rules) -> Kept<Self> {
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Engine(format!("its connection cannot be driven: {error}")))?;
        let rest = Rest::default();
        let (group, timeline) = (Group::None, 0);
        let mut store = Self { rt, reach, link: None, promise, rules, group, rest, timeline, shift_ms: 0 };
        store.connect()?;
        Ok(store)
    }

    /// A store for reading, by a connection of its own.
    pub(crate) fn reader(&self) -> Kept<Self> {
        Self::open(self.reach.clone(), self.promise, self.rules)
    }

    /// Waits until what was read is durable: it may be of a group whose end was not on the disk yet, here or on another
    /// host.
    pub(crate) fn settle(&mut self) -> Kept<()> {
        let Some(link) = &self.link else { return Ok(()) };
        let settled = link.rows(&self.rt, SETTLED, &[]).and_then(|rows| {
            match rows.first().map(|row| row.at::<bool>(0)).transpose()? {
                Some(true) => Ok(()),
                _ => link.say(&self.rt, END_OF_GROUP),
            }
        });
        if settled.is_err() {
            // It may be in any state.
            self.link = None;
        }
        settled
    }

    fn begin_link(&self) -> Kept<Link> {
        let link = Link::open(&self.rt, &self.reach)?;
        let name = self.reach.name();
        if link.timeline() < self.timeline {
            let reason = "its server was left behind by a failover: another one has gone on without it";
            return Err(StoreError::Away(reason.to_owned()));
        }
        // A server that came back may be another one, and somebody may have upgraded it.
        durability::check(&self.rt, &link, &name, self.promise)?;
        schema::migrate(&self.rt, &link, &name)?;
        Ok(link)
    }

    /// The connection, made again when it was lost. A server that did not answer is left alone for a moment.
    fn connect(&mut self) -> Kept<()> {
        // Lets the connection hear that the server has closed it meanwhile.
        self.rt.block_on(async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        });
        if self.link.as_ref().is_some_and(|link| !link.is_closed()) {
            return Ok(());
        }
        self.link = None;
        if let Some((_, reason)) = self.rest.until.as_ref().filter(|(until, _)| Instant::now() < *until) {
            return Err(StoreError::Away(reason.clone()));
        }
        match self.begin_link() {
            Ok(link) => {
                self.timeline = link.timeline();
                self.link = Some(link);
                self.rest = Rest::default();
                Ok(())
            }
            Err(error) => {
                let pause = REST.min(Duration::from_millis(50) * 2_u32.pow(self.rest.failures.min(5)));
                self.rest.failures += 1;
                self.rest.until = Some((Instant::now() + pause, error.to_string()));
                Err(error)
            }
        }
    }

    /// One method's transaction: alone, or within the group that is open.
    fn tx<T>(&mut self, work: impl Fn(&Tx<'_>) -> Kept<T>) -> Kept<T> {
        match &self.group {
            Group::Broken(reason) => return Err(StoreError::Away(reason.clone())),
            Group::None => self.connect()?,
            Group::Open { .. } => {}
        }
        let mut tries = 1;
        loop {
            let Some(link) = &self.link else {
                return Err(self.lost("the connection is gone".to_owned()));
            };
            link.owe(match self.group {
                Group::Open { begun: true } => GROUPED_AFTER,
                Group::Open { begun: false } => GROUPED,
                Group::None | Group::Broken(_) => "BEGIN",
            });
            let tx = Tx { rt: &self.rt, link, rules: self.rules, shift_ms: self.shift_ms };
            let outcome = work(&tx).and_then(|outcome| {
                // Alone, it is durable before anybody hears of it.
                if matches!(self.group, Group::None) && !link.forgive() {
                    link.say(&self.rt, "COMMIT")?;
                }
                Ok(outcome)
            });
            match outcome {
                Ok(outcome) => {
                    // A method that asked nothing has begun nothing.
                    if let Group::Open { begun } = &mut self.group {
                        *begun |= !link.forgive();
                    }
                    return Ok(outcome);
                }
                Err(error) => {
                    let crossed = link.was_crossed();
                    if let (StoreError::Away(reason), false) = (&error, crossed) {
                        return Err(self.lost(reason.clone()));
                    }
                    self.roll_back()?;
                    if !crossed || tries == TRIES {
                        return Err(error);
                    }
                    tries += 1;
                }
            }
        }
    }

    /// Takes back what a failed method has done. The methods before it stay.
    fn roll_back(&mut self) -> Kept<()> {
        let Some(link) = &self.link else { return Ok(()) };
        if link.forgive() {
            return Ok(());
        }
        if let Err(error) = link.say(&self.rt, "ROLLBACK") {
            return Err(self.lost(error.to_string()));
        }
        if let Group::Open { begun } = &mut self.group {
            *begun = false;
        }
        Ok(())
    }

    /// The connection is of no use any more.
    fn lost(&mut self, reason: String) -> StoreError {
        self.link = None;
        if !matches!(self.group, Group::None) {
            self.group = Group::Broken(reason.clone());
        }
        StoreError::Away(reason)
    }
}

/// The server's clock, in milliseconds since the epoch.
macro_rules! clock {
    () => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
use clock;

impl Tx<'_> {
    fn rows(&self, sql: &'static str, values: Vec<Value<'_>>) -> Kept<Vec<Row>> {
        self.link.rows(self.rt, sql, &values)
    }

    fn maybe(&self, sql: &'static str, values: Vec<Value<'_>>) -> Kept<Option<Row>> {
        Ok(self.rows(sql, values)?.into_iter().next())
    }

    fn one(&self, sql: &'static str, values: Vec<Value<'_>>) -> Kept<Row> {
        let none = || StoreError::Engine(format!("a row is missing that must be there: {sql}"));
        self.maybe(sql, values)?.ok_or_else(none)
    }

    /// Statements that do not need each other's answers. Returns how many rows each has changed.
    fn all(&self, calls: &[Call<'_>]) -> Kept<Vec<u64>> {
        self.link.all(self.rt, calls)
    }

    fn run_one(&self, sql: &'static str, values: Vec<Value<'_>>) -> Kept<u64> {
        Ok(self.all(&[(sql, values)])?.first().copied().unwrap_or(0))
    }

    /// The server's time.
    fn now_ms(&self) -> Kept<i64> {
        Ok(self.shifted(self.one(concat!("SELECT ", clock!()), Vec::new())?.at(0)?))
    }

    /// The server's time, as a row says it.
    fn shifted(&self, clock_ms: i64) -> i64 {
        clock_ms.saturating_add(self.shift_ms)
    }
}
