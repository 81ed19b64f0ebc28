//! Whether the host slept: then nobody is late, and everybody gets one more period.

use std::time::{Duration, Instant};

/// The clocks are read one after the other, and one of them counts hundredths.
const BLUR: Duration = Duration::from_secs(1);

/// Compares the clock that stands still while the host sleeps with the one that goes on.
#[derive(Debug)]
pub struct Suspension {
    began: Instant,
    /// By how much the time since the boot was ahead of ours.
    ahead: Option<Duration>,
}

impl Suspension {
    /// Counts from now on.
    pub fn begin() -> Self {
        let mut new = Self { began: Instant::now(), ahead: None };
        new.happened();
        new
    }

    /// Whether the host slept since this was asked before.
    pub fn happened(&mut self) -> bool {
        let Some(boot) = since_boot() else { return false };
        self.noticed(self.began.elapsed(), boot)
    }

    fn noticed(&mut self, monotonic: Duration, boot: Duration) -> bool {
        let ahead = boot.saturating_sub(monotonic);
        self.ahead.replace(ahead).is_some_and(|before| ahead.saturating_sub(before) > BLUR)
    }
}

/// CLOCK_BOOTTIME, as the kernel prints it.
fn since_boot() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(text.split(' ').next()?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_33_a_sleep_of_the_host_is_noticed_once_and_a_busy_host_is_no_sleep() {
        let mut suspension = Suspension { began: Instant::now(), ahead: None };
        let second = Duration::from_secs(1);
        assert!(!suspension.noticed(second, 101 * second));
        assert!(!suspension.noticed(300 * second, 400 * second + second / 2));
        assert!(suspension.noticed(310 * second, 410 * second + 8 * 3600 * second));
        assert!(!suspension.noticed(320 * second, 420 * second + 8 * 3600 * second));
    }

    #[test]
    fn the_time_since_the_boot_goes_on() {
        let before = since_boot().unwrap();
        assert!(before > Duration::ZERO && since_boot().unwrap() >= before);
        assert!(!Suspension::begin().happened());
    }
}
