//! `getUpdates`: offsets, long polling, and the two kinds of 409.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::media::Params;
use crate::server::{Answer, Refusal};
use crate::world::{State, World};

/// Kinds that a bot gets only when it asks for them.
const ON_REQUEST: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// Counts as a poll while it lives, also when its client hangs up.
struct Poll<'a>(&'a World, &'a str, &'a str);

impl Drop for Poll<'_> {
    fn drop(&mut self) {
        self.0.state().polls.end(self.1, self.2);
    }
}

pub(crate) async fn updates(world: &Arc<World>, token: &str, client: &str, params: &Params) -> Answer {
    world.state().polls.begin(token, client);
    let _poll = Poll(world, token, client);
    let offset = params.number("offset").unwrap_or(0);
    let limit = usize::try_from(params.number("limit").unwrap_or(100).clamp(1, 100)).unwrap_or(100);
    let timeout = Duration::from_secs(params.number("timeout").unwrap_or(0).clamp(0, 50).unsigned_abs());
    let allowed: Option<Vec<String>> =
        params.json("allowed_updates").and_then(|list| serde_json::from_value(list).ok());
    let mut changes = world.changes();
    let mine = begin(&mut world.state(), token, offset, allowed)?;
    let deadline = tokio::time::Instant::now() + timeout;
    loop {
        if let Some(answer) = world.peek(|state| look(state, token, mine, offset, limit)) {
            return answer;
        }
        if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
            return Ok(Value::Array(Vec::new()));
        }
    }
}

fn begin(state: &mut State, token: &str, offset: i64, allowed: Option<Vec<String>>) -> Result<u64, Refusal> {
    if offset > 0 {
        state.confirm(token, offset);
    } else {
        // Only what is too old goes.
        state.confirm(token, i64::MIN);
    }
    let Some(bot) = state.bot(token) else { return Err(Refusal::new(401, "Unauthorized")) };
    if bot.webhook.is_some() {
        let description = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
        return Err(Refusal::new(409, description));
    }
    if offset < 0 {
        let kept = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        while bot.updates.len() > kept {
            bot.updates.pop_front();
        }
    }
    if let Some(allowed) = allowed {
        bot.allowed = (!allowed.is_empty()).then_some(allowed);
    }
    bot.poll += 1;
    Ok(bot.poll)
}

fn look(state: &mut State, token: &str, mine: u64, offset: i64, limit: usize) -> Option<Answer> {
    let Some(bot) = state.bot(token) else { return Some(Err(Refusal::new(401, "Unauthorized"))) };
    if bot.poll != mine {
        let description = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
        return Some(Err(Refusal::new(409, description)));
    }
    let allowed = bot.allowed.clone();
    let wanted = |kind: &str| match &allowed {
        Some(kinds) => kinds.iter().any(|k| k == kind),
        None => !ON_REQUEST.contains(&kind),
    };
    bot.updates.retain(|update| wanted(&update.kind));
    let mut batch: Vec<Value> = Vec::new();
    for update in bot.updates.iter_mut().filter(|update| update.id >= offset || update.again).take(limit) {
        let mut body = update.body.clone();
        body["update_id"] = update.id.into();
        batch.push(body);
    }
    // A repeated update is repeated once.
    bot.updates.retain(|update| !update.again);
    (!batch.is_empty()).then_some(Ok(Value::Array(batch)))
}
