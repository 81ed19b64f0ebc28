//! What units weigh. The kernel walks through every mapping of a process to say so, which a hundred times over is longer than
//! a restart: whoever only wants to know whether all is well gets figures that are a few seconds old.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::unit::At;

/// How old a figure may be that nobody asked for in particular.
const AGE: Duration = Duration::from_secs(5);

/// Proportional memory by process, as it was when somebody last looked.
#[derive(Debug, Default)]
pub(super) struct Weights(BTreeMap<u32, (At, Option<u64>)>);

impl Weights {
    /// Bytes of each process, in the order given; `fresh`: as it is now.
    pub(super) fn of(&mut self, pids: &[Option<u32>], now: At, fresh: bool) -> Vec<Option<u64>> {
        self.of_measured(pids, now, fresh, pss)
    }

    fn of_measured(
        &mut self,
        pids: &[Option<u32>],
        now: At,
        fresh: bool,
        measure: impl Fn(u32) -> Option<u64>,
    ) -> Vec<Option<u64>> {
        let before = std::mem::take(&mut self.0);
        let mut weigh = |pid: u32| {
            let known = before.get(&pid).filter(|(at, _)| !fresh && now.saturating_sub(*at) < AGE);
            let weight = known.copied().unwrap_or_else(|| (now, measure(pid)));
            self.0.insert(pid, weight);
            weight.1
        };
        pids.iter().map(|pid| pid.and_then(&mut weigh)).collect()
    }
}

/// Proportional memory of a process in bytes, where the kernel tells.
fn pss(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_look_in_passing_measures_each_process_once_and_an_asked_one_always() {
        let measured = RefCell::new(Vec::new());
        let measure = |pid: u32| {
            measured.borrow_mut().push(pid);
            Some(u64::from(pid) * 10)
        };
        let mut weights = Weights::default();
        let pids = [Some(1), None, Some(2)];
        let first = weights.of_measured(&pids, Duration::ZERO, false, measure);
        assert_eq!(first, [Some(10), None, Some(20)]);
        // One of them was replaced.
        let pids = [Some(1), Some(3)];
        assert_eq!(weights.of_measured(&pids, Duration::from_secs(4), false, measure), [Some(10), Some(30)]);
        assert_eq!(*measured.borrow(), [1, 2, 3]);
        weights.of_measured(&pids, Duration::from_secs(6), false, measure);
        assert_eq!(*measured.borrow(), [1, 2, 3, 1]);
        weights.of_measured(&pids, Duration::from_secs(6), true, measure);
        assert_eq!(*measured.borrow(), [1, 2, 3, 1, 1, 3]);
    }
}
