//! The clocks: one for people, one for order, and the name of the machine's run.
//!
//! What decides anything in the supervisor uses [`std::time::Instant`]; these are for records.

use std::time::Duration;

use jiff::Timestamp;

/// Milliseconds since the epoch: for people, never for decisions.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Milliseconds since the machine started, without its sleep.
pub fn monotonic_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let millis = now.tv_sec.saturating_mul(1000).saturating_add(now.tv_nsec / 1_000_000);
    u64::try_from(millis).unwrap_or(0)
}

/// The kernel's name for the machine's run since it was started; `unknown` where it gives none.
pub fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let text = text.trim();
    if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
}

/// A moment as RFC 3339 in UTC with milliseconds: always 24 characters for the years 0 to 9999.
pub fn rfc3339(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Reads RFC 3339, with or without a fraction, in UTC or with an offset; milliseconds since the epoch.
pub fn from_rfc3339(text: &str) -> Option<i64> {
    text.parse().ok().map(Timestamp::as_millisecond)
}

/// `90s`, `10m`, `2h`, `3d` or a moment in RFC 3339, as milliseconds since the epoch.
///
/// # Errors
/// A sentence, when it is neither.
pub fn since(text: &str, now_ms: i64) -> Result<i64, String> {
    if let Some(at) = from_rfc3339(text) {
        return Ok(at);
    }
    let wrong = || {
        format!(
            "\"{text}\" is no time; write how long ago (90s, 10m, 2h, 3d) or when (2026-11-21T15:00:00Z)."
        )
    };
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u32 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let ago = Duration::from_secs(seconds * u64::from(number)).as_millis();
    Ok(now_ms.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_read_as_people_write_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(1_709_208_000_007), "2024-02-29T12:00:00.007Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(from_rfc3339("2024-02-29T13:30:00+01:30"), Some(1_709_208_000_000));
        assert_eq!(from_rfc3339("2024-02-29T12:00:00.0071234Z"), Some(1_709_208_000_007));
        for wrong in ["", "2024-02-29", "2024-13-01T00:00:00Z", "2024-02-29T12:00:00", "2024-02-29T1:00:00Z!"]
        {
            assert_eq!(from_rfc3339(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_is_how_long_ago_or_when() {
        assert_eq!(since("10m", 1_000_000), Ok(400_000));
        assert_eq!(since("2d", 200_000_000), Ok(27_200_000));
        assert_eq!(since("1970-01-01T00:00:01Z", 5), Ok(1000));
        for wrong in ["", "m", "10", "10w", "-3h", "ten minutes", "é"] {
            assert!(since(wrong, 0).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_comes_back(ms in -30_000_000_000_000_i64..200_000_000_000_000) {
            prop_assert_eq!(from_rfc3339(&rfc3339(ms)), Some(ms));
            prop_assert_eq!(rfc3339(ms).len(), 24);
        }
    }
}
