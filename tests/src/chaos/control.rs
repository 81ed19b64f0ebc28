//! The judge's own control: what the run left is doctored, one guarantee at a time, and the judge must find each.

use serde::Serialize;

use crate::bound::Causes;
use crate::check::{Evidence, Verdict, check, token_of};

/// One change of the evidence, and whether the judge saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Control {
    /// What was changed.
    pub change: &'static str,
    /// Whether the verdict on it was bad, for the right reason.
    pub seen: bool,
}

/// What is changed, and the count that must grow by it.
type Change = (&'static str, fn(&mut Evidence) -> Option<()>, fn(&Verdict) -> u64);

const CHANGES: [Change; 6] = [
    ("an answer is taken away", take_away, |verdict| verdict.lost),
    ("an answer is said twice", say_twice, |verdict| verdict.duplicated),
    ("two answers of a chat change places", swap, |verdict| verdict.reordered),
    ("an answer is said in another chat", misplace, |verdict| verdict.misplaced),
    ("two hosts poll at a time", poll_beside, |verdict| verdict.beside),
    ("an end is unknown without a cause", forget, Verdict::unexplained),
];

/// Doctors what a run left. A change for which there is nothing to change counts as not seen.
pub(crate) fn controls(evidence: &Evidence) -> Vec<Control> {
    let before = check(evidence);
    CHANGES
        .iter()
        .map(|(change, doctor, count)| {
            let mut doctored = evidence.clone();
            let seen = doctor(&mut doctored).is_some() && {
                let verdict = check(&doctored);
                !verdict.is_good() && count(&verdict) > if before.is_good() { 0 } else { count(&before) }
            };
            Control { change, seen }
        })
        .collect()
}

/// Where in the list of deliveries a message is whose end is known and who was answered once.
fn known(evidence: &Evidence) -> Vec<usize> {
    let sent = |text: &str| {
        let token = token_of(text);
        token.is_some()
            && evidence.rows.iter().any(|row| row.state == "sent" && token_of(&row.text) == token)
            && evidence.delivered.iter().filter(|said| token_of(&said.text) == token).count() == 1
    };
    (0..evidence.delivered.len()).filter(|at| sent(&evidence.delivered[*at].text)).collect()
}

fn take_away(evidence: &mut Evidence) -> Option<()> {
    let at = *known(evidence).last()?;
    evidence.delivered.remove(at);
    Some(())
}

fn say_twice(evidence: &mut Evidence) -> Option<()> {
    let at = *known(evidence).last()?;
    let again = evidence.delivered[at].clone();
    evidence.delivered.push(again);
    Some(())
}

fn swap(evidence: &mut Evidence) -> Option<()> {
    let known = known(evidence);
    let (one, other) = known.iter().enumerate().find_map(|(at, one)| {
        let same = |other: &&usize| evidence.delivered[**other].chat == evidence.delivered[*one].chat;
        Some((*one, *known[at + 1..].iter().find(same)?))
    })?;
    evidence.delivered.swap(one, other);
    Some(())
}

fn misplace(evidence: &mut Evidence) -> Option<()> {
    let at = *known(evidence).last()?;
    evidence.delivered[at].chat += 1;
    Some(())
}

fn poll_beside(evidence: &mut Evidence) -> Option<()> {
    known(evidence).last()?;
    evidence.beside += 1;
    Some(())
}

fn forget(evidence: &mut Evidence) -> Option<()> {
    let token = token_of(&evidence.delivered[*known(evidence).last()?].text)?.to_owned();
    evidence.causes = Causes::default();
    evidence.rows.iter_mut().find(|row| token_of(&row.text) == Some(&token))?.state = "unknown".into();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Delivered, Injected, Row};

    #[test]
    fn every_change_is_seen_and_a_run_without_messages_shows_nothing() {
        let tokens = [(1, "tok-1-0"), (2, "tok-2-0"), (1, "tok-1-1")];
        let evidence = Evidence {
            injected: tokens
                .map(|(chat, token)| Injected { chat, token: token.into(), command: false })
                .into(),
            delivered: tokens.map(|(chat, text)| Delivered { chat, text: text.into() }).into(),
            rows: tokens.map(|(chat, text)| Row { chat, text: text.into(), state: "sent".into() }).into(),
            causes: Causes::default(),
            beside: 0,
        };
        assert!(check(&evidence).is_good());
        assert!(controls(&evidence).iter().all(|control| control.seen), "{:?}", controls(&evidence));
        assert!(controls(&Evidence::default()).iter().all(|control| !control.seen));
    }
}
