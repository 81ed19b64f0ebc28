//! What has changed in the sessions since they were last looked at.

use std::collections::HashMap;

use crate::store::SessionRecord;

/// A session that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub key: String,
    /// Entries that it has more.
    pub grown: u64,
}

/// What a session was like.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    id: String,
    entries: u64,
    updated_ms: i64,
    pending: u32,
    running: bool,
}

/// The sessions as they were.
#[derive(Debug, Default)]
pub(super) struct Sight {
    known: HashMap<String, Look>,
    begun: bool,
}

impl Sight {
    /// What has changed. The first look only notes; and what goes on here is `own`, which tells of itself, and is compared
    /// with how it was when that is over.
    pub(super) fn see(&mut self, records: &[SessionRecord], own: impl Fn(&str) -> bool) -> Vec<Seen> {
        let mut changed = Vec::new();
        for record in records {
            let look = Look {
                id: record.id.clone(),
                entries: record.entries,
                updated_ms: record.updated_ms,
                pending: record.pending,
                running: record.running,
            };
            if !self.begun {
                self.known.insert(record.key.clone(), look);
                continue;
            }
            let before = self.known.get(&record.key);
            if before == Some(&look) || own(&record.key) {
                continue;
            }
            let same = before.filter(|before| before.id == look.id);
            let grown = look.entries.saturating_sub(same.map_or(0, |before| before.entries));
            changed.push(Seen { key: record.key.clone(), grown });
            self.known.insert(record.key.clone(), look);
        }
        self.begun = true;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SessionSettings;

    fn record(key: &str, id: &str, entries: u64) -> SessionRecord {
        SessionRecord {
            key: key.to_owned(),
            id: id.to_owned(),
            agent: "main".to_owned(),
            kind: "direct".to_owned(),
            account: "webchat:a".to_owned(),
            title: None,
            model: None,
            updated_ms: 1,
            entries,
            pending: 0,
            running: false,
            settings: SessionSettings::default(),
        }
    }

    #[test]
    fn what_grew_since_the_last_look_is_seen_once() {
        let mut sight = Sight::default();
        let nobody = |_: &str| false;
        assert_eq!(sight.see(&[record("a", "1", 400)], nobody), [], "the first look only notes");
        assert_eq!(sight.see(&[record("a", "1", 400)], nobody), []);
        let seen = |key: &str, grown| Seen { key: key.to_owned(), grown };
        let two = [record("a", "1", 403), record("b", "9", 2)];
        assert_eq!(sight.see(&two, nobody), [seen("a", 3), seen("b", 2)]);
        assert_eq!(sight.see(&two, nobody), []);
        assert_eq!(sight.see(&[record("a", "2", 5)], nobody), [seen("a", 5)], "it began afresh");
        let running = SessionRecord { running: true, ..record("b", "9", 2) };
        assert_eq!(sight.see(&[running], nobody), [seen("b", 0)]);
    }

    #[test]
    fn what_goes_on_here_is_compared_when_it_is_over() {
        let mut sight = Sight::default();
        sight.see(&[record("a", "1", 4)], |_| false);
        assert_eq!(sight.see(&[record("a", "1", 6)], |_| true), []);
        assert_eq!(sight.see(&[record("a", "1", 6)], |_| false), [Seen { key: "a".to_owned(), grown: 2 }]);
    }
}
