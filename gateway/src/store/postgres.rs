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
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Config, Row};

use self::link::{Call, Link};
use self::value::{Columns, Value, values};
use super::*;

mod deliver;
mod durability;
mod inbox;
mod lane;
mod lease;
mod link;
mod pairing;
mod reads;
mod schema;
#[cfg(test)]
mod server;
#[cfg(test)]
mod standby;
#[cfg(test)]
mod survival;
mod turn;
mod value;

pub(crate) use durability::Promise;
#[cfg(test)]
pub(crate) use server::Server;

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

/// One connection to the database, made again when it is lost.
#[derive(Debug)]
pub(crate) struct Postgres {
    rt: Runtime,
    config: Config,
    link: Option<Link>,
    promise: Promise,
    rules: Rules,
    group: Group,
    rest: Rest,
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
    pub(crate) fn open(mut config: Config, promise: Promise, rules: Rules) -> Kept<Self> {
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Engine(format!("its connection cannot be driven: {error}")))?;
        config.target_session_attrs(TargetSessionAttrs::ReadWrite).application_name("creel");
        let rest = Rest::default();
        let mut store =
            Self { rt, config, link: None, promise, rules, group: Group::None, rest, shift_ms: 0 };
        store.connect()?;
        Ok(store)
    }

    fn begin_link(&self) -> Kept<Link> {
        let link = Link::open(&self.rt, &self.config)?;
        let name = name(&self.config);
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

/// What people call the database.
fn name(config: &Config) -> String {
    use tokio_postgres::config::Host;
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    format!("{} at {}", config.get_dbname().unwrap_or("(its default)"), hosts.join(", "))
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

impl Store for Postgres {
    fn begin_group(&mut self) -> Kept<()> {
        self.group = Group::None;
        self.connect()?;
        self.group = Group::Open { begun: false };
        Ok(())
    }
    fn commit_group(&mut self) -> Kept<()> {
        let begun = match std::mem::replace(&mut self.group, Group::None) {
            Group::Broken(reason) => return Err(StoreError::Away(reason)),
            Group::None => return Ok(()),
            Group::Open { begun } => begun,
        };
        let Some(link) = &self.link else { return Err(self.lost("the connection is gone".to_owned())) };
        let committed = link.say(&self.rt, if begun { END_OF_GROUP_AFTER } else { END_OF_GROUP });
        if committed.is_err() {
            // Whatever the error: nobody knows what is durable, and this connection may be in any state.
            self.link = None;
        }
        committed
    }

    fn now_ms(&mut self) -> Kept<i64> {
        self.tx(|tx| tx.now_ms())
    }
    fn claim_account(&mut self, who: &Claimant, account: &str) -> Kept<Option<Held>> {
        self.tx(|tx| tx.claim_account(who, account))
    }
    fn renew(&mut self, who: &Claimant, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<Renewed> {
        self.tx(|tx| tx.renew(who, accounts, lanes))
    }
    fn release(&mut self, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<()> {
        self.tx(|tx| tx.release(accounts, lanes))
    }
    fn leases(&mut self) -> Kept<Vec<LeaseRecord>> {
        self.tx(|tx| tx.leases())
    }
    fn accept(&mut self, own: &Held, message: &NewMessage) -> Kept<Accepted> {
        self.tx(|tx| tx.accept(own, message))
    }
    fn cursor(&mut self, account: &str) -> Kept<Option<String>> {
        self.tx(|tx| tx.cursor(account))
    }

    fn open_lanes(&mut self, who: &Claimant) -> Kept<Vec<OpenLane>> {
        self.tx(|tx| tx.open_lanes(who))
    }
    fn claim_lane(&mut self, claim: &LaneClaim) -> Kept<Option<Claimed>> {
        self.tx(|tx| tx.claim_lane(claim))
    }
    fn adopt_turn(&mut self, who: &Claimant, turn: &TurnRef) -> Kept<Option<Claimed>> {
        self.tx(|tx| tx.adopt_turn(who, turn))
    }
    fn begin_step(&mut self, turn: &TurnRef, step: &NewStep) -> Kept<StepBegun> {
        self.tx(|tx| tx.begin_step(turn, step))
    }
    fn end_step(&mut self, turn: &TurnRef, step: u32, entry: &Entry) -> Kept<()> {
        self.tx(|tx| tx.end_step(turn, step, entry))
    }
    fn finish_turn(&mut self, turn: &TurnRef, finish: &Finish) -> Kept<Finished> {
        self.tx(|tx| tx.finish_turn(turn, finish))
    }
    fn context_page(&mut self, turn: &TurnRef, cursor: Option<u64>) -> Kept<ContextPage> {
        self.tx(|tx| tx.context_page(turn, cursor))
    }
    fn journal_page(&mut self, turn: &TurnRef, cursor: Option<u64>) -> Kept<JournalPage> {
        self.tx(|tx| tx.journal_page(turn, cursor))
    }
    fn run(&mut self, run: &str) -> Kept<Option<RunRecord>> {
        self.tx(|tx| tx.run(run))
    }

    fn sessions(&mut self, query: &SessionQuery) -> Kept<Vec<SessionRecord>> {
        self.tx(|tx| tx.sessions(query))
    }
    fn history(&mut self, session_key: &str, limit: u32) -> Kept<Vec<TranscriptRecord>> {
        self.tx(|tx| tx.history(session_key, limit))
    }

    fn enqueue(&mut self, row: &NewOutbound) -> Kept<bool> {
        self.tx(|tx| tx.enqueue(row))
    }
    fn open_outbound(&mut self, own: &Held, max: u32) -> Kept<Vec<Outbound>> {
        self.tx(|tx| tx.open_outbound(own, max))
    }
    fn attempt(&mut self, own: &Held, key: &str, incarnation: u64) -> Kept<bool> {
        self.tx(|tx| tx.attempt(own, key, incarnation))
    }
    fn part_sent(&mut self, own: &Held, key: &str, parts: u32) -> Kept<()> {
        self.tx(|tx| tx.part_sent(own, key, parts))
    }
    fn settle(&mut self, own: &Held, key: &str, settled: &Settled) -> Kept<()> {
        self.tx(|tx| tx.settle(own, key, settled))
    }
    fn orphan_attempts(&mut self, own: &Held, alive: Option<u64>) -> Kept<Vec<String>> {
        self.tx(|tx| tx.orphan_attempts(own, alive))
    }
    fn outbox(&mut self, limit: u32) -> Kept<Vec<Outbound>> {
        self.tx(|tx| tx.outbox(limit))
    }
    fn prune(&mut self, before_ms: i64) -> Kept<u64> {
        self.tx(|tx| tx.prune(before_ms))
    }
    #[cfg(test)]
    fn limit_pages(&mut self) -> Kept<()> {
        // Its disk is not ours to fill.
        Ok(())
    }
    #[cfg(test)]
    fn pass(&mut self, time: Duration) {
        self.shift_ms += i64::try_from(time.as_millis()).unwrap();
    }
    fn account(&mut self, account: &str) -> Kept<AccountRecord> {
        self.tx(|tx| tx.account(account))
    }

    fn pairings(&mut self, now_ms: i64) -> Kept<Vec<PairingRecord>> {
        self.tx(|tx| tx.pairings(now_ms))
    }
    fn approve(&mut self, accounts: &[String], code: &str, now_ms: i64) -> Kept<Option<PairingRecord>> {
        self.tx(|tx| tx.approve(accounts, code, now_ms))
    }
    fn dismiss(&mut self, accounts: &[String], code: &str, now_ms: i64) -> Kept<Option<PairingRecord>> {
        self.tx(|tx| tx.dismiss(accounts, code, now_ms))
    }
    fn allowed(&mut self) -> Kept<Vec<(String, String)>> {
        self.tx(|tx| tx.allowed())
    }
}
