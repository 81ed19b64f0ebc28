//! How fast lines may go out before a server takes us for a flood.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket of lines.
#[derive(Debug)]
pub(super) struct Bucket {
    most: u32,
    every: Duration,
    left: u32,
    since: Instant,
}

impl Bucket {
    pub(super) fn new(most: u32, every: Duration, now: Instant) -> Self {
        Self { most, every, left: most, since: now }
    }

    /// When the next line may go out.
    pub(super) fn ready_at(&mut self, now: Instant) -> Instant {
        self.refill(now);
        if self.left > 0 { now } else { self.since + self.every }
    }

    /// A line goes out.
    pub(super) fn take(&mut self, now: Instant) {
        self.refill(now);
        self.left = self.left.saturating_sub(1);
    }

    fn refill(&mut self, now: Instant) {
        if self.every.is_zero() {
            self.left = self.most;
        }
        while self.left < self.most && now.duration_since(self.since) >= self.every {
            self.left += 1;
            self.since += self.every;
        }
        if self.left == self.most {
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_out_and_then_one_line_at_a_time() {
        let begin = Instant::now();
        let mut now = begin;
        let mut bucket = Bucket::new(4, Duration::from_secs(2), begin);
        let mut times = Vec::new();
        for _ in 0..7 {
            now = bucket.ready_at(now).max(now);
            bucket.take(now);
            times.push((now - begin).as_secs());
        }
        assert_eq!(times, [0, 0, 0, 0, 2, 4, 6]);
        now += Duration::from_secs(60);
        for _ in 0..4 {
            assert!(bucket.ready_at(now) <= now);
            bucket.take(now);
        }
        assert!(bucket.ready_at(now) > now);
    }
}
