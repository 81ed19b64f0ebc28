//! What gateways say to each other about what happens, in frames that the database takes. No IO.

use std::collections::{HashMap, HashSet};

use creel_ipc::msg::agent::{DeltaKind, ToolPhase, TurnTool};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hub::CoreEvent;
use crate::store::LONGEST;

/// Bytes that may wait to be said. Who cannot be reached for longer has missed some.
const WAITING: usize = 256 * 1024;
/// Bytes of a piece of an answer, and of a tool's output, in one event: escaped they are at most six times as long.
const PIECE: usize = 1_000;
/// What a tool's arguments are replaced by that do not fit.
const LEFT_OUT: &str = "left out: too long to be passed on to another host";

/// An event on its way. Fields may be added; who does not know one leaves it alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "camelCase")]
enum Told {
    Start {
        r: String,
        s: String,
        a: String,
        c: Option<String>,
        t: i64,
    },
    Model {
        r: String,
        s: String,
        p: String,
        m: String,
        x: bool,
    },
    Delta {
        r: String,
        s: String,
        k2: DeltaKind,
        d: String,
    },
    Tool {
        r: String,
        s: String,
        o: TurnTool,
    },
    End {
        r: String,
        s: String,
    },
    Session {
        s: String,
    },
    Pairing {
        c: String,
        a: String,
    },
    #[serde(other)]
    Unknown,
}

/// Events of one gateway, with a number by which it is seen that one is missing.
#[derive(Debug, Serialize, Deserialize)]
struct Frame<E> {
    from: String,
    n: u64,
    e: Vec<E>,
}

/// The side that speaks.
#[derive(Debug)]
pub(super) struct Mouth {
    name: String,
    n: u64,
    waiting: Vec<Told>,
    bytes: usize,
}

impl Mouth {
    pub(super) fn new(name: String) -> Self {
        Self { name, n: 0, waiting: Vec::new(), bytes: 0 }
    }

    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes what happened here. What only means something on its own host stays there.
    pub(super) fn take(&mut self, event: CoreEvent) {
        let told = match event {
            CoreEvent::RunStarted { run, session_key, agent, channel, at_ms } => {
                Told::Start { r: run, s: session_key, a: agent, c: channel, t: at_ms }
            }
            CoreEvent::RunModel { run, session_key, provider, model, again } => {
                Told::Model { r: run, s: session_key, p: provider, m: model, x: again }
            }
            CoreEvent::Delta { run, session_key, kind, text } => {
                return self.delta(run, session_key, kind, &text);
            }
            CoreEvent::Tool { run, session_key, tool } => {
                Told::Tool { r: run, s: session_key, o: bounded(tool) }
            }
            CoreEvent::RunEnded { run, session_key, .. } => Told::End { r: run, s: session_key },
            CoreEvent::SessionChanged { key } => Told::Session { s: key },
            CoreEvent::PairingChanged { channel, account } => Told::Pairing { c: channel, a: account },
            CoreEvent::Asked(_)
            | CoreEvent::Decided { .. }
            | CoreEvent::UnitChanged(_)
            | CoreEvent::ChannelChanged(_)
            | CoreEvent::ShuttingDown { .. } => return,
        };
        self.push(told, 256);
    }

    /// Pieces of one answer that wait are one piece.
    fn delta(&mut self, run: String, session: String, kind: DeltaKind, text: &str) {
        let mut rest = text;
        if let Some(Told::Delta { r, k2, d, .. }) = self.waiting.last_mut()
            && *r == run
            && *k2 == kind
            && d.len() < PIECE
        {
            let (fits, more) = rest.split_at(floor(rest, PIECE - d.len()));
            d.push_str(fits);
            self.bytes += fits.len();
            rest = more;
        }
        while !rest.is_empty() {
            let (piece, more) =
                rest.split_at(floor(rest, PIECE).max(rest.chars().next().map_or(1, char::len_utf8)));
            self.push(
                Told::Delta { r: run.clone(), s: session.clone(), k2: kind, d: piece.to_owned() },
                piece.len(),
            );
            rest = more;
        }
    }

    fn push(&mut self, told: Told, bytes: usize) {
        self.waiting.push(told);
        self.bytes += bytes;
        if self.bytes > WAITING {
            self.hush();
        }
    }

    /// Nobody hears: what waits is given up, and who hears next will notice.
    pub(super) fn hush(&mut self) {
        if self.waits() {
            self.waiting.clear();
            self.n += 1;
        }
        self.bytes = 0;
    }

