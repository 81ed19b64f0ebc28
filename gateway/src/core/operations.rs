//! What links, lanes and clients have in common.

use std::sync::Arc;
use std::time::Duration;

use creel_link::uptime_ms;
use tokio::time::Instant;

use super::{Core, agent_unit, channel_unit};
use crate::hub::{ChannelRow, CoreEvent};
use crate::inbound;
use crate::lane::{self, Signal};
use crate::store::{Accepted, Claimed, Held, Kept, NewMessage, Ticket};

/// A message on its way into the store.
#[derive(Debug)]
pub(crate) struct Accepting {
    ticket: Ticket<(Accepted, Option<Claimed>, Option<String>)>,
    /// The channel that it came in on.
    channel: String,
    /// The lane and its agent, when it is to be answered.
    lane: Option<(String, String)>,
    /// Whether the lane was idle and is taken up with the message.
    reserved: bool,
    /// The moment before the store was asked.
    asked_ms: u64,
}

impl Core {
    /// Gives a message its place in the order of writes. Where its lane is idle, the turn is claimed in the same
    /// commit: the disk is waited for once.
    pub(crate) async fn accept(
        &self,
        own: Held,
        message: NewMessage,
        lane: Option<(String, String)>,
    ) -> Accepting {
        let claim = lane.as_ref().filter(|(lane, agent)| self.reserve(lane, agent));
        let claim = claim.map(|(lane, _)| lane::claim_of(self, lane));
        let (reserved, asked_ms) = (claim.is_some(), uptime_ms());
        let channel = own.account().split(':').next().unwrap_or_default().to_owned();
        let behind = lane.as_ref().map(|(lane, _)| lane.clone());
        let ticket = self.desk.submit(move |store| {
            let accepted = store.accept(&own, &message)?;
            let Some(claim) = claim.filter(|_| accepted == Accepted::Fresh) else {
                // Behind a running turn a session may have a way of its own.
                let queue = match behind.filter(|_| accepted == Accepted::Fresh) {
                    Some(lane) => store.session_settings(&lane)?.queue,
                    None => None,
                };
                return Ok((accepted, None, queue));
            };
            // The message is stored, whatever comes of the claim: the scheduler will try again.
            let claimed = store.claim_lane(&claim).inspect_err(|error| tracing::error!("{error}"));
            Ok((accepted, claimed.unwrap_or_default(), None))
        });
        Accepting { ticket: ticket.await, channel, lane, reserved, asked_ms }
    }

    fn reserve(&self, lane: &str, agent: &str) -> bool {
        let mut state = self.state();
        let up = state
            .workers
            .get(&agent_unit(agent))
            .is_some_and(|worker| worker.ready && !worker.link.is_closed());
        let up = up && !state.drains.hold(&agent_unit(agent));
        up && !self.stopping.is_cancelled() && state.lanes.reserve(lane, agent, Instant::now())
    }

    /// Waits until the message is durable and sets its lane going.
    pub(crate) async fn accepted(self: &Arc<Self>, accepting: Accepting) -> Kept<Accepted> {
        let Accepting { ticket, channel, lane, reserved, asked_ms } = accepting;
        let outcome = ticket.await;
        self.note_store(&outcome);
        if outcome.is_ok() {
            self.vitals.progress();
        }
        let (accepted, claimed, queue) = match outcome {
            Ok((accepted, claimed, queue)) => (Ok(accepted), claimed, queue),
            Err(error) => (Err(error), None, None),
        };
        if matches!(accepted, Ok(Accepted::Answered)) {
            self.answers.notify_waiters();
        }
        let Some((lane, agent)) = lane else { return accepted };
        let fresh = accepted.as_ref().is_ok_and(|accepted| *accepted == Accepted::Fresh);
        match claimed {
            Some(claimed) => {
                self.tell(CoreEvent::SessionChanged { key: lane });
                self.hold_lane(&claimed, asked_ms);
                tokio::spawn(lane::run_claimed(Arc::clone(self), claimed));
            }
            None if reserved => {
                self.state().lanes.ended(&lane, fresh, Instant::now(), Duration::ZERO);
                self.wake.notify_one();
            }
            None if fresh => self.arrived(&lane, &agent, &channel, queue.as_deref()),
            None => {}
        }
        accepted
    }

    /// A durable message of a channel waits in a lane, whose session may have a mode of its own for that.
    fn arrived(&self, lane: &str, agent: &str, channel: &str, queue: Option<&str>) {
        let settings = self.settings();
        let behind = inbound::behind(&settings.config, lane, Some(channel), queue);
        self.state().lanes.arrived(lane, agent, Instant::now(), behind.pause);
        if behind.interrupts {
            self.stop_lane(lane, None);
        }
        self.tell(CoreEvent::SessionChanged { key: lane.to_owned() });
        self.wake.notify_one();
    }

    /// Stops what runs in a lane, or only this run of it. Says which runs.
    pub(crate) fn stop_lane(&self, lane: &str, run: Option<&str>) -> Vec<String> {
        let state = self.state();
        let meant = state
            .turns
            .values()
            .filter(|running| running.lane == lane && run.is_none_or(|run| run == running.run));
        meant
            .map(|running| {
                // A full queue holds an ending already.
                let _full = running.signal.try_send(Signal::Abort);
                running.run.clone()
            })
            .collect()
    }

    /// How an account such as `telegram:default` is doing; `None` when it is not configured.
    pub(crate) async fn channel_row(&self, name: &str) -> Option<ChannelRow> {
        let (channel, account) = name.split_once(':')?;
        let named = name.to_owned();
        let record = self.desk.read(move |store| store.account(&named)).await.unwrap_or_default();
        let settings = self.settings();
        let view = settings.config.channels.account(channel, account)?;
        let state = self.state();
        let worker = state.workers.get(&channel_unit(name));
        let status = worker.and_then(|worker| worker.status.as_ref());
        Some(ChannelRow {
            channel: channel.to_owned(),
            account: account.to_owned(),
            name: view.common.name.clone(),
            enabled: view.common.enabled,
            running: worker.is_some_and(|worker| worker.ready),
            state: status.map(|status| status.state),
            self_name: status.and_then(|status| status.self_name.clone()),
            transport_alive_at_ms: status.and_then(|status| status.transport_alive_at_ms),
            last_inbound_at_ms: status.and_then(|status| status.last_inbound_at_ms).or(record.inbound_ms),
            last_outbound_at_ms: record.outbound_ms,
            error: status.and_then(|status| status.error.as_ref()).map(|error| error.message.clone()),
            queued: record.queued,
            unknown: record.unknown,
        })
    }
}
