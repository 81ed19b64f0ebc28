//! The journal of events for a client: what is asked for, and what follows.

use std::rc::Rc;

use creel_ipc::msg::event::{Event, EventKind, EventPage, Events, EventsParams, NewEvent};
use creel_ipc::rpc::{Request, RpcError, params};
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::journal::{Journal, Query, read};

/// The events that a client follows, if it does.
#[derive(Debug, Default)]
pub(super) struct FollowedEvents(Option<Following>);

#[derive(Debug)]
struct Following {
    events: Receiver<Rc<Event>>,
    unit: Option<String>,
}

/// Answers with what the journal has, and begins to follow when asked to.
pub(super) fn answer(
    journal: &Journal,
    given: Value,
    followed: &mut FollowedEvents,
) -> Result<EventPage, RpcError> {
    let asked: EventsParams = params(Events::METHOD, given)?;
    if asked.follow {
        followed.0 = Some(Following { events: journal.follow(), unit: asked.unit.clone() });
    }
    // Between here and there nothing else runs on this thread: no event comes twice, none is missed.
    Ok(read(journal.path(), &Query::from(&asked)))
}

impl FollowedEvents {
    /// Goes on for a client of the program before this one.
    pub(super) fn resume(journal: &Journal, unit: Option<Option<String>>) -> Self {
        Self(unit.map(|unit| Following { events: journal.follow(), unit }))
    }

    /// The unit that is followed, or all; none when nobody follows.
    pub(super) fn unit(&self) -> Option<Option<String>> {
        self.0.as_ref().map(|following| following.unit.clone())
    }

    /// The next event; never, when nobody follows.
    pub(super) async fn next(&mut self) -> NewEvent {
        let Some(Following { events, unit }) = &mut self.0 else { return std::future::pending().await };
        loop {
            match events.recv().await {
                Ok(event) if unit.is_none() || *unit == event.unit => {
                    return NewEvent { event: Event::clone(&event) };
                }
                Ok(_another_unit) => {}
                Err(RecvError::Lagged(count)) => {
                    let detail = "Events were too fast for this reader; the journal has them.";
                    let event = Event { count: Some(count), ..Event::told(EventKind::Other, detail) };
                    return NewEvent { event };
                }
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}
