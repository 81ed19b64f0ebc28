//! One client of the control socket.

use std::time::Duration;

use creel_ipc::msg::control::{LogLines, Logs};
use creel_ipc::msg::event::{Events as EventsMethod, NewEvent};
use creel_ipc::rpc::RpcError;
use creel_ipc::{ErrorClass, Notify, Request};
use creel_link::{CallError, Link};
use serde_json::Value;
use tokio::time::timeout;

use super::clients::{Client, Follows, Who};
use super::events::{self, FollowedEvents};
use super::lines::{self, FollowedLines};
use super::method::{self, Access};
use crate::journal::Journal;
use crate::logs::Book;
use crate::tree::{Event, Events};

/// How long a client may take to take what it asked for.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// What a client is let into.
#[derive(Debug, Clone)]
pub struct Room {
    /// The way to the tree.
    pub events: Events,
    /// The logs.
    pub book: Book,
    /// The events.
    pub journal: Journal,
}

/// The client does not read, or is gone.
struct Lost;

/// Serves one client until it leaves, misbehaves, or does not read what it asked for.
pub async fn serve(mut client: Client, room: Room) {
    let link = client.link.clone();
    let Follows { lines, events } = client.follows();
    let (mut lines, mut told) =
        (FollowedLines::resume(&room.book, lines), FollowedEvents::resume(&room.journal, events));
    loop {
        let outcome = tokio::select! {
            event = client.incoming.recv() => match event {
                Some(creel_link::Event::Request { id, method, params }) => {
                    let asked = (id, method, params);
                    let outcome = request(&link, &room, client.who, (&mut lines, &mut told), asked).await;
                    client.set_follows(Follows { lines: lines.unit(), events: told.unit() });
                    outcome
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
}

async fn request(
    link: &Link,
    room: &Room,
    Who { uid, may }: Who,
    (lines, told): (&mut FollowedLines, &mut FollowedEvents),
    (id, method, params): (u64, String, Value),
) -> Result<(), Lost> {
    match method::access(&method) {
        None => return answer(link.respond(id, Err(RpcError::no_method(&method)))).await,
        Some(Access::Write) if may == Access::Read => {
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
            let request = Event::Control { link: link.clone(), id, method, params, uid };
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
