//! `bindings`: which agent answers which conversation.

use crate::noun::{noun, word};
use crate::scalar::{Entry, Id};

noun! {
    /// One rule. Every given part of `match` has to fit; the most specific rule wins, then the first.
    pub struct Binding {
        /// The agent that answers.
        "agentId" => agent_id: Option<Id> = None;
        /// What the conversation has to be.
        "match" => matches: Match = Match::default();
        /// A note for the operator.
        "comment" => comment: Option<String> = None;
    }
}

noun! {
    /// What a conversation has to be.
    pub struct Match {
        /// The channel.
        "channel" => channel: Option<Id> = None;
        /// The account; without it the channel's default account, `"*"` for any.
        "accountId" => account_id: Option<Entry> = None;
        /// The other side.
        "peer" => peer: Option<Peer> = None;
        /// The other side of the conversation that a thread belongs to.
        "parentPeer" => parent_peer: Option<Peer> = None;
        /// The guild or server.
        "guildId" => guild_id: Option<Entry> = None;
        /// Roles of the sender, of which one is enough.
        "roles" => roles: Vec<Entry> = Vec::new();
        /// The team or workspace of the platform.
        "teamId" => team_id: Option<Entry> = None;
    }
}

noun! {
    /// The other side of a conversation.
    pub struct Peer {
        /// What it is.
        "kind" => kind: PeerKind = PeerKind::default();
        /// The platform's id, `"*"` for any of this kind.
        "id" => id: Option<Entry> = None;
    }
}

word! {
    /// What the other side of a conversation is.
    pub enum PeerKind = Direct {
        /// One person.
        "direct" => Direct,
        /// One person, under its older name.
        "dm" => Dm,
        /// A group.
        "group" => Group,
        /// A channel.
        "channel" => Channel,
    }
}
