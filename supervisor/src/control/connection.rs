//! One client of the control socket.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use creel_ipc::msg::control::{LogLines, Logs};
use creel_ipc::msg::event::{Events as EventsMethod, NewEvent};
use creel_ipc::rpc::RpcError;
use creel_ipc::{ErrorClass, Notify, Request};
use creel_link::{CallError, Link, Vitals};
use interprocess::local_socket::tokio::Stream;
use rustix::net::{Shutdown, shutdown};
use serde_json::Value;
use tokio::time::timeout;

use super::events::{self, FollowedEvents};
use super::lines::{self, FollowedLines};
use super::method::{self, Access};
use super::socket::raw;
use crate::journal::Journal;
use crate::logs::Book;
use crate::tree::{Event, Events};

/// How long a client may take to take what it asked for.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// What a client is let into, and who it is.
#[derive(Debug)]
pub(super) struct Room {
    /// The user at the other end.
    pub(super) uid: u32,
    /// Whether it may change something.
    pub(super) may: Access,
    /// The way to the tree.
    pub(super) events: Events,
    /// The logs.
    pub(super) book: Book,
    /// The events.
    pub(super) journal: Journal,
}

/// Shuts the socket down when the connection is dropped, however much a slow client has left unread.
struct Closer(OwnedFd);

impl Drop for Closer {
    fn drop(&mut self) {
        let _gone = shutdown(&self.0, Shutdown::Both);
    }
}

/// The client does not read, or is gone.
struct Lost;

/// Serves one client until it leaves, misbehaves, or does not read what it asked for.
pub(super) async fn serve(stream: Stream, room: Room) {
    let Ok(stream) = raw(stream) else { return };
    let Ok(duplicate) = stream.as_fd().try_clone_to_owned() else { return };
    let closer = Closer(duplicate);
    let (link, mut incoming) = Link::new(stream, 0, Vitals::default());
    let (mut lines, mut told) = (FollowedLines::default(), FollowedEvents::default());
    loop {
        let outcome = tokio::select! {
            event = incoming.recv() => match event {
                Some(creel_link::Event::Request { id, method, params }) => {
                    request(&link, &room, (&mut lines, &mut told), (id, method, params)).await
                }
                Some(creel_link::Event::Notification { .. }) => Ok(()),
                // Whoever sends no JSON-RPC is no client of ours.
                Some(creel_link::Event::Stray { .. }) | None => Err(Lost),
            },
            batch = lines.next() => send::<LogLines>(&link, &batch).await,
            event = told.next() => send::<NewEvent>(&link, &event).await,
        };
        if outcome.is_err() {
            break;
        }
    }
    drop(closer);
}

async fn request(
    link: &Link,
    room: &Room,
    (lines, told): (&mut FollowedLines, &mut FollowedEvents),
    (id, method, params): (u64, String, Value),
) -> Result<(), Lost> {
    match method::access(&method) {
        None => return answer(link.respond(id, Err(RpcError::no_method(&method)))).await,
        Some(Access::Write) if room.may == Access::Read => {
            return answer(link.respond(id, Err(refused(&method)))).await;
        }
        Some(_) => {}
    }
    match method.as_str() {
        Logs::METHOD => {
            let outcome = lines::answer(&room.book, params, lines);
            answer(link.answer::<Logs>(id, outcome)).await
        }
        EventsMethod::METHOD => {
            let outcome = events::answer(&room.journal, params, told);
            answer(link.answer::<EventsMethod>(id, outcome)).await
        }
        _ => {
            let request = Event::Control { link: link.clone(), id, method, params, uid: room.uid };
            room.events.send(request).await.map_err(|_over| Lost)
        }
    }
}

fn refused(method: &str) -> RpcError {
    let sentence = format!(
        "`{method}` changes something, and members of the group may only look at this Creel. Ask as root: put sudo before it."
    );
    RpcError::new(ErrorClass::AuthFatal, sentence)
}

async fn answer(sending: impl Future) -> Result<(), Lost> {
    timeout(WRITE_DEADLINE, sending).await.map(drop).map_err(|_late| Lost)
}

async fn send<N: Notify<Params = N>>(link: &Link, message: &N) -> Result<(), Lost> {
    let sent: Result<Result<(), CallError>, _> = timeout(WRITE_DEADLINE, link.notify::<N>(message)).await;
    if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(Lost) }
}
