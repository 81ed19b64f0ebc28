//! How many messages may end as unknown: no more than there were causes.

use serde::Serialize;

/// Sends of one account that are under way at once, as the gateway's pump has it.
const AT_ONCE: u64 = 8;

/// What can leave it unknown whether a message was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Causes {
    /// Ends of processes that cut what was being sent: of the channel's worker, the way out and the supervisor.
    pub cuts: u64,
    /// Sends whose outcome the platform hid.
    pub hidden: u64,
}

impl Causes {
    /// Whether so many unknown ones can have come of these: not more than were under way, and on the whole not more than one for
    /// each cause, or one message in ten.
    pub(crate) fn explain(self, unknown: u64, injected: u64) -> bool {
        let usual = (self.cuts + self.hidden).max(injected / 10);
        unknown <= usual.min(self.most())
    }

    /// The most that there can be.
    pub(crate) fn most(self) -> u64 {
        self.cuts * AT_ONCE + self.hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_cause_nothing_is_unknown_and_with_many_not_everything() {
        let none = Causes::default();
        assert!(none.explain(0, 1000) && !none.explain(1, 1000));
        let storm = Causes { cuts: 40, hidden: 60 };
        assert!(storm.explain(100, 100) && !storm.explain(101, 100));
        assert!(storm.explain(140, 1400) && !storm.explain(141, 1400));
        let one = Causes { cuts: 1, hidden: 0 };
        assert!(one.explain(8, 1000) && !one.explain(9, 1000));
    }
}
