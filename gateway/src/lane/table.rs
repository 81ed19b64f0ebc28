//! Which lane may run next. Knows no store and no link.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Turns of one agent at once.
pub(crate) const CAP: usize = 4;
/// A pause grows with each further message, but not beyond so many times itself.
const PATIENCE: u32 = 4;

#[derive(Debug)]
struct Entry {
    agent: String,
    /// Place in the queue.
    order: u64,
    running: bool,
    /// Whether there is something to do besides what runs.
    waits: bool,
    /// Not before this moment.
    due: Instant,
    /// The pause ends then, whatever comes in.
    latest: Option<Instant>,
}

/// The lanes that have something to do.
#[derive(Debug, Default)]
pub(crate) struct LaneTable {
    lanes: HashMap<String, Entry>,
    orders: u64,
}

impl LaneTable {
    /// A message came in. Behind a running turn it waits `pause` for further ones.
    pub(crate) fn arrived(&mut self, lane: &str, agent: &str, now: Instant, pause: Duration) {
        self.orders += 1;
        let order = self.orders;
        let entry = self.lanes.entry(lane.to_owned()).or_insert_with(|| Entry {
            agent: agent.to_owned(),
            order,
            running: false,
            waits: false,
            due: now,
            latest: None,
        });
        entry.agent = agent.to_owned();
        if entry.running || (entry.waits && entry.due > now) {
            let latest = *entry.latest.get_or_insert(now + pause * PATIENCE);
            entry.due = latest.min(now + pause);
        }
        if !entry.waits {
            entry.order = order;
        }
        entry.waits = true;
    }

    /// Marks an idle lane as running, if its agent may begin a turn now. Says whether it did.
    pub(crate) fn reserve(&mut self, lane: &str, agent: &str, now: Instant) -> bool {
        let running = self.lanes.values().filter(|entry| entry.running && entry.agent == agent).count();
        if self.lanes.contains_key(lane) || running >= CAP {
            return false;
        }
        self.arrived(lane, agent, now, Duration::ZERO);
        if let Some(entry) = self.lanes.get_mut(lane) {
            (entry.running, entry.waits) = (true, false);
        }
        true
    }

    /// Marks a lane as running without taking it from the queue: a turn that its agent still runs.
    pub(crate) fn adopt(&mut self, lane: &str, agent: &str, now: Instant) {
        self.arrived(lane, agent, now, Duration::ZERO);
        if let Some(entry) = self.lanes.get_mut(lane) {
            entry.running = true;
        }
    }

    /// Takes the lanes that may run now, in the order of their waiting, and marks them as running.
    pub(crate) fn take(&mut self, now: Instant, ready: impl Fn(&str) -> bool) -> Vec<String> {
        let mut running: HashMap<&str, usize> = HashMap::new();
        for entry in self.lanes.values().filter(|entry| entry.running) {
            *running.entry(&entry.agent).or_default() += 1;
        }
        let mut due: Vec<(&String, &Entry)> = self
            .lanes
            .iter()
            .filter(|(_, entry)| entry.waits && !entry.running && entry.due <= now)
            .collect();
        due.sort_by_key(|(_, entry)| entry.order);
        let mut taken = Vec::new();
        for (lane, entry) in due {
            let turns = running.entry(&entry.agent).or_default();
            if *turns < CAP && ready(&entry.agent) {
                *turns += 1;
                taken.push(lane.clone());
            }
        }
        for lane in &taken {
            if let Some(entry) = self.lanes.get_mut(lane) {
                entry.running = true;
                entry.waits = false;
                entry.latest = None;
            }
        }
        taken
    }

    /// A turn ended. `more` says whether the store has something left, `after` how long to leave the lane alone.
    pub(crate) fn ended(&mut self, lane: &str, more: bool, now: Instant, after: Duration) {
        let Some(entry) = self.lanes.get_mut(lane) else { return };
        entry.running = false;
        if more && !entry.waits {
            self.orders += 1;
            entry.order = self.orders;
            entry.waits = true;
            entry.due = now;
        }
        entry.due = entry.due.max(now + after);
        if !entry.waits {
            self.lanes.remove(lane);
        }
    }

