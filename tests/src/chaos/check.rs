//! Judges a run from what went in and what the platform saw. Knows nothing of how it came about.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::bound::Causes;
use crate::interrupted::Interrupted;

/// All that the judge looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// What was put in.
    pub injected: Vec<Injected>,
    /// What the platform took.
    pub delivered: Vec<Delivered>,
    /// What the outbox says.
    pub rows: Vec<Row>,
    /// What can have left the end of a message unknown.
    pub causes: Causes,
    /// Times that a host began to poll the platform while another one did.
    pub beside: u64,
}

/// A message that was put in. The order of the list is the order of injection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Injected {
    /// Where.
    pub chat: i64,
    /// The word that only the answer to this message contains.
    pub token: String,
    /// Whether it asks for a command, which may be interrupted.
    pub command: bool,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// Where it goes.
    pub chat: i64,
    /// What it says.
    pub text: String,
    /// `queued`, `attempting`, `sent`, `unknown` or `failed`.
    pub state: String,
}

impl Row {
    /// Whether something will still be done with it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "queued" | "attempting")
    }
}

/// Something that the platform accepted from us. The order of the list is the order of acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Where.
    pub chat: i64,
    /// What it said.
    pub text: String,
}

/// What became of all messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// Messages put in.
    pub injected: u64,
    /// Answered exactly once.
    pub answered_once: u64,
    /// Marked unknown in the outbox, and the platform has the answer.
    pub unknown_delivered: u64,
    /// Of these, delivered after a later message: a request whose connection was lost may be carried out by the
    /// platform at any later time, and nobody on our side can know.
    pub unknown_late: u64,
    /// Marked unknown in the outbox, and the platform has no answer.
    pub unknown_undelivered: u64,
    /// Answered with the sentence that a command was interrupted and was not run again.
    pub interrupted: u64,
    /// Marked failed in the outbox, and the platform has no answer. The platform of these runs refuses nothing.
    pub failed: u64,
    /// Marked failed in the outbox, and the platform has the answer.
    pub failed_delivered: u64,
    /// Messages whose answer stands in the outbox more than once.
    pub doubled_rows: u64,
    /// Not answered, and nobody says so.
    pub lost: u64,
    /// Answered more than once.
    pub duplicated: u64,
    /// Answered after a later message of the same chat.
    pub reordered: u64,
    /// Said in a wrong chat.
    pub misplaced: u64,
    /// Said, and the answer to nothing.
    pub strange: u64,
    /// Times that the platform had two hosts poll one account at a time.
    pub beside: u64,
    /// What can have left the end of a message unknown.
    pub causes: Causes,
    /// The first few of each, for people.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether the promise was kept. What is unknown or interrupted is said, but a Creel that says it of everything
    /// keeps no promise either: no more than there were causes, and at most one in a hundred.
    pub(crate) fn is_good(&self) -> bool {
        self.injected > 0
            && self.broken() == 0
            && self.unexplained() == 0
            && self.interrupted * 100 <= self.injected.max(100)
    }

    /// Messages whose end nobody knows.
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown_delivered + self.unknown_undelivered
    }

    /// Messages whose end nobody knows, where they are more than the causes explain.
    pub(crate) fn unexplained(&self) -> u64 {
        if self.causes.explain(self.unknown(), self.injected) { 0 } else { self.unknown() }
    }

    /// What may not happen at all.
    fn broken(&self) -> u64 {
        self.lost
            + self.duplicated
            + self.reordered
            + self.misplaced
            + self.strange
            + self.beside
            + self.failed
            + self.failed_delivered
            + self.doubled_rows
    }

    fn count_doubled_rows(&mut self, rows: &[Row]) {
        let mut count: BTreeMap<&str, u64> = BTreeMap::new();
        for token in rows.iter().filter_map(|row| token_of(&row.text)) {
            *count.entry(token).or_default() += 1;
        }
        for (token, rows) in count.into_iter().filter(|(_, rows)| *rows > 1) {
            self.doubled_rows += 1;
            self.example("doubled rows", &format!("{token}, {rows} rows"));
        }
    }

    fn example(&mut self, kind: &str, what: &str) {
        if self.examples.iter().filter(|example| example.starts_with(kind)).count() < 8 {
            self.examples.push(format!("{kind}: {what}"));
        }
    }
}

