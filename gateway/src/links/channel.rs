//! What a channel account's worker asks and tells.

use std::sync::Arc;
use std::time::Duration;

use creel_ipc::msg::channel::{ChannelStatus, Inbound, InboundMessage, PartSent, Stored};
use creel_ipc::{ErrorClass, Notify, Request, RpcError, rpc};
use creel_link::Event;
use serde_json::Value;

use super::worker::Attached;
use crate::core::{Core, channel_unit, now_ms};
use crate::deliver::Pump;
use crate::hub::CoreEvent;
use crate::inbound::{self, Decided};
use crate::store::{Accepted, StoreError, acknowledges_unstored};

/// Before a write is tried again that found no room.
const RETRY: Duration = Duration::from_secs(1);

/// The worker is up: what it may have left in doubt is settled, then its outbox flows.
/// Nothing happens while another host has the account.
pub(crate) async fn begin(core: &Arc<Core>, account: &str) {
    let unit = channel_unit(account);
    let (pump, fresh, continues) = {
        let state = core.state();
        let (Some(tenure), Some(worker)) = (state.held.get(account), state.workers.get(&unit)) else {
            return tracing::info!("{unit} waits: another host has its account.");
        };
        let gone = worker.gone.child_token();
        if !core.who.is_alone() {
            let (over, ends) = (tenure.over.clone(), gone.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = over.cancelled() => ends.cancel(),
                    () = ends.cancelled() => {}
                }
            });
        }
        let pump = Pump {
            core: Arc::clone(core),
            held: tenure.held.clone(),
            incarnation: worker.incarnation,
            link: worker.link.clone(),
            wake: Arc::clone(&worker.outbound),
            gone,
        };
        (pump, worker.fresh, tenure.continues)
    };
    // A new process knows nothing of its predecessor's sends, whatever its number, and nothing of another host's.
    let alive = (!fresh && continues).then_some(pump.incarnation);
    core.pumps.spawn(async move {
        // While the disk is full this waits: a pump that began without it would find rows that are nobody's, and stand still.
        if settle_doubts(&pump, alive).await {
            pump.run().await;
        }
    });
}

