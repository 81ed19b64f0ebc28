//! What happens, told to every client: the core's events, and what the clock brings.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::clients::{Audience, Note};
use super::desk::{Desk, now_ms};
use super::fault::Protocol;
use super::methods::{approvals, health, presence, sessions};
use super::run::{Ending, Runs, Wanted, agent_of};
use crate::hub::{CoreEvent, RunState};

/// How often clients hear that the gateway is alive.
pub(crate) const TICK: Duration = Duration::from_secs(30);
/// How often health is told when nothing changes.
const HEALTH: Duration = Duration::from_secs(60);
/// Changes within this time are told once.
const GATHER: Duration = Duration::from_millis(250);

/// Tells the core's events until the gateway ends.
pub(crate) async fn tell(desk: Arc<Desk>, mut events: Receiver<CoreEvent>) {
    let mut runs = Runs::default();
    let mut notes = Vec::new();
    loop {
        let wait = runs.next_flush(now_ms());
        let event = tokio::select! {
            event = events.recv() => Some(event),
            () = sleep(Duration::from_millis(wait.unwrap_or_default())), if wait.is_some() => None,
        };
        runs.wanted = Wanted { new: desk.clients.any(Protocol::V4), old: desk.clients.any(Protocol::V3) };
        match event {
            None => runs.flush(now_ms(), &mut notes),
            Some(Ok(event)) => {
                let is_end = matches!(event, CoreEvent::ShuttingDown { .. });
                take(&desk, &mut runs, event, &mut notes);
                if is_end {
                    notes.drain(..).for_each(|note| desk.clients.tell(&note));
                    return;
                }
            }
            Some(Err(RecvError::Lagged(missed))) => {
                tracing::warn!(missed, "clients missed events; they are told to look again");
                catch_up(&desk, &mut runs, &mut notes).await;
            }
            Some(Err(RecvError::Closed)) => return,
        }
        notes.drain(..).for_each(|note| desk.clients.tell(&note));
    }
}

fn take(desk: &Desk, runs: &mut Runs, event: CoreEvent, out: &mut Vec<Note>) {
    let now = now_ms();
    match event {
        CoreEvent::RunStarted { run, session_key, .. } => {
            desk.run_began(&session_key, &run);
            runs.began(&run, &session_key, desk.echo(&run), now, out);
        }
        CoreEvent::RunModel { run, session_key, provider, model, again } => {
            if again {
                runs.again(&run);
            }
            runs.model(&run, &session_key, &provider, &model, now, out);
        }
        CoreEvent::Delta { run, session_key, kind, text } => {
            runs.delta(&run, &session_key, kind, &text, now, out);
        }
        CoreEvent::Tool { run, session_key, tool } => runs.tool(&run, &session_key, &tool, now, out),
        CoreEvent::RunEnded { run, session_key, outcome, error, text, usage } => {
            let ending = Ending { outcome, error: error.as_deref(), text: &text, usage };
            runs.ended(&run, &session_key, ending, now, out);
            desk.run_ended(&session_key, &run);
        }
        CoreEvent::SessionChanged { key } => desk.changed.note(key),
        CoreEvent::Asked(question) => {
            let payload = approvals::requested(&question);
            out.push(Note::same("exec.approval.requested", &payload, Audience::Approvals));
        }
        CoreEvent::Decided { id, decision } => {
            if let Some(decision) = decision {
                let payload = approvals::resolved(id, decision, now);
                out.push(Note::same("exec.approval.resolved", &payload, Audience::Approvals));
            }
        }
        CoreEvent::PairingChanged { channel, account } => {
            let payload = json!({"channel": channel, "accountId": account, "ts": now});
            out.push(Note::new_only("channels.pairing.changed", &payload, Audience::Pairing));
        }
        CoreEvent::UnitChanged(_) | CoreEvent::ChannelChanged(_) => desk.health_changed.notify_one(),
        CoreEvent::ShuttingDown { reason } => {
            let payload = json!({"reason": reason, "restartExpectedMs": 1000});
            out.push(Note::same("shutdown", &payload, Audience::Everyone));
        }
    }
}

/// Events were lost on the way here: clients are shown a gap, and ends that were lost are told after all.
async fn catch_up(desk: &Desk, runs: &mut Runs, out: &mut Vec<Note>) {
    desk.clients.gap();
    desk.health_changed.notify_one();
    for run in runs.tear() {
        let Ok(status) = desk.hub.run_wait(&run, 0).await else { continue };
        if let RunState::Ended(outcome) = status.state {
            let session = runs.session(&run).unwrap_or(status.session_key);
            let text = status.text.unwrap_or_default();
            let ending = Ending { outcome, error: status.error.as_deref(), text: &text, usage: status.usage };
            runs.ended(&run, &session, ending, now_ms(), out);
            desk.run_ended(&session, &run);
        }
    }
}

/// Tells that the gateway is alive.
pub(crate) async fn tick(desk: Arc<Desk>) {
    let mut tick = interval_at(Instant::now() + TICK, TICK);
    loop {
        tick.tick().await;
        desk.clients.tell(&Note::same("tick", &json!({"ts": now_ms()}), Audience::Everyone).missable());
    }
}

/// Tells health when it changes, and every minute.
pub(crate) async fn tell_health(desk: Arc<Desk>) {
    loop {
        let _ = timeout(HEALTH, desk.health_changed.notified()).await;
        desk.clients.health_changed();
        let health = health::snapshot(&desk).await;
        desk.clients.tell(&Note::same("health", &health, Audience::Everyone).missable().versioned());
        sleep(GATHER).await;
    }
}

/// Tells which sessions changed, with their rows as they are by then.
pub(crate) async fn tell_sessions(desk: Arc<Desk>) {
    loop {
        desk.changed.wait().await;
        sleep(GATHER / 10).await;
        let changed = desk.changed.take();
        if !desk.clients.any(Protocol::V4) {
            continue;
        }
        for key in changed {
            let session = sessions::described(&desk, &key).await.map_or(Value::Null, |(_, row)| row);
            let payload =
                json!({"sessionKey": key, "agentId": agent_of(&key), "ts": now_ms(), "session": session});
            desk.clients.tell(&Note::new_only("sessions.changed", &payload, Audience::SessionWatchers));
        }
    }
}

/// Tells who is connected when it changes.
pub(crate) async fn tell_presence(desk: Arc<Desk>) {
    loop {
        desk.presence_changed.notified().await;
        let payload = json!({"presence": presence::entries(&desk)});
        desk.clients.tell(&Note::same("presence", &payload, Audience::Everyone).missable().versioned());
        sleep(GATHER).await;
    }
}
