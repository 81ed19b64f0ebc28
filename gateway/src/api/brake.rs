//! Slows down whoever guesses the token. Pure: time is given.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong guesses of one address within [`WINDOW`] before it has to wait.
const GUESSES: u32 = 10;
/// Wrong guesses of all addresses together within [`WINDOW`]; above it one wrong guess is enough to wait.
const GUESSES_OF_ALL: u32 = 300;
/// How long a wrong guess counts, and how long a locked address waits.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const ADDRESSES: usize = 4096;

#[derive(Debug)]
struct Record {
    wrong: u32,
    since: Instant,
    locked_until: Option<Instant>,
}

/// Counts wrong guesses by address and altogether.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    records: HashMap<IpAddr, Record>,
    all: Option<(Instant, u32)>,
    total: u64,
}

impl Brake {
    /// How long `peer` has to wait before its next attempt is looked at.
    pub(crate) fn wait(&self, peer: IpAddr, now: Instant) -> Option<Duration> {
        let until = self.records.get(&network(peer))?.locked_until?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Notes a wrong guess.
    pub(crate) fn wrong(&mut self, peer: IpAddr, now: Instant) {
        self.total += 1;
        let of_all = match &mut self.all {
            Some((since, count)) if now.duration_since(*since) < WINDOW => {
                *count += 1;
                *count
            }
            all => {
                *all = Some((now, 1));
                1
            }
        };
        self.make_room(now);
        let record =
            self.records.entry(network(peer)).or_insert(Record { wrong: 0, since: now, locked_until: None });
        if now.duration_since(record.since) >= WINDOW {
            *record = Record { wrong: 0, since: now, locked_until: None };
        }
        record.wrong += 1;
        if record.wrong >= GUESSES || of_all > GUESSES_OF_ALL {
            record.locked_until = Some(now + WINDOW);
        }
    }

    /// Forgets the wrong guesses of an address that knew the token.
    pub(crate) fn right(&mut self, peer: IpAddr) {
        self.records.remove(&network(peer));
    }

    /// Wrong guesses since the gateway started.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    fn make_room(&mut self, now: Instant) {
        if self.records.len() < ADDRESSES {
            return;
        }
        self.records.retain(|_, record| {
            now.duration_since(record.since) < WINDOW || record.locked_until.is_some_and(|until| until > now)
        });
        if self.records.len() >= ADDRESSES {
            // Whoever has so many addresses is stopped by the common count.
            self.records.retain(|_, record| record.locked_until.is_some());
            if self.records.len() >= ADDRESSES {
                self.records.clear();
            }
        }
    }
}

/// One IPv6 host owns at least a /64: all of it counts as one address.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let mut parts = address.segments();
            parts[4..].fill(0);
            IpAddr::V6(Ipv6Addr::from(parts))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_wrong_guesses_in_a_minute_lock_one_address_for_a_minute() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for n in 0..9 {
            brake.wrong(ip("10.0.0.1"), now + Duration::from_secs(n));
        }
        assert_eq!(brake.wait(ip("10.0.0.1"), now), None);
        brake.wrong(ip("10.0.0.1"), now + Duration::from_secs(9));
        let left = brake.wait(ip("10.0.0.1"), now + Duration::from_secs(10)).unwrap();
        assert_eq!(left, Duration::from_secs(59));
        assert_eq!(brake.wait(ip("10.0.0.2"), now), None);
        assert_eq!(brake.wait(ip("10.0.0.1"), now + Duration::from_secs(70)), None);
        assert_eq!(brake.total(), 10);
    }

    #[test]
    fn slow_mistakes_never_lock() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for n in 0..100 {
            brake.wrong(ip("10.0.0.1"), now + Duration::from_secs(10 * n));
            assert_eq!(brake.wait(ip("10.0.0.1"), now + Duration::from_secs(10 * n)), None);
        }
    }

    #[test]
    fn many_addresses_share_a_budget_and_the_table_stays_small() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for n in 0..20_000_u32 {
            brake.wrong(IpAddr::V4(n.into()), now);
        }
        assert!(brake.records.len() <= ADDRESSES);
        brake.wrong(ip("192.0.2.7"), now);
        assert!(brake.wait(ip("192.0.2.7"), now).is_some());
        assert_eq!(brake.wait(ip("192.0.2.8"), now), None, "who never guessed wrong is not punished");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for n in 0..10 {
            brake.wrong(ip(&format!("2001:db8::{n}")), now);
        }
        assert!(brake.wait(ip("2001:db8::ffff"), now).is_some());
        assert!(brake.wait(ip("2001:db8:0:1::1"), now).is_none());
    }
}
