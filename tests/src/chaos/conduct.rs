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
    /// Whether the gateway was to run without fences, and whether it said so.
    pub fences_out_asked: bool,
    pub fences_out_seen: bool,
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
        complain(
            self.fences_out_asked && !self.fences_out_seen,
            "the gateway never said that it runs without fences; was it built with `chaos-control`?".into(),
        );
        complain(
            !self.fences_out_asked && self.fences_out_seen,
            "the gateway ran without fences, and nobody asked for that".into(),
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
        let control = Conduct { fences_out_asked: true, fences_out_seen: true, ..good() };
        assert_eq!(control.complaints(), Vec::<String>::new());
        let bad = [
            Conduct::default(),
            Conduct { missed: 3, ..good() },
            Conduct { left_behind: 1, ..good() },
            Conduct { ended_by_itself: 1, ..good() },
            Conduct { gave_up: Some("1 open".into()), ..good() },
            Conduct { bad_stop: Some("exit 1".into()), ..good() },
            Conduct { fences_out_asked: true, ..good() },
            Conduct { fences_out_seen: true, ..good() },
        ];
        for conduct in bad {
            assert_eq!(conduct.complaints().len(), 1, "{conduct:?}");
        }
    }
}
