//! One client of the control socket.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use creel_ipc::msg::control::{LogLine, LogLines, Logs, LogsParams};
use creel_ipc::rpc::{RpcError, params};
use creel_ipc::{ErrorClass, Request};
use creel_link::{Link, Vitals};
use interprocess::local_socket::tokio::Stream;
use rustix::net::{Shutdown, shutdown};
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::socket::raw;
use crate::logs::Book;
use crate::tree::{Event, Events};

/// How long a client may take to take what it asked for.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// Lines when the client names no number, and the most it can have.
const LINES: (u32, u32) = (200, 1000);
/// Lines of one message, so that it stays far below a frame.
const BATCH: usize = 32;
/// Bytes of one message.
const BATCH_BYTES: usize = 256 * 1024;

/// Shuts the socket down when the connection is dropped, however much a slow client has left unread.
struct Closer(OwnedFd);

impl Drop for Closer {
    fn drop(&mut self) {
        let _gone = shutdown(&self.0, Shutdown::Both);
    }
}

/// Serves one client until it leaves, misbehaves, or does not read what it asked for.
pub(super) async fn serve(stream: Stream, events: Events, book: Book) {
    let Ok(stream) = raw(stream) else { return };
    let Ok(duplicate) = stream.as_fd().try_clone_to_owned() else { return };
    let closer = Closer(duplicate);
    let (link, mut incoming) = Link::new(stream, 0, Vitals::default());
    let mut following: Option<(broadcast::Receiver<LogLine>, Option<String>)> = None;
    loop {
        let event = tokio::select! {
            event = incoming.recv() => event,
            lines = next_lines(&mut following) => {
                let sent = timeout(WRITE_DEADLINE, link.notify::<LogLines>(&lines)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    break;
                }
                continue;
            }
        };
        match event {
            Some(creel_link::Event::Request { id, method, params: given }) if method == Logs::METHOD => {
                let (outcome, follow) = logs(&book, given);
                if follow.is_some() {
                    following = follow;
                }
                if timeout(WRITE_DEADLINE, link.answer::<Logs>(id, outcome)).await.is_err() {
                    break;
                }
            }
            Some(creel_link::Event::Request { id, method, params }) => {
                let request = Event::Control { link: link.clone(), id, method, params };
                if events.send(request).await.is_err() {
                    break;
                }
            }
            Some(creel_link::Event::Notification { .. }) => {}
            // Whoever sends no JSON-RPC is no client of ours.
            Some(creel_link::Event::Stray { .. }) | None => break,
        }
    }
    drop(closer);
}

type Following = (broadcast::Receiver<LogLine>, Option<String>);

fn logs(book: &Book, given: Value) -> (Result<LogLines, RpcError>, Option<Following>) {
    let asked: LogsParams = match params(Logs::METHOD, given) {
        Ok(asked) => asked,
        Err(error) => return (Err(error), None),
    };
    if let Some(unit) = &asked.unit
        && !book.knows(unit)
    {
        let sentence = format!("There is no log of \"{unit}\"; `creel status` lists the units.");
        return (Err(RpcError::new(ErrorClass::BadRequest, sentence)), None);
    }
    // Subscribed before the ring is read: a line may come twice, none is missed.
    let follow = asked.follow.then(|| (book.follow(), asked.unit.clone()));
    let count = asked.lines.unwrap_or(LINES.0).min(LINES.1);
    let mut lines = book.last(asked.unit.as_deref(), usize::try_from(count).unwrap_or(0));
    // The answer is one frame: the oldest lines give way.
    let mut bytes = 0;
    let fitting = lines.iter().rev().take_while(|line| {
        bytes += line.text.len();
        bytes <= BATCH_BYTES / 2
    });
    let fitting = fitting.count();
    let lines = lines.split_off(lines.len() - fitting);
    (Ok(LogLines { lines }), follow)
}

/// The next lines for a follower; never, when nobody follows.
async fn next_lines(following: &mut Option<Following>) -> LogLines {
    let Some((lines, unit)) = following else { return std::future::pending().await };
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
                at_ms: crate::logs::book::now_ms(),
                text: format!("[creel: {count} lines were too fast for this reader]"),
            }),
            Err(Missed::None) => {}
        }
        let full = batch.len() >= BATCH || bytes >= BATCH_BYTES / 2;
        if full || (!batch.is_empty() && lines.is_empty()) {
            return LogLines { lines: batch };
        }
    }
}

enum Missed {
    Some(u64),
    None,
}

impl From<broadcast::error::RecvError> for Missed {
    fn from(error: broadcast::error::RecvError) -> Self {
        match error {
            broadcast::error::RecvError::Lagged(count) => Self::Some(count),
            broadcast::error::RecvError::Closed => Self::None,
        }
    }
}

impl From<broadcast::error::TryRecvError> for Missed {
    fn from(error: broadcast::error::TryRecvError) -> Self {
        match error {
            broadcast::error::TryRecvError::Lagged(count) => Self::Some(count),
            broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed => Self::None,
        }
    }
}
