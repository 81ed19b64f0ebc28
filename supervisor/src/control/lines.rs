//! Log lines for a client: the last ones, and what follows.

use creel_ipc::msg::control::{LogLine, LogLines, Logs, LogsParams};
use creel_ipc::rpc::{RpcError, params};
use creel_ipc::{ErrorClass, Request};
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::clock::now_ms;
use crate::logs::Book;
use crate::logs::past::{self, Question};

/// Lines when the client names no number, and the most it can have.
const LINES: (u32, u32) = (200, 1000);
/// Lines of one message, so that it stays far below a frame.
const BATCH: usize = 32;
/// Bytes of one message.
const BATCH_BYTES: usize = 128 * 1024;

/// The lines that a client follows, if it does.
#[derive(Debug, Default)]
pub(super) struct FollowedLines(Option<Following>);

#[derive(Debug)]
struct Following {
    lines: Receiver<LogLine>,
    unit: Option<String>,
}

/// Answers with the last lines, and begins to follow when asked to.
pub(super) fn answer(book: &Book, given: Value, followed: &mut FollowedLines) -> Result<LogLines, RpcError> {
    let asked: LogsParams = params(Logs::METHOD, given)?;
    if let Some(unit) = &asked.unit
        && !book.knows(unit)
        && !past::exists(book.folder(), unit)
    {
        let sentence = format!("There is no log of \"{unit}\"; `creel status` lists the units.");
        return Err(RpcError::new(ErrorClass::BadRequest, sentence));
    }
    if asked.follow {
        // Subscribed before the ring is read: a line may come twice, none is missed.
        followed.0 = Some(Following { lines: book.follow(), unit: asked.unit.clone() });
    }
    let count = asked.lines.unwrap_or(LINES.0).min(LINES.1);
    let count = usize::try_from(count).unwrap_or(0);
    if asked.since_ms.is_some() {
        let question =
            Question { unit: asked.unit, since_ms: asked.since_ms, lines: count, bytes: BATCH_BYTES };
        return Ok(LogLines { lines: past::read(book.folder(), &question) });
    }
    let mut lines = book.last(asked.unit.as_deref(), count);
    // The answer is one frame: the oldest lines give way.
    let mut bytes = 0;
    let fitting = lines.iter().rev().take_while(|line| {
        bytes += line.text.len();
        bytes <= BATCH_BYTES
    });
    let fitting = fitting.count();
    Ok(LogLines { lines: lines.split_off(lines.len() - fitting) })
}

impl FollowedLines {
    /// Goes on for a client of the program before this one.
    pub(super) fn resume(book: &Book, unit: Option<Option<String>>) -> Self {
        Self(unit.map(|unit| Following { lines: book.follow(), unit }))
    }

    /// The unit that is followed, or all; none when nobody follows.
    pub(super) fn unit(&self) -> Option<Option<String>> {
        self.0.as_ref().map(|following| following.unit.clone())
    }

    /// The next lines; never, when nobody follows.
    pub(super) async fn next(&mut self) -> LogLines {
        let Some(Following { lines, unit }) = &mut self.0 else { return std::future::pending().await };
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            let next = if batch.is_empty() {
                lines.recv().await.map_err(Missed::from)
            } else {
                lines.try_recv().map_err(Missed::from)
            };
            match next {
                Ok(line) if unit.as_ref().is_none_or(|unit| *unit == line.unit) => {
                    bytes += line.text.len();
                    batch.push(line);
                }
                Ok(_another_unit) => {}
                Err(Missed::Some(count)) => batch.push(LogLine {
                    unit: crate::logs::trace::SUPERVISOR.to_owned(),
                    at_ms: now_ms(),
                    text: format!("[creel: {count} lines were too fast for this reader]"),
                }),
                Err(Missed::None) => {}
            }
            let full = batch.len() >= BATCH || bytes >= BATCH_BYTES;
            if full || (!batch.is_empty() && lines.is_empty()) {
                return LogLines { lines: batch };
            }
        }
    }
}

enum Missed {
    Some(u64),
    None,
}

impl From<RecvError> for Missed {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lagged(count) => Self::Some(count),
            RecvError::Closed => Self::None,
        }
    }
}

impl From<TryRecvError> for Missed {
    fn from(error: TryRecvError) -> Self {
        match error {
            TryRecvError::Lagged(count) => Self::Some(count),
            TryRecvError::Empty | TryRecvError::Closed => Self::None,
        }
    }
}
