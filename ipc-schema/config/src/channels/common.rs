//! What every account has, whatever its platform.

use std::collections::BTreeMap;

use crate::node::Node;
use crate::noun::{noun, within_if_given, word};
use crate::scalar::{Entry, Pattern};
use crate::shape::Reading;

noun! {
    /// Who may write to an account, and how it answers.
    pub struct Common {
        /// Whether the account is connected.
        "enabled" => enabled: bool = true;
        /// A name for people.
        "name" => name: Option<String> = None;
        /// Who may write direct messages.
        "dmPolicy" => dm_policy: DmPolicy = DmPolicy::default();
        /// Ids of the people who may write direct messages; `"*"` for everybody.
        "allowFrom" => allow_from: Vec<Entry> = Vec::new();
        /// Which groups are answered.
        "groupPolicy" => group_policy: GroupPolicy = GroupPolicy::default();
        /// Ids of the people who are answered in groups; without it everybody in an allowed group.
        "groupAllowFrom" => group_allow_from: Vec<Entry> = Vec::new();
        /// The allowed groups by id; `"*"` holds for every group.
        "groups" => groups: BTreeMap<String, Group> = BTreeMap::new();
        /// Regular expressions that count as a mention, besides the platform's own.
        "mentionPatterns" => mention_patterns: Vec<Pattern> = Vec::new();
        /// Characters of the longest message; without it the platform's own limit.
        "textChunkLimit" => text_chunk_limit: Option<u32> = None, check within_if_given(1, 100_000);
        /// Whether an answer is shown while it is being written.
        "streaming" => streaming: Streaming = Streaming::default();
        /// Unanswered group messages that are kept as context; without it `messages.groupChat.historyLimit`.
        "historyLimit" => history_limit: Option<u32> = None, check within_if_given(0, 1000);
    }
}

noun! {
    /// What holds for every account that does not say otherwise.
    pub struct ChannelDefaults {
        /// Who may write direct messages.
        "dmPolicy" => dm_policy: Option<DmPolicy> = None;
        /// Which groups are answered.
        "groupPolicy" => group_policy: Option<GroupPolicy> = None;
        /// Whether an answer is shown while it is being written.
        "streaming" => streaming: Option<Streaming> = None;
        /// Unanswered group messages that are kept as context.
        "historyLimit" => history_limit: Option<u32> = None, check within_if_given(0, 1000);
    }
}

word! {
    /// Who may write direct messages.
    pub enum DmPolicy = Pairing {
        /// Whoever the operator has approved by a code.
        "pairing" => Pairing,
        /// Whoever is in allowFrom.
        "allowlist" => Allowlist,
        /// Everybody; allowFrom has to say so.
        "open" => Open,
        /// Nobody.
        "disabled" => Disabled,
    }
}

word! {
    /// Which groups are answered.
    pub enum GroupPolicy = Allowlist {
        /// Those in `groups`.
        "allowlist" => Allowlist,
        /// All.
        "open" => Open,
        /// None.
        "disabled" => Disabled,
    }
}

word! {
    /// Whether an answer is shown while it is being written.
    pub enum Streaming = Off {
        /// It is sent when it is whole.
        "off" => Off,
        /// The text so far is shown and edited.
        "partial" => Partial,
    }
    not built: "progress"
}

noun! {
    /// One group.
    pub struct Group {
        /// Whether the group is answered.
        "enabled" => enabled: bool = true;
        /// Whether only messages that mention the agent are answered.
        "requireMention" => require_mention: bool = true;
        /// Ids of the people who are answered; without it everybody in the group.
        "allowFrom" => allow_from: Vec<Entry> = Vec::new();
    }
}

impl Common {
    /// What one key alone does not show: `open` needs the operator to say that everybody is meant.
    pub(super) fn check(&self, table: &Node, at: &mut Reading<'_>) {
        let everybody = self.allow_from.iter().any(|entry| entry.0 == "*");
        let mark = |key: &str| table.get(key).map_or(table.mark, |node| node.mark);
        if self.dm_policy == DmPolicy::Open && !everybody {
            at.fault(
                mark("dmPolicy"),
                "dmPolicy \"open\" lets everybody write, and allowFrom does not say so",
                "add allowFrom: [\"*\"], or use \"pairing\" or \"allowlist\"",
            );
        }
        if self.dm_policy == DmPolicy::Allowlist && self.allow_from.is_empty() {
            at.fault(
                mark("dmPolicy"),
                "dmPolicy \"allowlist\" without allowFrom lets nobody write",
                "add the ids of the people to allowFrom, or use \"disabled\"",
            );
        }
    }
}
