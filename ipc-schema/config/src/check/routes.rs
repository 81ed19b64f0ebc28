//! Bindings and accounts: who is reached by which way.

use creel_ipc::Secret;

use super::Check;
use crate::bindings::Binding;
use crate::channels::Channels;
use crate::fault::{MAX_COMPLAINTS, did_you_mean};
use crate::node::Step;
use crate::scalar::Id;

impl Check<'_> {
    pub(super) fn bindings(&mut self) {
        let config = self.config;
        let agents: Vec<String> = config.agents().iter().map(|agent| agent.id.to_string()).collect();
        if !self.is_whole(&path!["bindings"], config.bindings.len()) {
            return;
        }
        for (index, binding) in config.bindings.iter().enumerate() {
            if self.findings.faults.len() > MAX_COMPLAINTS {
                // Nobody would see any further one.
                break;
            }
            self.binding(index, binding, &agents);
        }
    }

    fn binding(&mut self, index: usize, binding: &Binding, agents: &[String]) {
        let known = || agents.iter().map(String::as_str);
        match &binding.agent_id {
            None if self.tree_has(&path!["bindings", index, "agentId"]) => {}
            None => self.fault(
                path!["bindings", index],
                "this binding names no agent",
                "add agentId: \"main\" or another agent's id",
            ),
            Some(id) if !known().any(|agent| agent == id.as_str()) => {
                let hint = did_you_mean(id, known());
                self.fault(
                    path!["bindings", index, "agentId"],
                    format!("no agent has the id \"{id}\""),
                    format!("use one of: {}{hint}", some(agents)),
                );
            }
            Some(_) => {}
        }
        let Some(channel) = &binding.matches.channel else {
            if !self.tree_has(&path!["bindings", index, "match", "channel"]) {
                self.fault(
                    path!["bindings", index, "match"],
                    "this binding names no channel",
                    "add match: { channel: \"telegram\" } or another channel",
                );
            }
            return;
        };
        if !Channels::KNOWN.contains(&channel.as_str()) {
            self.unknown_channel(path!["bindings", index, "match", "channel"], channel);
        } else if let Some(account) = binding.matches.account_id.as_ref().filter(|account| account.0 != "*") {
            let all = self.config.channels.all();
            let accounts: Vec<&str> =
                all.iter().filter(|a| a.channel == channel.as_str()).map(|a| a.id.as_str()).collect();
            if !accounts.contains(&account.0.as_str()) {
                let hint = did_you_mean(&account.0, accounts.iter().copied());
                let what = format!("the channel {channel} has no account \"{}\"", account.0);
                let fix = if accounts.is_empty() {
                    format!("add channels.{channel}, or remove accountId")
                } else {
                    format!("use one of: {}{hint}", accounts.join(", "))
                };
                self.fault(path!["bindings", index, "match", "accountId"], what, fix);
            }
        }
        for (key, peer) in [("peer", &binding.matches.peer), ("parentPeer", &binding.matches.parent_peer)] {
            if peer.as_ref().is_some_and(|peer| peer.id.is_none())
                && !self.tree_has(&path!["bindings", index, "match", key, "id"])
            {
                self.fault(
                    path!["bindings", index, "match", key],
                    "this peer has no id",
                    "add id: \"…\", or id: \"*\" for any",
                );
            }
        }
    }

    /// Telegram hands each message to one reader: two accounts on one bot would take them from each other.
    pub(super) fn bots(&mut self) {
        let config = self.config;
        let mut seen: Vec<(&str, &Id)> = Vec::new();
        for (id, account) in &config.channels.telegram.accounts {
            let token = account.platform.bot_token.as_ref().map_or("", Secret::expose);
            if !account.common.enabled || token.is_empty() {
                continue;
            }
            match seen.iter().find(|(other, _)| *other == token) {
                Some((_, first)) => {
                    let listed = path!["channels", "telegram", "accounts", id.as_str(), "botToken"];
                    let flat = path!["channels", "telegram", "botToken"];
                    let path = if self.tree_has(&listed) { listed.to_vec() } else { flat.to_vec() };
                    let what = format!(
                        "\"{id}\" has the same botToken as \"{first}\", and a bot can serve only one account"
                    );
                    self.fault(path, what, "give it a bot of its own, or enabled: false");
                }
                None => seen.push((token, id)),
            }
        }
    }
}

/// The first few names, for a sentence.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    names[..names.len().min(SHOWN)].join(", ") + more
}
