//! Pieces of an answer on their way to whoever watches: the first at once, then at most one frame every 20 ms.

use std::time::Duration;

use creel_ipc::msg::agent::{DeltaKind, TurnDelta};
use tokio::time::Instant;

/// Between two frames of one turn. Shorter gains nothing that an eye can see and costs a write for every token.
const PACE: Duration = Duration::from_millis(20);

/// Pieces that wait.
#[derive(Debug)]
pub struct Deltas {
    turn: String,
    waiting: Option<TurnDelta>,
    next: Instant,
}

impl Deltas {
    /// Nothing waits.
    pub fn new(turn: String) -> Self {
        Self { turn, waiting: None, next: Instant::now() }
    }

    /// Takes a piece. Gives back what must leave first because it is of the other kind.
    pub fn push(&mut self, kind: DeltaKind, text: String) -> Option<TurnDelta> {
        match &mut self.waiting {
            Some(waiting) if waiting.kind == kind => {
                waiting.text.push_str(&text);
                None
            }
            waiting => waiting.replace(TurnDelta { turn: self.turn.clone(), kind, text }),
        }
    }

    /// When the waiting piece should leave.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|_| self.next)
    }

    /// The waiting piece, to be sent now.
    pub fn flush(&mut self) -> Option<TurnDelta> {
        let delta = self.waiting.take()?;
        self.next = Instant::now() + PACE;
        Some(delta)
    }

    /// The piece did not fit the queue: it leaves with the next one, a moment later.
    pub fn put_back(&mut self, mut delta: TurnDelta) {
        match &mut self.waiting {
            Some(waiting) if waiting.kind == delta.kind => {
                delta.text.push_str(&waiting.text);
                *waiting = delta;
            }
            // The final text is told anyway; what is shown meanwhile is best effort.
            Some(_) => {}
            waiting => *waiting = Some(delta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_leaves_at_once_and_the_others_are_joined() {
        let mut deltas = Deltas::new("t".to_owned());
        assert_eq!(deltas.push(DeltaKind::Text, "a".to_owned()), None);
        assert!(deltas.due().unwrap() <= Instant::now());
        let before = Instant::now();
        assert_eq!(deltas.flush().unwrap().text, "a");
        deltas.push(DeltaKind::Text, "b".to_owned());
        deltas.push(DeltaKind::Text, "c".to_owned());
        assert!(deltas.due().unwrap() >= before + PACE);
        let full = deltas.flush().unwrap();
        deltas.push(DeltaKind::Text, "d".to_owned());
        deltas.put_back(full);
        assert_eq!(deltas.push(DeltaKind::Thinking, "e".to_owned()).unwrap().text, "bcd");
    }
}
