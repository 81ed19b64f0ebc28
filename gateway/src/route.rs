//! Who answers a message, and in which session: pure functions of configuration and message.

use creel_config::Config;
use creel_config::bindings::{Binding, Match, Peer, PeerKind};
use creel_config::scalar::Entry;
use creel_config::session::DmScope;
use creel_ipc::msg::channel::{Chat, ChatKind, Sender};

#[cfg(test)]
mod tests;

/// Where a message came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// The channel.
    pub channel: &'a str,
    /// The account.
    pub account: &'a str,
    /// The conversation.
    pub chat: &'a Chat,
    /// The person.
    pub sender: &'a Sender,
}

/// How specific a binding is; the lowest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    Peer,
    ParentPeer,
    AnyPeer,
    GuildRoles,
    Guild,
    Team,
    Account,
    Channel,
    Default,
}

/// The agent that answers: of the bindings that fit, the most specific, and of several, the first.
pub(crate) fn agent(config: &Config, origin: Origin<'_>) -> (String, Tier) {
    let known = |id: &str| config.agents().iter().any(|agent| agent.id.as_str() == id);
    let best = config
        .bindings
        .iter()
        .filter_map(|binding: &Binding| {
            let agent = binding.agent_id.as_ref().filter(|id| known(id))?;
            Some((tier(&binding.matches, origin)?, agent))
        })
        // `min_by_key` keeps the first of equals.
        .min_by_key(|(tier, _)| *tier);
    match best {
        Some((tier, agent)) => (agent.to_string(), tier),
        None => (config.default_agent().to_string(), Tier::Default),
    }
}

/// How specific a rule fits, if it fits.
fn tier(rule: &Match, origin: Origin<'_>) -> Option<Tier> {
    let Origin { chat, sender, .. } = origin;
    if rule.channel.as_ref().is_none_or(|channel| channel.as_str() != origin.channel) {
        return None;
    }
    let any_account = rule.account_id.as_ref().is_some_and(|account| account.0 == "*");
    let account = rule.account_id.as_ref().map_or("default", |account| account.0.as_str());
    if !any_account && !account.eq_ignore_ascii_case(origin.account) {
        return None;
    }
    let same = |wanted: &Option<Entry>, found: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| found.as_ref() == Some(&wanted.0))
    };
    if !same(&rule.guild_id, &chat.guild) || !same(&rule.team_id, &chat.team) {
        return None;
    }
    if !rule.roles.is_empty() && !rule.roles.iter().any(|role| sender.roles.contains(&role.0)) {
        return None;
    }
    let mut tier = match () {
        () if !rule.roles.is_empty() => Tier::GuildRoles,
        () if rule.guild_id.is_some() => Tier::Guild,
        () if rule.team_id.is_some() => Tier::Team,
        () if !any_account => Tier::Account,
        () => Tier::Channel,
    };
    if let Some(parent) = &rule.parent_peer {
        if !fits_parent(parent, chat) {
            return None;
        }
        tier = tier.min(Tier::ParentPeer);
    }
    if let Some(peer) = &rule.peer {
        tier = tier.min(peer_tier(peer, chat, sender)?);
    }
    Some(tier)
}

fn peer_tier(peer: &Peer, chat: &Chat, sender: &Sender) -> Option<Tier> {
    let id = peer.id.as_ref().map_or("*", |id| id.0.as_str());
    let own_id = if chat.kind == ChatKind::Direct { &sender.id } else { &chat.id };
    if !fits_kind(peer.kind, chat.kind) {
        return None;
    }
    match () {
        () if id == "*" => Some(Tier::AnyPeer),
        () if id.eq_ignore_ascii_case(own_id) || id.eq_ignore_ascii_case(&chat.id) => Some(Tier::Peer),
        () if fits_parent(peer, chat) => Some(Tier::ParentPeer),
        () => None,
    }
}

fn fits_parent(peer: &Peer, chat: &Chat) -> bool {
    let id = peer.id.as_ref().map_or("*", |id| id.0.as_str());
    chat.parent.as_ref().is_some_and(|parent| id == "*" || id.eq_ignore_ascii_case(parent))
}

fn fits_kind(wanted: PeerKind, found: ChatKind) -> bool {
    match wanted {
        PeerKind::Direct | PeerKind::Dm => found == ChatKind::Direct,
        PeerKind::Group => found == ChatKind::Group,
        PeerKind::Channel => found == ChatKind::Channel,
    }
}

/// The key of the session that a message belongs to, which is the key of its lane.
pub(crate) fn session_key(config: &Config, agent: &str, origin: Origin<'_>) -> String {
    let Origin { channel, account, chat, sender } = origin;
    let thread = match &chat.thread {
        Some(topic) if channel == "telegram" && chat.kind != ChatKind::Direct => format!(":topic:{topic}"),
        Some(thread) => format!(":thread:{thread}"),
        None => String::new(),
    };
    let key = if chat.kind == ChatKind::Direct {
        let peer = person(config, channel, &sender.id);
        match config.dm_scope() {
            DmScope::Main => return main_key(config, agent),
            DmScope::PerPeer => format!("agent:{agent}:direct:{peer}{thread}"),
            DmScope::PerChannelPeer => format!("agent:{agent}:{channel}:direct:{peer}{thread}"),
            DmScope::PerAccountChannelPeer => {
                format!("agent:{agent}:{channel}:{account}:direct:{peer}{thread}")
            }
        }
    } else {
        format!("agent:{agent}:{channel}:{}:{}{thread}", chat.kind.as_str(), chat.id)
    };
    key.to_lowercase()
}

/// The key of an agent's main session.
pub(crate) fn main_key(config: &Config, agent: &str) -> String {
    format!("agent:{agent}:{}", config.session.main_key).to_lowercase()
}

/// The one name of a person who has several.
fn person<'a>(config: &'a Config, channel: &str, id: &'a str) -> &'a str {
    let full = format!("{channel}:{id}");
    let linked = config
        .session
        .identity_links
        .iter()
        .find(|(_, names)| names.iter().any(|name| name.0.eq_ignore_ascii_case(&full)));
    linked.map_or(id, |(name, _)| name)
}

/// The canonical key of what a client calls a session. `None` for an empty one or an agent that is not there.
pub(crate) fn canonical(config: &Config, input: &str) -> Option<String> {
    let input = input.trim().to_lowercase();
    if input.is_empty() || input.len() > 512 || input.chars().any(char::is_control) {
        return None;
    }
    let default = config.default_agent();
    if input == "main" || input == config.session.main_key.to_lowercase() {
        return Some(main_key(config, &default));
    }
    let Some(rest) = input.strip_prefix("agent:") else {
        return Some(format!("agent:{default}:{input}"));
    };
    let (agent, name) = rest.split_once(':')?;
    if name.is_empty() || config.agent(agent).is_none() {
        return None;
    }
    Some(if name == "main" { main_key(config, agent) } else { input })
}

/// The agent that a canonical key names.
pub(crate) fn agent_of(key: &str) -> Option<&str> {
    key.strip_prefix("agent:")?.split(':').next()
}