/// The word of a text that is a token. Tokens are `tok-CHAT-NUMBER`.
pub(crate) fn token_of(text: &str) -> Option<&str> {
    let at = text.find("tok-")?;
    let rest = &text[at..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// Judges what was put in by what the platform took and what the outbox says of the rest.
pub(crate) fn check(evidence: &Evidence) -> Verdict {
    let Evidence { injected, delivered, rows, causes, beside } = evidence;
    let (count, causes) = (injected.len() as u64, *causes);
    let mut verdict = Verdict { injected: count, beside: *beside, causes, ..Verdict::default() };
    let known: BTreeMap<&str, i64> =
        injected.iter().map(|message| (message.token.as_str(), message.chat)).collect();
    let told = |state: &str| -> BTreeSet<&str> {
        rows.iter().filter(|row| row.state == state).filter_map(|row| token_of(&row.text)).collect()
    };
    let (unknown, failed) = (told("unknown"), told("failed"));
    verdict.count_doubled_rows(rows);
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    // By chat, the tokens in the order of their first delivery.
    let mut order: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    let mut interrupted = Interrupted::default();
    for row in rows.iter().filter(|row| Interrupted::is_said_by(&row.text)) {
        interrupted.row(row.chat, &row.state);
    }
    for said in delivered {
        if Interrupted::is_said_by(&said.text) {
            interrupted.delivered(said.chat);
            continue;
        }
        let Some((token, chat)) = token_of(&said.text).and_then(|token| Some((token, *known.get(token)?)))
        else {
            verdict.strange += 1;
            verdict.example("strange", &format!("chat {}: {:?}", said.chat, said.text));
            continue;
        };
        if chat != said.chat {
            verdict.misplaced += 1;
            verdict.example("misplaced", &format!("{token} in chat {}", said.chat));
        }
        let count = times.entry(token).or_default();
        *count += 1;
        if *count == 1 {
            order.entry(said.chat).or_default().push(token);
        }
    }
    for message in injected {
        let token = message.token.as_str();
        match (times.get(token).copied().unwrap_or(0), unknown.contains(token), failed.contains(token)) {
            (1, false, false) => verdict.answered_once += 1,
            (1, true, _) => verdict.unknown_delivered += 1,
            (1, false, true) => {
                verdict.failed_delivered += 1;
                verdict.example("failed, delivered", token);
            }
            (0, true, _) => verdict.unknown_undelivered += 1,
            (0, false, true) => {
                verdict.failed += 1;
                verdict.example("failed", token);
            }
            (0, false, false) if message.command && interrupted.excuses(message.chat) => {
                verdict.interrupted += 1;
            }
            (0, false, false) => {
                verdict.lost += 1;
                verdict.example("lost", token);
            }
            (n, ..) => {
                verdict.duplicated += 1;
                verdict.example("duplicated", &format!("{token}, {n} times"));
            }
        }
    }
    let position: BTreeMap<&str, usize> =
        injected.iter().enumerate().map(|(at, message)| (message.token.as_str(), at)).collect();
    if interrupted.strange() > 0 {
        verdict.strange += interrupted.strange();
        verdict.example("strange", "answers that a command was interrupted");
    }
    for tokens in order.values() {
        let mut latest = None;
        for token in tokens {
            let at = position.get(token).copied();
            match (at < latest, unknown.contains(token)) {
                (false, false) => latest = at,
                // What may arrive at any time does not make those after it late.
                (false, true) => {}
                (true, true) => verdict.unknown_late += 1,
                (true, false) => {
                    verdict.reordered += 1;
                    verdict.example("reordered", token);
                }
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(chat: i64, text: &str, state: &str) -> Row {
        Row { chat, text: text.into(), state: state.into() }
    }

    fn injected() -> Vec<Injected> {
        [(1, "tok-1-0"), (1, "tok-1-1"), (1, "tok-1-2"), (2, "tok-2-0")]
            .map(|(chat, token)| Injected { chat, token: token.into(), command: chat == 2 })
            .into()
    }

    fn with_rows(said: &[(i64, &str)], rows: &[Row]) -> Verdict {
        let delivered: Vec<_> =
            said.iter().map(|(chat, text)| Delivered { chat: *chat, text: (*text).into() }).collect();
        let causes = Causes { cuts: 1, hidden: 0 };
        check(&Evidence { injected: injected(), delivered, rows: rows.to_vec(), causes, beside: 0 })
    }

    fn run(said: &[(i64, &str)], unknown: &[&str]) -> Verdict {
        let rows: Vec<_> = unknown.iter().map(|token| row(1, token, "unknown")).collect();
        with_rows(said, &rows)
    }

    const ALL: [(i64, &str); 4] =
        [(1, "tok-1-0"), (2, "tool said: tok-2-0"), (1, "tok-1-1"), (1, "tok-1-2 and more")];
    const CUT: &str = "tool said: The outcome of this exec call is unknown: Creel was interrupted.";

    #[test]
    fn an_interrupted_command_is_an_answer_of_its_own_kind() {
        let judge = |said: &[(i64, &str)], rows: &[(i64, &str)]| {
            let cut = CUT.replace("exec", "`exec`");
            let rows: Vec<_> = rows.iter().map(|(chat, state)| row(*chat, &cut, state)).collect();
            let verdict = with_rows(said, &rows);
            (verdict.interrupted, verdict.lost, verdict.strange)
        };
        let (rest, cut) = ([ALL[0], ALL[2], ALL[3]], [ALL[0], (2, CUT), ALL[2], ALL[3]]);
        assert_eq!(judge(&cut, &[(2, "sent")]), (1, 0, 0));
        assert_eq!(judge(&cut, &[(2, "unknown")]), (1, 0, 0));
        assert_eq!(judge(&rest, &[(2, "unknown")]), (1, 0, 0), "nobody knows, and that is said");
        assert_eq!(judge(&rest, &[(2, "sent")]), (0, 1, 0), "it was never sent");
        assert_eq!(judge(&rest, &[(1, "unknown")]), (0, 1, 1), "an answer of another chat excuses nothing");
        assert_eq!(judge(&cut, &[]), (0, 1, 1), "nobody meant to say it");
        assert_eq!(judge(&[&ALL[..], &[(2, CUT)]].concat(), &[(2, "sent")]), (0, 0, 1), "it answers nothing");
        let plain = [(1, CUT), ALL[1], ALL[2], ALL[3]];
        assert_eq!(judge(&plain, &[(1, "sent")]), (0, 1, 1), "that message had no command");
    }

    #[test]
    fn what_is_unknown_has_no_place_in_the_order() {
        let late = [ALL[2], ALL[0], ALL[1], ALL[3]];
        assert_eq!((run(&late, &["tok-1-0"]).reordered, run(&late, &[]).reordered), (0, 1));
    }

    #[test]
    fn a_good_run() {
        let verdict = with_rows(&ALL, &ALL.map(|(chat, text)| row(chat, text, "sent")));
        assert!(verdict.is_good(), "{verdict:?}");
        assert_eq!(verdict.answered_once, 4);
    }

    #[test]
    fn each_fault_is_seen() {
        assert_eq!(run(&ALL[1..], &[]).lost, 1);
        assert_eq!(run(&[ALL[0], ALL[1], ALL[2], ALL[3], ALL[0]], &[]).duplicated, 1);
        assert_eq!(run(&[ALL[2], ALL[0], ALL[1], ALL[3]], &[]).reordered, 1);
        assert_eq!(run(&[ALL[0], ALL[1], ALL[2], (2, "tok-1-2")], &[]).misplaced, 1);
        assert_eq!(run(&[ALL[0], ALL[1], ALL[2], ALL[3], (1, "oops")], &[]).strange, 1);
        for said in [&ALL[1..], &[ALL[2], ALL[0], ALL[1], ALL[3]], &[(1, "oops")]] {
            assert!(!run(said, &[]).is_good());
        }
    }

    #[test]
    fn what_the_outbox_says_must_be_true_and_said_once() {
        let failed = [row(1, "tok-1-0", "failed")];
        assert_eq!(with_rows(&ALL[1..], &failed).failed, 1);
        assert_eq!(with_rows(&ALL, &failed).failed_delivered, 1);
        let twice = [row(1, "tok-1-0", "sent"), row(1, "tok-1-0", "queued")];
        assert_eq!(with_rows(&ALL, &twice).doubled_rows, 1);
        for verdict in [with_rows(&ALL[1..], &failed), with_rows(&ALL, &failed), with_rows(&ALL, &twice)] {
            assert!(!verdict.is_good(), "{verdict:?}");
        }
    }

    #[test]
    fn unknown_ones_may_be_there_or_not_but_not_twice() {
        let verdict = run(&ALL[1..], &["tok-1-0"]);
        assert_eq!((verdict.unknown_undelivered, verdict.lost), (1, 0));
        assert_eq!(run(&ALL, &["tok-1-0"]).unknown_delivered, 1);
        assert_eq!(run(&[ALL[0], ALL[0], ALL[1], ALL[2], ALL[3]], &["tok-1-0"]).duplicated, 1);
        assert!(!check(&Evidence::default()).is_good());
    }

    #[test]
    fn as_many_may_be_unknown_as_there_are_causes_and_one_in_a_hundred_interrupted() {
        let good = |unknown_delivered, unknown_undelivered, interrupted| {
            Verdict {
                injected: 1000,
                unknown_delivered,
                unknown_undelivered,
                interrupted,
                causes: Causes { cuts: 60, hidden: 40 },
                ..Verdict::default()
            }
            .is_good()
        };
        assert!(good(60, 40, 10));
        assert!(!good(61, 40, 0) && !good(0, 101, 0) && !good(0, 0, 11));
    }

    #[test]
    fn an_unknown_one_may_come_late_and_others_may_not() {
        let late = [ALL[1], ALL[2], ALL[0], ALL[3]];
        let verdict = run(&late, &["tok-1-0"]);
        assert_eq!((verdict.reordered, verdict.unknown_late), (0, 1));
        // It is the first that is late here, not the second that is early.
        let verdict = run(&late, &["tok-1-1"]);
        assert_eq!((verdict.reordered, verdict.unknown_late), (0, 0));
        assert_eq!(run(&[ALL[3], ALL[0], ALL[1], ALL[2]], &["tok-1-1"]).reordered, 1);
    }

    #[test]
    fn a_token_is_found_in_a_text() {
        assert_eq!(token_of("tool said: tok-12-7."), Some("tok-12-7"));
        assert_eq!(token_of("nothing"), None);
    }
}
