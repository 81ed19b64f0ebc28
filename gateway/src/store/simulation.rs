//! Several gateways on one store: virtual time, pauses, partitions, crashes, clocks that drift. Nothing here is a real
//! clock or a thread, so a seed is a whole history, and the same one every time.
//!
//! `CREEL_SEEDS` is how many seeds are tried, `CREEL_SEED` repeats one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use creel_ipc::msg::agent::{InputMessage, Reply, StepBegun, TurnOutcome};
use creel_ipc::msg::channel::{ChatKind, Route};
use creel_ipc::msg::transcript::{Block, Entry, Usage};

use super::*;

mod node;
mod outside;
mod verdict;
mod world;

use node::{Answer, Ask, Node};
use outside::{Outside, say};
use verdict::Verdict;
use world::World;

/// How long a claim holds.
const TTL: Duration = Duration::from_millis(2_000);
/// The accounts, each with some chats.
const ACCOUNTS: [&str; 2] = ["telegram:a", "telegram:b"];
const CHATS: u64 = 3;
/// Messages of all chats together.
const MESSAGES: u64 = 36;
/// While faults happen.
const STORM_MS: u64 = 20_000;
/// Until everything must be over, without faults.
const CALM_MS: u64 = 40_000;

/// What a run leaves out, so that it must fail.
#[derive(Debug, Clone, Copy)]
struct Care {
    rules: Rules,
    /// Whether gateways stop by themselves when their lease is nearly over.
    stops_in_time: bool,
}

const CAREFUL: Care = Care { rules: Rules::KEPT, stops_in_time: true };

/// Random numbers from a seed.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to below `high`.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low)
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll().is_multiple_of(sides)
    }
}

fn seeds(few: u64) -> Vec<u64> {
    let told = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match told("CREEL_SEED") {
        Some(seed) => vec![seed],
        None => (0..told("CREEL_SEEDS").unwrap_or(few)).collect(),
    }
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order_whatever_happens_to_gateways() {
    let seeds = seeds(150);
    let mut sum = Verdict::default();
    let try_all = |seeds: &[u64]| {
        let mut sum = Verdict::default();
        for seed in seeds {
            let verdict = World::new(*seed, CAREFUL).run();
            assert!(verdict.faults.is_empty(), "CREEL_SEED={seed}: {:#?}", verdict.faults);
            sum.add(&verdict);
        }
        sum
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let parts =
            seeds.chunks(seeds.len().div_ceil(threads)).map(|part| scope.spawn(move || try_all(part)));
        for part in parts.collect::<Vec<_>>() {
            sum.add(&part.join().expect("a seed went wrong"));
        }
    });
    // A simulation in which nothing happens proves nothing.
    assert!(sum.answered > 0 && sum.takeovers > 0 && sum.refused > 0 || seeds.len() == 1, "{sum:?}");
    println!("{} seeds, {sum}", seeds.len());
}

#[test]
fn a_seed_is_one_history() {
    let [first, second] = [(); 2].map(|()| World::new(7, CAREFUL).run());
    assert_eq!(first, second);
}

/// Without epochs and unique keys the same histories must go wrong.
#[test]
fn without_fences_messages_are_doubled() {
    let care = Care { rules: Rules::BROKEN, ..CAREFUL };
    let doubled = |seed: &u64| {
        World::new(*seed, care).run().faults.iter().any(|fault| fault.contains("was answered 2 times"))
    };
    assert!((0..50).any(|seed| doubled(&seed)), "the checks of this simulation notice nothing");
}

/// The fences of the store alone are not enough where the platform compares no epochs.
#[test]
fn who_does_not_stop_in_time_polls_beside_the_next() {
    let care = Care { stops_in_time: false, ..CAREFUL };
    let doubled = |seed: &u64| {
        World::new(*seed, care).run().faults.iter().any(|fault| fault.contains("polled by its former holder"))
    };
    assert!((0..50).any(|seed| doubled(&seed)), "the checks of this simulation notice nothing");
}
