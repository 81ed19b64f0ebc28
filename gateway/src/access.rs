//! Who may write, and what is answered: pure functions of configuration and message.

use creel_config::channels::{Common, DmPolicy, Group, GroupPolicy};
use creel_config::scalar::{Entry, Pattern};
use creel_ipc::msg::channel::{Chat, ChatKind, Inbound, Sender};

use crate::settings::Settings;

#[cfg(test)]
mod tests;

/// Milliseconds that a pairing code is good for.
pub(crate) const CODE_TTL_MS: i64 = 3_600_000;
/// Requests of one account that may wait.
pub(crate) const CODES_WAITING: u32 = 3;
/// Letters and digits that cannot be taken for one another.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE_LENGTH: usize = 8;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is answered.
    Answer,
    /// It is kept to explain later ones.
    Context,
    /// Its sender may ask to be let in.
    Pair,
    /// Nothing, for this reason.
    Ignore(&'static str),
}

/// What becomes of a message. `paired` says whether its sender was let in by a code.
pub(crate) fn judge(
    settings: &Settings,
    common: &Common,
    agent: &str,
    message: &Inbound,
    paired: bool,
) -> Verdict {
    if message.sender.is_bot {
        return Verdict::Ignore("its sender is a bot");
    }
    if message.chat.kind == ChatKind::Direct {
        return judge_direct(common, &message.sender, paired);
    }
    if let Err(reason) = group_open(common, &message.chat, &message.sender) {
        return Verdict::Ignore(reason);
    }
    let needs_mention = group_of(common, &message.chat).is_none_or(|group| group.require_mention);
    if !needs_mention || mentioned(settings, common, agent, message) {
        Verdict::Answer
    } else {
        Verdict::Context
    }
}

fn judge_direct(common: &Common, sender: &Sender, paired: bool) -> Verdict {
    let listed = lists(&common.allow_from, sender);
    match common.dm_policy {
        DmPolicy::Disabled => Verdict::Ignore("direct messages are switched off"),
        DmPolicy::Open | DmPolicy::Allowlist if listed => Verdict::Answer,
        DmPolicy::Open | DmPolicy::Allowlist => Verdict::Ignore("its sender is not in allowFrom"),
        DmPolicy::Pairing if listed || paired => Verdict::Answer,
        DmPolicy::Pairing => Verdict::Pair,
    }
}

fn group_open(common: &Common, chat: &Chat, sender: &Sender) -> Result<(), &'static str> {
    let group = group_of(common, chat);
    match common.group_policy {
        GroupPolicy::Disabled => return Err("groups are switched off"),
        GroupPolicy::Allowlist if group.is_none() => return Err("the group is not in groups"),
        GroupPolicy::Allowlist | GroupPolicy::Open => {}
    }
    if group.is_some_and(|group| !group.enabled) {
        return Err("the group is switched off");
    }
    let allowed = group.map(|group| &group.allow_from).filter(|list| !list.is_empty());
    let allowed = allowed.unwrap_or(&common.group_allow_from);
    if allowed.is_empty() || lists(allowed, sender) {
        Ok(())
    } else {
        Err("its sender is not answered in this group")
    }
}

/// The group's own entry, else that of its parent, else the one for all.
fn group_of<'a>(common: &'a Common, chat: &Chat) -> Option<&'a Group> {
    let named = |id: &str| common.groups.iter().find(|(key, _)| key.eq_ignore_ascii_case(id));
    let own = named(&chat.id).or_else(|| chat.parent.as_deref().and_then(named));
    own.or_else(|| named("*")).map(|(_, group)| group)
}

fn mentioned(settings: &Settings, common: &Common, agent: &str, message: &Inbound) -> bool {
    let agents = settings.config.agent(agent);
    let of_agent: &[Pattern] =
        agents.as_ref().map(|agent| agent.mention_patterns.as_slice()).unwrap_or_default();
    let lists = [&settings.config.messages.group_chat.mention_patterns, &common.mention_patterns];
    message.mentioned
        || settings.mentions(of_agent, &message.text)
        || lists.iter().any(|patterns| settings.mentions(patterns, &message.text))
}

/// Whether a list names the person, by id or by handle.
fn lists(entries: &[Entry], sender: &Sender) -> bool {
    entries.iter().any(|entry| {
        let name = entry.0.as_str();
        let handle = name.strip_prefix('@').unwrap_or(name);
        name == "*"
            || name.eq_ignore_ascii_case(&sender.id)
            || sender.username.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(handle))
    })
}

/// How many unanswered messages of groups an account keeps.
pub(crate) fn context_kept(settings: &Settings, common: &Common) -> u32 {
    common.history_limit.unwrap_or(settings.config.messages.group_chat.history_limit)
}

/// A code out of random bytes. 256 is a multiple of 32, so every letter is as likely as any other.
pub(crate) fn code(random: [u8; CODE_LENGTH]) -> String {
    random.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// What somebody is told who is not known.
pub(crate) fn pairing_text(channel: &str, code: &str) -> String {
    format!(
        "I do not know you yet, so I cannot answer. Your pairing code is `{code}`. Ask the person who runs this \
         assistant to enter `creel pairing approve {channel} {code}` within an hour."
    )
}
