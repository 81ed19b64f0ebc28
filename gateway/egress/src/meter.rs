//! What the connections of one account have used, and what they may.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use creel_ipc::msg::egress::EgressBudget;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::names::TURNS;

/// A day of the byte budgets. It begins with the first byte.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the unit.
    Up,
    /// To the unit.
    Down,
}

/// A limit that was reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Spent {
    /// At the same time.
    #[error(
        "{account} has {limit} connections open, which is all that `egress.budget.connections` allows it"
    )]
    Connections {
        /// Whose budget.
        account: String,
        /// How many.
        limit: u32,
    },
    /// Within a minute.
    #[error(
        "{account} opened {limit} connections within a minute, which is all that `egress.budget.connectionsPerMinute` allows it"
    )]
    Pace {
        /// Whose budget.
        account: String,
        /// How many.
        limit: u32,
    },
    /// Bytes of a day.
    #[error("{account} {} {limit} bytes within a day, which is all that `egress.budget.{}` allows it", verb(*.way), key(*.way))]
    Bytes {
        /// Whose budget.
        account: String,
        /// Which way.
        way: Way,
        /// How many.
        limit: u64,
    },
    /// Nothing moved.
    #[error("no byte moved for {0} seconds, which is all that `egress.budget.idleSeconds` allows")]
    Idle(u32),
    /// It took long.
    #[error(
        "the connection was open for {0} seconds, which is all that `egress.budget.connectionSeconds` allows"
    )]
    Time(u32),
}

fn verb(way: Way) -> &'static str {
    match way {
        Way::Up => "sent",
        Way::Down => "received",
    }
}

fn key(way: Way) -> &'static str {
    match way {
        Way::Up => "bytesUpPerDay",
        Way::Down => "bytesDownPerDay",
    }
}

/// One account. Several listeners may share it: all tool runs of an agent do.
#[derive(Debug)]
pub(crate) struct Meter {
    account: String,
    state: Mutex<State>,
    /// Its turns at the resolver.
    pub(crate) lookups: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    budget: EgressBudget,
    open: u32,
    /// Connections that may still be opened now, and when that was counted.
    tokens: Option<(f64, Instant)>,
    day: Option<Instant>,
    bytes: [u64; 2],
}

/// A place among the open connections, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Meter);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state().open -= 1;
    }
}

impl Meter {
    pub(crate) fn new(account: String, budget: EgressBudget) -> Self {
        let state = State { budget, open: 0, tokens: None, day: None, bytes: [0; 2] };
        Self { account, state: Mutex::new(state), lookups: Arc::new(Semaphore::new(TURNS)) }
    }

    /// The state is never left half-changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other limits; what was used stays used.
    pub(crate) fn set_budget(&self, budget: EgressBudget) {
        self.state().budget = budget;
    }

    pub(crate) fn budget(&self) -> EgressBudget {
        self.state().budget.clone()
    }

    /// A place for one more connection.
    pub(crate) fn open(&self, now: Instant) -> Result<Place<'_>, Spent> {
        let mut state = self.state();
        if let Some(limit) = state.budget.connections.filter(|limit| state.open >= *limit) {
            return Err(Spent::Connections { account: self.account.clone(), limit });
        }
        if let Some(limit) = state.budget.connections_per_minute {
            let most = f64::from(limit);
            let tokens = state.tokens.map_or(most, |(tokens, at)| {
                (tokens + now.duration_since(at).as_secs_f64() * most / 60.0).min(most)
            });
            if tokens < 1.0 {
                state.tokens = Some((tokens, now));
                return Err(Spent::Pace { account: self.account.clone(), limit });
            }
            state.tokens = Some((tokens - 1.0, now));
        }
        for way in [Way::Up, Way::Down] {
            self.within(&mut state, way, 1, now)?;
        }
        state.open += 1;
        Ok(Place(self))
    }

    /// Counts bytes that are about to be passed on.
    pub(crate) fn pass(&self, way: Way, bytes: usize, now: Instant) -> Result<(), Spent> {
        let mut state = self.state();
        self.within(&mut state, way, bytes as u64, now)?;
        state.bytes[way as usize] += bytes as u64;
        Ok(())
    }

    fn within(&self, state: &mut State, way: Way, bytes: u64, now: Instant) -> Result<(), Spent> {
        if state.day.is_none_or(|day| now.duration_since(day) >= DAY) {
            (state.day, state.bytes) = (Some(now), [0; 2]);
        }
        let limit = match way {
            Way::Up => state.budget.bytes_up_per_day,
            Way::Down => state.budget.bytes_down_per_day,
        };
        match limit {
            Some(limit) if state.bytes[way as usize].saturating_add(bytes) > limit => {
                Err(Spent::Bytes { account: self.account.clone(), way, limit })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(budget: EgressBudget) -> Meter {
        Meter::new("agent:main".into(), budget)
    }

    #[test]
    fn without_limits_there_are_none() {
        let (meter, now) = (meter(EgressBudget::default()), Instant::now());
        let places: Vec<_> = (0..1000).map(|_| meter.open(now).unwrap()).collect();
        meter.pass(Way::Up, usize::MAX / 2, now).unwrap();
        assert_eq!(places.len(), 1000);
    }

    #[test]
    fn a_closed_connection_makes_room() {
        let meter = meter(EgressBudget { connections: Some(1), ..EgressBudget::default() });
        let place = meter.open(Instant::now()).unwrap();
        let spent = meter.open(Instant::now()).unwrap_err();
        insta::assert_snapshot!(spent, @"agent:main has 1 connections open, which is all that `egress.budget.connections` allows it");
        drop(place);
        meter.open(Instant::now()).unwrap();
    }

    #[test]
    fn the_pace_comes_back_with_time() {
        let meter = meter(EgressBudget { connections_per_minute: Some(60), ..EgressBudget::default() });
        let start = Instant::now();
        for _ in 0..60 {
            meter.open(start).unwrap();
        }
        assert!(matches!(meter.open(start), Err(Spent::Pace { limit: 60, .. })));
        assert!(meter.open(start + Duration::from_secs(2)).is_ok());
    }

    #[test]
    fn bytes_are_counted_by_the_day_and_an_empty_budget_opens_nothing() {
        let meter = meter(EgressBudget { bytes_up_per_day: Some(10), ..EgressBudget::default() });
        let start = Instant::now();
        meter.pass(Way::Up, 10, start).unwrap();
        meter.pass(Way::Down, 1_000_000, start).unwrap();
        let spent = meter.pass(Way::Up, 1, start).unwrap_err();
        insta::assert_snapshot!(spent, @"agent:main sent 10 bytes within a day, which is all that `egress.budget.bytesUpPerDay` allows it");
        assert!(meter.open(start).is_err());
        assert!(meter.open(start + DAY).is_ok());
    }
}
