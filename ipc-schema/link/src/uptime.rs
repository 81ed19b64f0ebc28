//! The clock that all processes of a machine have in common and that nobody sets.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since the machine was started, counting the time that it slept.
pub fn uptime_ms() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    // There it counts the time that the machine slept.
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let millis = u64::try_from(now.tv_nsec / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(millis)
}
