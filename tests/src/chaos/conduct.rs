//! What a run itself must be like before its verdict on the messages means anything.

use serde::Serialize;

/// How a run went, messages aside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conduct {
    /// Misfortunes that were planned, and those whose victim could not be hit.
    pub planned: u64,
    pub missed: u64,
    /// Processes that outlived a killed supervisor.
    pub left_behind: u64,
    /// Times that the supervisor ended without being killed.
    pub ended_by_itself: u64,
    /// What was still open when waiting made no sense any more.
    pub gave_up: Option<String>,
    /// What was wrong with the last stop.
    pub bad_stop: Option<String>,
    /// Times that the disk was full, and those at which nothing more was acknowledged to the platform.
    pub fills: u64,
    pub fills_felt: u64,
    /// The longest time from a freed disk until the platform was caught up with, in milliseconds.
    pub slowest_recovery_ms: u64,
    /// Times that a host which could not reach the database lost the account, those at which another one polled the platform
    /// before that was over, and the longest time until then, in milliseconds.
    pub freed: u64,
    pub takeovers: u64,
    pub slowest_takeover_ms: u64,
    /// Times that the database's standby took over, and the longest time from its primary's end until something was said again, in
    /// milliseconds.
    pub failovers: u64,
    pub slowest_failover_ms: u64,
    /// What went wrong with the servers themselves, so that the run shows nothing.
    pub bad_servers: Option<String>,
    /// Whether the gateway was to run with a guarantee switched off, and whether it said so.
    pub control_asked: bool,
    pub control_seen: bool,
}

impl Conduct {
    /// What makes the run worth nothing, or shows a fault of its own; empty when all is well.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut complain = |wrong: bool, what: String| {
            if wrong {
                complaints.push(what);
            }
        };
        complain(self.planned == 0, "nothing was planned to go wrong".into());
        // A victim that is just being started cannot be hit; that is rare.
        complain(
            self.missed * 4 > self.planned,
            format!("{} of {} blows missed, more than a quarter", self.missed, self.planned),
        );
        complain(self.left_behind > 0, format!("{} processes were left behind", self.left_behind));
        complain(
            self.ended_by_itself > 0,
            format!("the supervisor ended by itself {} times", self.ended_by_itself),
        );
        if let Some(open) = &self.gave_up {
            complain(true, format!("gave up waiting: {open}"));
        }
        if let Some(stop) = &self.bad_stop {
            complain(true, format!("the last stop: {stop}"));
        }
        if let Some(servers) = &self.bad_servers {
            complain(true, format!("the database's servers: {servers}"));
        }
        complain(
            self.fills > 0 && self.fills_felt == 0,
            format!("the disk was full {} times, and nobody felt it", self.fills),
        );
        complain(
            self.freed > 0 && self.takeovers == 0 && !self.control_asked,
            format!("the account was free {} times, and nobody took it over", self.freed),
        );
        complain(
            self.control_asked && !self.control_seen,
            "no guarantee was seen to be switched off; was the gateway built with `chaos-control`?".into(),
        );
        complain(
            !self.control_asked && self.control_seen,
            "the run had a guarantee switched off, and nobody asked for that".into(),
        );
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_makes_a_run_worthless_is_said() {
        let good = || Conduct { planned: 8, missed: 2, ..Conduct::default() };
        assert_eq!(good().complaints(), Vec::<String>::new());
        let control = Conduct { control_asked: true, control_seen: true, ..good() };
        assert_eq!(control.complaints(), Vec::<String>::new());
        let bad = [
            Conduct::default(),
            Conduct { missed: 3, ..good() },
            Conduct { left_behind: 1, ..good() },
            Conduct { ended_by_itself: 1, ..good() },
            Conduct { gave_up: Some("1 open".into()), ..good() },
            Conduct { bad_stop: Some("exit 1".into()), ..good() },
            Conduct { fills: 3, ..good() },
            Conduct { freed: 2, ..good() },
            Conduct { bad_servers: Some("gone".into()), ..good() },
            Conduct { control_asked: true, ..good() },
            Conduct { control_seen: true, ..good() },
        ];
        for conduct in bad {
            assert_eq!(conduct.complaints().len(), 1, "{conduct:?}");
        }
    }
}