    /// When the next lane comes due that does not run.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let later = |entry: &&Entry| entry.waits && !entry.running && entry.due > now;
        self.lanes.values().filter(later).map(|entry| entry.due).min()
    }

    /// Whether the lane runs or waits here.
    pub(crate) fn knows(&self, lane: &str) -> bool {
        self.lanes.contains_key(lane)
    }

    /// Whether any lane of an agent runs.
    pub(crate) fn is_agent_busy(&self, agent: &str) -> bool {
        self.lanes.values().any(|entry| entry.running && entry.agent == agent)
    }

    /// Whether a turn runs in the lane.
    pub(crate) fn is_running(&self, lane: &str) -> bool {
        self.lanes.get(lane).is_some_and(|entry| entry.running)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(500);

    fn at(base: Instant, ms: u64) -> Instant {
        base + Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn the_first_message_starts_at_once_and_those_behind_it_are_gathered() {
        let base = Instant::now();
        let mut table = LaneTable::default();
        table.arrived("a", "main", base, PAUSE);
        assert_eq!(table.take(base, |_| true), ["a"]);
        table.arrived("a", "main", at(base, 10), PAUSE);
        table.arrived("a", "main", at(base, 300), PAUSE);
        table.ended("a", true, at(base, 400), Duration::ZERO);
        assert!(table.take(at(base, 700), |_| true).is_empty(), "it waits for a further message");
        assert_eq!(table.next_due(at(base, 700)), Some(at(base, 800)));
        assert_eq!(table.take(at(base, 800), |_| true), ["a"]);
    }

    #[tokio::test]
    async fn a_stream_of_messages_cannot_put_a_turn_off_for_ever() {
        let base = Instant::now();
        let mut table = LaneTable::default();
        table.arrived("a", "main", base, PAUSE);
        table.take(base, |_| true);
        for ms in (0..10_000).step_by(100) {
            table.arrived("a", "main", at(base, ms), PAUSE);
        }
        table.ended("a", true, at(base, 100), Duration::ZERO);
        assert_eq!(table.take(at(base, 2_000), |_| true), ["a"]);
    }

    #[tokio::test]
    async fn an_agent_runs_four_turns_and_another_is_not_kept_waiting() {
        let base = Instant::now();
        let mut table = LaneTable::default();
        for lane in ["a", "b", "c", "d", "e", "f"] {
            table.arrived(lane, "main", base, PAUSE);
        }
        table.arrived("g", "work", base, PAUSE);
        assert_eq!(table.take(base, |_| true), ["a", "b", "c", "d", "g"]);
        table.ended("b", false, base, Duration::ZERO);
        assert_eq!(table.take(base, |_| true), ["e"]);
    }

    #[tokio::test]
    async fn only_an_idle_lane_can_be_reserved_and_only_under_the_cap() {
        let base = Instant::now();
        let mut table = LaneTable::default();
        assert!(table.reserve("a", "main", base));
        assert!(!table.reserve("a", "main", base));
        assert!(table.take(base, |_| true).is_empty(), "it has nothing else to do");
        table.arrived("a", "main", base, Duration::ZERO);
        table.ended("a", true, base, Duration::ZERO);
        assert!(!table.reserve("a", "main", base), "what waits keeps its place");
        for lane in ["b", "c", "d"] {
            assert!(table.reserve(lane, "main", base));
        }
        assert_eq!(table.take(base, |_| true), ["a"]);
        assert!(!table.reserve("e", "main", base));
        assert!(table.reserve("f", "work", base));
    }

    #[tokio::test]
    async fn nothing_runs_while_its_agent_is_down() {
        let base = Instant::now();
        let mut table = LaneTable::default();
        table.arrived("a", "main", base, PAUSE);
        assert!(table.take(base, |_| false).is_empty());
        assert_eq!(table.take(base, |_| true), ["a"]);
        table.ended("a", true, base, Duration::ZERO);
        assert!(!table.is_running("a"));
        assert_eq!(table.take(base, |_| true), ["a"], "a lost turn is taken up again");
    }

    proptest! {
        /// Whatever happens in whatever order: no lane runs twice, no agent over its cap, nothing is forgotten.
        #[test]
        fn lanes_never_overlap_and_never_starve(steps in prop::collection::vec((0_u8..3, 0_usize..8), 1..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let base = Instant::now();
                let mut table = LaneTable::default();
                let (mut waiting, mut running) = (vec![0_u32; 8], vec![false; 8]);
                for (tick, (what, lane)) in steps.into_iter().enumerate() {
                    let now = at(base, tick as u64);
                    match what {
                        0 => {
                            table.arrived(&lane.to_string(), "main", now, Duration::ZERO);
                            waiting[lane] += 1;
                        }
                        1 => {
                            for taken in table.take(now, |_| true) {
                                let lane: usize = taken.parse().unwrap();
                                assert!(!running[lane]);
                                assert!(waiting[lane] > 0);
                                (running[lane], waiting[lane]) = (true, waiting[lane] - 1);
                            }
                            assert!(running.iter().filter(|runs| **runs).count() <= CAP);
                        }
                        _ if running[lane] => {
                            running[lane] = false;
                            table.ended(&lane.to_string(), waiting[lane] > 0, now, Duration::ZERO);
                        }
                        _ => {}
                    }
                }
                let mut tick = 1_000;
                loop {
                    for lane in (0..8).filter(|lane| running[*lane]).collect::<Vec<_>>() {
                        running[lane] = false;
                        table.ended(&lane.to_string(), waiting[lane] > 0, at(base, tick), Duration::ZERO);
                    }
                    tick += 1;
                    let taken = table.take(at(base, tick), |_| true);
                    if taken.is_empty() {
                        break;
                    }
                    for lane in taken {
                        let lane: usize = lane.parse().unwrap();
                        (running[lane], waiting[lane]) = (true, waiting[lane] - 1);
                    }
                }
                assert!(waiting.iter().all(|left| *left == 0), "{waiting:?}");
            });
        }
    }
}
