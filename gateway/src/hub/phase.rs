//! The life of a session, as it is shown: one table.

use std::collections::HashMap;

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionPhase {
    /// It is there, and nothing was answered in it yet.
    Created,
    /// Its agent answers, or would.
    Active,
    /// Its turn is under way, and nobody has it: its agent is gone.
    Paused,
    /// Its turn is taken up again from the journal.
    Resuming,
    /// It is about to be over.
    Closing,
    /// It is over.
    Closed,
}

impl SessionPhase {
    /// The phase as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Resuming => "resuming",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    /// An agent has its turn.
    Begun,
    /// Its turn is over.
    Ended,
    /// Its turn is nobody's.
    Lost,
    /// Its turn is claimed again.
    TakenUp,
    /// It begins afresh, or is forgotten.
    Close,
    /// Nothing is left to do for it.
    Done,
}

/// Everything that may happen: from, what, to.
const TABLE: &[(SessionPhase, Happening, SessionPhase)] = {
    use Happening::*;
    use SessionPhase::*;
    &[
        (Created, Begun, Active),
        (Created, Ended, Active),
        (Created, Lost, Paused),
        (Created, Close, Closing),
        (Active, Begun, Active),
        (Active, Ended, Active),
        (Active, Lost, Paused),
        (Active, Close, Closing),
        (Paused, TakenUp, Resuming),
        (Paused, Close, Closing),
        (Resuming, Begun, Active),
        (Resuming, Ended, Active),
        (Resuming, Lost, Paused),
        (Resuming, Close, Closing),
        (Closing, Done, Closed),
    ]
};

/// Something happened to a session that cannot in its phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("A session that is {} cannot have {what:?} happen to it; its phase stays.", from.as_str())]
pub(crate) struct Illegal {
    from: SessionPhase,
    what: Happening,
}

impl SessionPhase {
    /// The phase after something happened.
    ///
    /// # Errors
    /// When it cannot happen in this phase.
    pub(crate) fn after(self, what: Happening) -> Result<Self, Illegal> {
        let row = TABLE.iter().find(|(from, on, _)| (*from, *on) == (self, what));
        row.map(|(.., to)| *to).ok_or(Illegal { from: self, what })
    }
}

/// The phases of sessions that are not simply what their rows say.
#[derive(Debug, Default)]
pub(crate) struct Phases(HashMap<String, SessionPhase>);

impl Phases {
    /// The phase of a session whose row says that so many entries were written.
    pub(crate) fn of(&self, key: &str, entries: u64) -> SessionPhase {
        let plain = if entries == 0 { SessionPhase::Created } else { SessionPhase::Active };
        self.0.get(key).copied().unwrap_or(plain)
    }

    /// Something happened to a session.
    pub(crate) fn note(&mut self, key: &str, what: Happening) {
        // One that nobody has heard of yet may be new or not; what can happen to it is the same.
        let mut from = self.0.get(key).copied().unwrap_or(SessionPhase::Active);
        if from == SessionPhase::Paused && matches!(what, Happening::Begun | Happening::Ended) {
            // Whoever goes on with it, or ends it, has taken it up.
            from = from.after(Happening::TakenUp).unwrap_or(from);
        }
        match from.after(what) {
            // Its row says the rest.
            Ok(to) if to == SessionPhase::Closed || what == Happening::Ended => {
                self.0.remove(key);
            }
            Ok(to) => {
                self.0.insert(key.to_owned(), to);
            }
            Err(illegal) => tracing::warn!("{key}: {illegal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHASES: [SessionPhase; 6] = {
        use SessionPhase::*;
        [Created, Active, Paused, Resuming, Closing, Closed]
    };
    const HAPPENINGS: [Happening; 6] = {
        use Happening::*;
        [Begun, Ended, Lost, TakenUp, Close, Done]
    };

    #[test]
    fn every_phase_is_reached_and_only_closed_is_the_end() {
        let mut seen = vec![SessionPhase::Created];
        let mut next = 0;
        while next < seen.len() {
            let after = HAPPENINGS.iter().filter_map(|what| seen[next].after(*what).ok());
            let new: Vec<_> = after.filter(|to| !seen.contains(to)).collect();
            seen.extend(new);
            seen.dedup();
            next += 1;
        }
        for phase in PHASES {
            assert!(seen.contains(&phase), "{phase:?} is never reached");
            let ways = HAPPENINGS.iter().filter(|what| phase.after(**what).is_ok()).count();
            assert_eq!(ways == 0, phase == SessionPhase::Closed, "{phase:?}");
        }
    }

    #[test]
    fn each_row_of_the_table_stands_alone() {
        for (n, (from, what, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[n + 1..].iter().all(|row| (row.0, row.1) != (*from, *what)), "{from:?} {what:?}");
        }
    }

    #[test]
    fn what_cannot_happen_is_a_sentence_and_changes_nothing() {
        let illegal = SessionPhase::Paused.after(Happening::Begun).unwrap_err();
        insta::assert_snapshot!(illegal, @"A session that is paused cannot have Begun happen to it; its phase stays.");
        let mut phases = Phases::default();
        assert_eq!((phases.of("k", 0), phases.of("k", 1)), (SessionPhase::Created, SessionPhase::Active));
        phases.note("k", Happening::Lost);
        phases.note("k", Happening::Done);
        assert_eq!(phases.of("k", 0), SessionPhase::Paused);
        phases.note("k", Happening::TakenUp);
        assert_eq!(phases.of("k", 0), SessionPhase::Resuming);
        phases.note("k", Happening::Ended);
        assert_eq!(phases.of("k", 1), SessionPhase::Active);
        assert!(phases.0.is_empty(), "what its row says is not kept");
    }

    proptest! {
        /// Whatever happens: resuming only after a pause, active again only after resuming, and nothing after the end.
        #[test]
        fn no_way_leaves_the_order(happenings in proptest::collection::vec(proptest::sample::select(HAPPENINGS.to_vec()), 0..60)) {
            let mut phase = SessionPhase::Created;
            let mut phases = Phases::default();
            for what in happenings {
                let before = phase;
                match phase.after(what) {
                    Ok(to) => phase = to,
                    Err(illegal) => prop_assert_eq!(illegal, Illegal { from: before, what }),
                }
                prop_assert!(phase != SessionPhase::Resuming || matches!(before, SessionPhase::Paused | SessionPhase::Resuming));
                prop_assert!(before != SessionPhase::Closed || phase == SessionPhase::Closed);
                prop_assert!(before != SessionPhase::Paused || phase != SessionPhase::Active);
                prop_assert!(before != SessionPhase::Closing || matches!(phase, SessionPhase::Closing | SessionPhase::Closed));
                phases.note("k", what);
                prop_assert!(phases.of("k", 1) != SessionPhase::Closed, "what is closed is forgotten");
            }
        }
    }
}
