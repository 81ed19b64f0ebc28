//! Reports of denied connections: the first at once, the rest of the same destination counted.

use std::collections::HashMap;
use std::time::Duration;

use creel_ipc::msg::egress::EgressDenied;
use tokio::time::Instant;

/// Time between two reports of the same destination of the same unit.
const EVERY: Duration = Duration::from_secs(60);
/// Destinations that are told apart; a unit that scans more has its reports merged by forgetting the oldest.
const MAX_DESTINATIONS: usize = 256;

/// What was denied lately.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    seen: HashMap<(String, String, u16), (Instant, u64)>,
}

impl Denials {
    /// Counts a denial and returns the report that is due, if one is.
    pub(crate) fn count(&mut self, mut denied: EgressDenied, now: Instant) -> Option<EgressDenied> {
        let key = (denied.unit.clone(), denied.host.clone(), denied.port);
        if let Some((last, silent)) = self.seen.get_mut(&key) {
            *silent += 1;
            if now.duration_since(*last) < EVERY {
                return None;
            }
            denied.count = std::mem::take(silent);
            *last = now;
            return Some(denied);
        }
        if self.seen.len() >= MAX_DESTINATIONS {
            let oldest = self.seen.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.seen.remove(&key));
        }
        self.seen.insert(key, (now, 0));
        denied.count = 1;
        Some(denied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_denial_is_told_and_the_next_ones_are_counted() {
        let denied = EgressDenied {
            unit: "agent:a".into(),
            host: "x.test".into(),
            port: 1,
            reason: String::new(),
            count: 0,
        };
        let (mut denials, start) = (Denials::default(), Instant::now());
        assert_eq!(denials.count(denied.clone(), start).unwrap().count, 1);
        assert!(denials.count(denied.clone(), start + EVERY / 2).is_none());
        assert_eq!(denials.count(denied, start + EVERY).unwrap().count, 2);
    }
}