/// Marks as unknown what an earlier life of the worker was sending. `false` when nothing may be sent in this one.
async fn settle_doubts(pump: &Pump, alive: Option<u64>) -> bool {
    let unit = channel_unit(pump.held.account());
    loop {
        let own = pump.held.clone();
        let settled = pump.core.desk.write(move |store| store.orphan_attempts(&own, alive)).await;
        pump.core.note_store(&settled);
        match settled {
            Ok(keys) if keys.is_empty() => return true,
            Ok(keys) => {
                tracing::warn!(
                    "Of {} messages of {unit} nobody knows whether they were said: {}. They are not said again by themselves.",
                    keys.len(),
                    keys.join(", ")
                );
                return true;
            }
            Err(error @ (StoreError::Full(_) | StoreError::Away(_))) => {
                tracing::error!("{unit} says nothing yet: {error}");
            }
            Err(error) => {
                tracing::error!("{unit} says nothing: {error}");
                return false;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = pump.gone.cancelled() => return false,
            () = pump.core.stopping.cancelled() => return false,
        }
    }
}

/// Takes what the worker says. Messages get their place in the order of writes here, in the order they came.
pub(super) async fn take(this: &Attached, event: Event) {
    match event {
        Event::Request { id, method, params } if method == InboundMessage::METHOD => {
            match rpc::params::<Inbound>(&method, params) {
                Ok(message) => accept(this, id, message).await,
                Err(error) => respond(this, id, Err(error)),
            }
        }
        Event::Request { id, method, .. } => {
            let (link, error) = (this.link.clone(), RpcError::no_method(&method));
            tokio::spawn(async move { link.respond(id, Err(error)).await });
        }
        Event::Notification { method, params, .. } => tell(this, &method, params).await,
        Event::Stray { .. } => {}
    }
}

async fn accept(this: &Attached, id: u64, message: Inbound) {
    let held = match this.core.hold(this.name()).await {
        Ok(held) => held,
        Err(error) => {
            return respond(this, id, Err(not_stored(&error)));
        }
    };
    let Some((channel, account)) = this.name().split_once(':') else { return };
    let mut random = [0; 8];
    if getrandom::fill(&mut random).is_err() {
        return respond(this, id, Err(RpcError::new(ErrorClass::Transient, "There is no randomness.")));
    }
    let paired = this.core.state().paired.contains(&(this.name().to_owned(), message.sender.id.clone()));
    let decided = inbound::decide(&this.core.settings(), channel, account, message, paired, random, now_ms());
    if let Some(reason) = decided.ignored {
        tracing::debug!("A message to {} is not answered: {reason}.", this.unit);
    }
    let Decided { message, lane, stopped, .. } = decided;
    let accepting = this.core.accept(held, message, lane).await;
    let this = this.clone();
    tokio::spawn(async move {
        match this.core.accepted(accepting).await {
            Ok(accepted) => {
                let stored = Stored { duplicate: matches!(accepted, Accepted::Duplicate { .. }) };
                this.link.answer::<InboundMessage>(id, Ok(stored)).await;
                act(&this, &accepted, stopped);
            }
            Err(_) if acknowledges_unstored() => {
                this.link.answer::<InboundMessage>(id, Ok(Stored { duplicate: false })).await;
            }
            Err(error) => {
                // Not stored: the worker must not move on, whatever the reason.
                tracing::error!("A message to {} was not stored: {error}", this.unit);
                this.link.answer::<InboundMessage>(id, Err(not_stored(&error))).await;
            }
        }
    });
}

fn act(this: &Attached, accepted: &Accepted, stopped: Option<String>) {
    if let Some(lane) = stopped.filter(|_| *accepted != Accepted::Answered) {
        this.core.stop_lane(&lane, None);
    }
    if *accepted == Accepted::PairingAsked {
        let (channel, account) = this.name().split_once(':').unwrap_or_default();
        this.core
            .tell(CoreEvent::PairingChanged { channel: channel.to_owned(), account: account.to_owned() });
        this.core.wake_pump(this.name());
    }
}

/// What the worker hears: whatever the reason, the same message again. Where there is no room it need not wait ever longer,
/// because nobody is pressed by its asking, and the platform is caught up with soon after there is some.
fn not_stored(error: &StoreError) -> RpcError {
    let mut told = RpcError::new(ErrorClass::Transient, error.to_string());
    if let (StoreError::Full(_), Some(data)) = (error, &mut told.data) {
        data.retry_after_ms = u64::try_from(RETRY.as_millis()).ok();
    }
    told
}

fn respond(this: &Attached, id: u64, outcome: Result<Stored, RpcError>) {
    let link = this.link.clone();
    tokio::spawn(async move { link.answer::<InboundMessage>(id, outcome).await });
}

async fn tell(this: &Attached, method: &str, params: Value) {
    match method {
        PartSent::METHOD => {
            let Ok(part) = rpc::params::<PartSent>(method, params) else { return };
            let Ok(held) = this.core.hold(this.name()).await else { return };
            // Kept for a later attempt; the send itself tells how it ended.
            let _ticket =
                this.core.desk.submit(move |store| store.part_sent(&held, &part.key, part.parts_sent)).await;
        }
        ChannelStatus::METHOD => {
            let Ok(status) = rpc::params::<ChannelStatus>(method, params) else { return };
            let changed = {
                let mut state = this.core.state();
                let Some(worker) = state.workers.get_mut(&this.unit) else { return };
                let before = worker.status.replace(status.clone());
                before.is_none_or(|before| {
                    (before.state, &before.error, &before.self_name)
                        != (status.state, &status.error, &status.self_name)
                })
            };
            if changed {
                let core = Arc::clone(&this.core);
                let name = this.name().to_owned();
                tokio::spawn(async move {
                    if let Some(row) = core.channel_row(&name).await {
                        core.tell(CoreEvent::ChannelChanged(row));
                    }
                });
            }
        }
        _ => tracing::debug!("{} told of {method}, which is not known here.", this.unit),
    }
}