    /// What waits, in frames.
    pub(super) fn frames(&mut self) -> Vec<String> {
        self.bytes = 0;
        let mut frames = Vec::new();
        let (mut events, mut length) = (Vec::new(), 0);
        // The frame around them, with room for its number.
        let room = LONGEST - self.name.len() - 64;
        for told in std::mem::take(&mut self.waiting) {
            let Ok(event) = serde_json::value::to_raw_value(&told) else { continue };
            let size = event.get().len() + 1;
            if size > room {
                // Names that nobody has chosen well.
                continue;
            }
            if length + size > room {
                frames.extend(self.frame(std::mem::take(&mut events)));
                length = 0;
            }
            length += size;
            events.push(event);
        }
        if !events.is_empty() {
            frames.extend(self.frame(events));
        }
        frames
    }

    fn frame<E: Serialize>(&mut self, e: Vec<E>) -> Option<String> {
        self.n += 1;
        serde_json::to_string(&Frame { from: self.name.clone(), n: self.n, e }).ok()
    }
}

/// The longest beginning of `text` that is at most so many bytes.
fn floor(text: &str, bytes: usize) -> usize {
    (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn shortened(text: &str) -> String {
    let end = floor(text, PIECE);
    if end == text.len() { text.to_owned() } else { format!("{}…", &text[..end]) }
}

/// A tool's output can be long, and its host shows the whole.
fn bounded(mut tool: TurnTool) -> TurnTool {
    match &mut tool.phase {
        ToolPhase::Start { arguments } => {
            if serde_json::to_string(arguments).is_ok_and(|text| text.len() > 4 * PIECE) {
                *arguments = Value::String(LEFT_OUT.to_owned());
            }
        }
        ToolPhase::Update { text } | ToolPhase::End { text, .. } => *text = shortened(text),
    }
    tool
}

/// What was heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// Something that its frame says whole.
    Event(Box<CoreEvent>),
    /// A run ended; how is in the store.
    Ended { run: String, session_key: String },
}

/// The side that hears.
#[derive(Debug)]
pub(super) struct Ear {
    name: String,
    /// The number of the last frame of each gateway.
    last: HashMap<String, u64>,
    /// Runs under way, with their gateway.
    open: HashMap<String, String>,
    /// Those of which pieces were missed: only their end is told.
    torn: HashSet<String>,
}

impl Ear {
    pub(super) fn new(name: String) -> Self {
        Self { name, last: HashMap::new(), open: HashMap::new(), torn: HashSet::new() }
    }

    /// Nothing was heard for a while.
    pub(super) fn lost(&mut self) {
        self.torn.extend(self.open.keys().cloned());
        self.last.clear();
    }

    pub(super) fn hear(&mut self, text: &str) -> Vec<Word> {
        let Ok(frame) = serde_json::from_str::<Frame<Told>>(text) else {
            tracing::debug!("A word of another gateway is not understood.");
            return Vec::new();
        };
        if frame.from == self.name {
            return Vec::new();
        }
        let before = self.last.insert(frame.from.clone(), frame.n);
        if before.is_some_and(|before| before + 1 != frame.n) {
            let missed = self.open.iter().filter(|(_, from)| **from == frame.from);
            self.torn.extend(missed.map(|(run, _)| run.clone()));
        }
        frame.e.into_iter().filter_map(|told| self.word(told, &frame.from)).collect()
    }

    fn word(&mut self, told: Told, from: &str) -> Option<Word> {
        let event = match told {
            Told::Start { r, s, a, c, t } => {
                // From here on it is whole.
                self.torn.remove(&r);
                self.open.insert(r.clone(), from.to_owned());
                CoreEvent::RunStarted { run: r, session_key: s, agent: a, channel: c, at_ms: t }
            }
            Told::Model { r, s, p, m, x } => {
                CoreEvent::RunModel { run: r, session_key: s, provider: p, model: m, again: x }
            }
            Told::Delta { r, s, k2, d } => {
                if self.torn.contains(&r) || !self.open.contains_key(&r) {
                    return None;
                }
                CoreEvent::Delta { run: r, session_key: s, kind: k2, text: d }
            }
            Told::Tool { r, s, o } => CoreEvent::Tool { run: r, session_key: s, tool: o },
            Told::End { r, s } => {
                self.open.remove(&r);
                self.torn.remove(&r);
                return Some(Word::Ended { run: r, session_key: s });
            }
            Told::Session { s } => CoreEvent::SessionChanged { key: s },
            Told::Pairing { c, a } => CoreEvent::PairingChanged { channel: c, account: a },
            Told::Unknown => return None,
        };
        Some(Word::Event(Box::new(event)))
    }
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::agent::TurnOutcome;
    use creel_ipc::msg::transcript::Usage;

    use super::*;

    fn started(run: &str) -> CoreEvent {
        let (session_key, agent) = ("agent:main:main".to_owned(), "main".to_owned());
        CoreEvent::RunStarted { run: run.to_owned(), session_key, agent, channel: None, at_ms: 1 }
    }

    fn delta(run: &str, text: &str) -> CoreEvent {
        let session_key = "agent:main:main".to_owned();
        CoreEvent::Delta { run: run.to_owned(), session_key, kind: DeltaKind::Text, text: text.to_owned() }
    }

    fn ended(run: &str) -> CoreEvent {
        CoreEvent::RunEnded {
            run: run.to_owned(),
            session_key: "agent:main:main".to_owned(),
            outcome: TurnOutcome::Done,
            error: None,
            text: "x".repeat(100_000),
            usage: Usage::default(),
        }
    }

    fn text_of(words: &[Word]) -> String {
        let texts = words.iter().filter_map(|word| match word {
            Word::Event(event) => match event.as_ref() {
                CoreEvent::Delta { text, .. } => Some(text.as_str()),
                _ => None,
            },
            Word::Ended { .. } => None,
        });
        texts.collect()
    }

    #[test]
    fn what_is_said_is_heard_in_order_whatever_is_in_it() {
        let (mut mouth, mut ear) = (Mouth::new("a".to_owned()), Ear::new("b".to_owned()));
        let long = "東京\u{1}\u{2}\u{3}\"\\🦀".repeat(3_000);
        mouth.take(started("r"));
        for piece in ["Hel", "lo ", &long] {
            mouth.take(delta("r", piece));
        }
        mouth.take(ended("r"));
        let frames = mouth.frames();
        assert!(frames.len() > 5 && frames.iter().all(|frame| frame.len() <= LONGEST), "{}", frames.len());
        let heard: Vec<Word> = frames.iter().flat_map(|frame| ear.hear(frame)).collect();
        assert_eq!(heard.first(), Some(&Word::Event(Box::new(started("r")))));
        assert_eq!(text_of(&heard), format!("Hello {long}"));
        let (run, session_key) = ("r".to_owned(), "agent:main:main".to_owned());
        assert_eq!(heard.last(), Some(&Word::Ended { run, session_key }));
        assert!(frames.iter().all(|frame| Ear::new("a".to_owned()).hear(frame).is_empty()), "its own");
        assert!(mouth.frames().is_empty());
    }

    #[test]
    fn who_missed_a_frame_hears_of_that_run_only_its_end() {
        let (mut mouth, mut ear) = (Mouth::new("a".to_owned()), Ear::new("b".to_owned()));
        let mut say = |events: &[CoreEvent]| {
            events.iter().cloned().for_each(|event| mouth.take(event));
            mouth.frames().concat()
        };
        let begin = say(&[started("r")]);
        assert_eq!(ear.hear(&begin).len(), 1);
        let _lost = say(&[delta("r", "lost")]);
        assert_eq!(ear.hear(&say(&[delta("r", "more")])), []);
        assert_eq!(ear.hear(&say(&[ended("r")])).len(), 1);
        // One that begins, or begins again, is whole.
        let next = say(&[started("s"), delta("s", "whole")]);
        assert_eq!(text_of(&ear.hear(&next)), "whole");
        ear.lost();
        assert_eq!(ear.hear(&say(&[delta("s", "more")])), []);
        let again = say(&[started("s"), delta("s", "again")]);
        assert_eq!(text_of(&ear.hear(&again)), "again");
        assert_eq!(ear.hear("{}"), []);
        assert_eq!(ear.hear(r#"{"from":"c","n":1,"e":[{"k":"later","z":1}]}"#), []);
    }

    #[test]
    fn who_is_not_heard_for_long_forgets_and_is_noticed() {
        let (mut mouth, mut ear) = (Mouth::new("a".to_owned()), Ear::new("b".to_owned()));
        mouth.take(started("r"));
        mouth.frames().iter().for_each(|frame| drop(ear.hear(frame)));
        for _ in 0..400 {
            mouth.take(delta("r", &"x".repeat(PIECE)));
        }
        assert!(mouth.waiting.len() < 300, "{}", mouth.waiting.len());
        let heard: Vec<Word> = mouth.frames().iter().flat_map(|frame| ear.hear(frame)).collect();
        assert_eq!(text_of(&heard), "");
    }
}
