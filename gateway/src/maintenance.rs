//! Which sessions may be forgotten: decided by their rows alone.

use crate::store::SessionRecord;

/// How long and how many sessions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Those that were last written to before this moment may go.
    pub before_ms: i64,
    /// Of the others so many are kept, the newest.
    pub most: usize,
}

/// Why a session may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody has written in it for too long.
    Age,
    /// There are too many newer ones.
    Count,
}

impl Why {
    /// The reason as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Count => "count",
        }
    }
}

/// The sessions that may be forgotten, in the order of the list, which begins with the newest. One in which something goes
/// on or waits stays, and so does one that `stays` names; they count among those that are kept.
pub(crate) fn over(
    sessions: Vec<SessionRecord>,
    limits: Limits,
    stays: impl Fn(&SessionRecord) -> bool,
) -> Vec<(SessionRecord, Why)> {
    let listed = sessions.into_iter().enumerate();
    let idle = listed.filter(|(_, of)| !of.running && of.pending == 0 && !stays(of));
    idle.filter_map(|(place, of)| {
        let why = match () {
            () if of.updated_ms < limits.before_ms => Why::Age,
            () if place >= limits.most => Why::Count,
            () => return None,
        };
        Some((of, why))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SessionSettings;

    fn session(key: &str, updated_ms: i64) -> SessionRecord {
        SessionRecord {
            key: key.into(),
            id: key.into(),
            agent: "main".into(),
            kind: "direct".into(),
            account: "webchat:default".into(),
            title: None,
            model: None,
            settings: SessionSettings::default(),
            updated_ms,
            entries: 1,
            pending: 0,
            running: false,
        }
    }

    fn found(sessions: Vec<SessionRecord>, before_ms: i64, most: usize) -> Vec<(String, Why)> {
        let over = over(sessions, Limits { before_ms, most }, |of| of.key == "main");
        over.into_iter().map(|(of, why)| (of.key, why)).collect()
    }

    #[test]
    fn what_is_old_goes_and_of_the_rest_the_oldest() {
        let sessions = || vec![session("a", 90), session("b", 80), session("c", 70), session("d", 10)];
        assert_eq!(found(sessions(), 10, 9), []);
        assert_eq!(found(sessions(), 11, 9), [("d".into(), Why::Age)]);
        assert_eq!(found(sessions(), 11, 2), [("c".into(), Why::Count), ("d".into(), Why::Age)]);
    }

    #[test]
    fn what_goes_on_waits_or_is_a_main_session_stays_and_counts() {
        let running = SessionRecord { running: true, ..session("running", 5) };
        let waiting = SessionRecord { pending: 1, ..session("waiting", 4) };
        let sessions = vec![session("new", 90), running, waiting, session("main", 3), session("old", 2)];
        assert_eq!(found(sessions.clone(), 50, 1), [("old".into(), Why::Age)]);
        assert_eq!(found(sessions, 0, 4), [("old".into(), Why::Count)]);
    }
}
