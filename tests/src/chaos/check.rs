//! Judges a run from what went in and what the platform saw. Knows nothing of how it came about.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// A message that was put in. The order of the list is the order of injection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Injected {
    /// Where.
    pub chat: i64,
    /// The word that only the answer to this message contains.
    pub token: String,
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
    /// The first few of each, for people.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether the promise was kept. Unknown ones are counted by the outbox, but a Creel that calls everything
    /// unknown keeps no promise either: at most one in five.
    pub(crate) fn is_good(&self) -> bool {
        let unknown = self.unknown_delivered + self.unknown_undelivered;
        self.injected > 0
            && self.lost + self.duplicated + self.reordered + self.misplaced + self.strange == 0
            && unknown * 5 <= self.injected
            && self.interrupted * 20 <= self.injected
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

/// How the answer to a command begins whose end nobody knows: it names no token.
const INTERRUPTED: &str = "The outcome of this exec call is unknown";

/// Judges. `unknown` are the tokens of outbox rows that nobody knows the end of.
pub(crate) fn check(injected: &[Injected], delivered: &[Delivered], unknown: &BTreeSet<String>) -> Verdict {
    let mut verdict = Verdict { injected: injected.len() as u64, ..Verdict::default() };
    let known: BTreeMap<&str, i64> =
        injected.iter().map(|message| (message.token.as_str(), message.chat)).collect();
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    // By chat, the tokens in the order of their first delivery.
    let mut order: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    // By chat, answers that say that a command was interrupted.
    let mut interrupted: BTreeMap<i64, u64> = BTreeMap::new();
    for said in delivered {
        if said.text.contains(INTERRUPTED) {
            *interrupted.entry(said.chat).or_default() += 1;
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
        match (times.get(token).copied().unwrap_or(0), unknown.contains(token)) {
            (1, false) => verdict.answered_once += 1,
            (1, true) => verdict.unknown_delivered += 1,
            (0, true) => verdict.unknown_undelivered += 1,
            (0, false) if interrupted.get(&message.chat).is_some_and(|left| *left > 0) => {
                interrupted.entry(message.chat).and_modify(|left| *left -= 1);
                verdict.interrupted += 1;
            }
            (0, false) => {
                verdict.lost += 1;
                verdict.example("lost", token);
            }
            (n, _) => {
                verdict.duplicated += 1;
                verdict.example("duplicated", &format!("{token}, {n} times"));
            }
        }
    }
    let position: BTreeMap<&str, usize> =
        injected.iter().enumerate().map(|(at, message)| (message.token.as_str(), at)).collect();
    for said in interrupted.values().filter(|left| **left > 0) {
        verdict.strange += said;
        verdict.example("strange", INTERRUPTED);
    }
    for tokens in order.values() {
        let mut latest = None;
        for token in tokens {
            let at = position.get(token).copied();
            match (at < latest, unknown.contains(*token)) {
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

    fn run(said: &[(i64, &str)], unknown: &[&str]) -> Verdict {
        let injected: Vec<_> = [(1, "tok-1-0"), (1, "tok-1-1"), (1, "tok-1-2"), (2, "tok-2-0")]
            .map(|(chat, token)| Injected { chat, token: token.into() })
            .into();
        let delivered: Vec<_> =
            said.iter().map(|(chat, text)| Delivered { chat: *chat, text: (*text).into() }).collect();
        check(&injected, &delivered, &unknown.iter().map(|token| (*token).to_owned()).collect())
    }

    const ALL: [(i64, &str); 4] =
        [(1, "tok-1-0"), (2, "tool said: tok-2-0"), (1, "tok-1-1"), (1, "tok-1-2 and more")];

    #[test]
    fn an_interrupted_command_is_an_answer_of_its_own_kind() {
        let said = "tool said: The outcome of this exec call is unknown: Creel was interrupted.";
        let verdict = run(&[ALL[0], (2, said), ALL[2], ALL[3]], &[]);
        assert_eq!((verdict.interrupted, verdict.lost, verdict.strange), (1, 0, 0));
        assert_eq!(run(&[ALL[0], ALL[1], (2, said), ALL[2], ALL[3]], &[]).strange, 1);
    }

    #[test]
    fn what_is_unknown_has_no_place_in_the_order() {
        let late = [ALL[2], ALL[0], ALL[1], ALL[3]];
        assert_eq!((run(&late, &["tok-1-0"]).reordered, run(&late, &[]).reordered), (0, 1));
    }

    #[test]
    fn a_good_run() {
        let verdict = run(&ALL, &[]);
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
    fn unknown_ones_may_be_there_or_not_but_not_twice_and_not_all() {
        let verdict = run(&ALL[1..], &["tok-1-0"]);
        assert_eq!((verdict.unknown_undelivered, verdict.lost), (1, 0));
        assert_eq!(run(&ALL, &["tok-1-0"]).unknown_delivered, 1);
        assert_eq!(run(&[ALL[0], ALL[0], ALL[1], ALL[2], ALL[3]], &["tok-1-0"]).duplicated, 1);
        assert!(!run(&ALL, &["tok-1-0", "tok-1-1"]).is_good());
        assert!(!check(&[], &[], &BTreeSet::new()).is_good());
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
