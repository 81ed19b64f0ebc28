//! `tools.elevated`: for whom commands may leave the tool sandbox.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::channels::{Channels, Irc, Platform as _};
use crate::node::{Mark, Node};
use crate::noun::noun;
use crate::scalar::Entry;
use crate::shape::{MapKey, Reading, Shape, Show};

noun! {
    /// Commands outside of the tool sandbox, for those whom the operator lists.
    pub struct Elevated {
        /// Whether anybody may have them.
        "enabled" => enabled: bool = true;
        /// By channel, the ids of those whose messages may lead to such a command, as the platform writes them. Nobody else's
        /// may.
        "allowFrom" => allow_from: BTreeMap<ChannelName, Vec<Person>> = BTreeMap::new();
    }
}

impl Elevated {
    /// Whether it lists anybody.
    pub fn is_open(&self) -> bool {
        self.enabled && self.allow_from.values().any(|people| !people.is_empty())
    }

    /// Whether it lists this person. Handles do not count: their owners change them.
    pub fn lists(&self, channel: &str, id: &str) -> bool {
        let people = self.allow_from.iter().find(|(name, _)| name.0 == channel);
        self.enabled && people.is_some_and(|(_, people)| people.iter().any(|person| person.0 == id))
    }
}

/// A channel that Creel knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct ChannelName(pub String);

impl MapKey for ChannelName {
    fn read_key(text: &str, mark: Mark, at: &mut Reading<'_>) -> Option<Self> {
        if text == Irc::CHANNEL {
            at.fault(
                mark,
                "on IRC nobody vouches for who a nickname is, so none can be listed here",
                "list people of other channels, or remove it",
            );
            return None;
        }
        if !Channels::KNOWN.contains(&text) {
            let hint = at.hint(text, Channels::KNOWN);
            at.fault(mark, format!("there is no channel \"{text}\""), format!("correct or remove it{hint}"));
            return None;
        }
        Some(Self(text.to_owned()))
    }
    fn show_key(&self) -> String {
        self.0.clone()
    }
}

/// The platform's id of one person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Person(pub String);

impl Shape for Person {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let Entry(id) = Entry::read(node, at)?;
        if id == "*" {
            at.fault(
                node.mark,
                "\"*\" would let everybody who may write to the agent have commands outside of the sandbox",
                "list the ids of single people; for commands without a sandbox there is sandbox.mode: \"off\"",
            );
            return None;
        }
        if id.starts_with('@') {
            at.fault(
                node.mark,
                format!("\"{id}\" is a handle, which its owner can give up to somebody else"),
                "write the platform's id of the person; `creel pairing list` and the log show ids",
            );
            return None;
        }
        Some(Self(id))
    }
    fn show(&self, _: Show) -> Value {
        self.0.clone().into()
    }
    fn schema() -> Value {
        Entry::schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_id_on_the_very_channel_is_listed() {
        let people = vec![Person("42".into())];
        let own =
            Elevated { allow_from: [(ChannelName("telegram".into()), people)].into(), ..Elevated::default() };
        assert!(own.is_open() && own.lists("telegram", "42"));
        for (channel, id) in [("telegram", "421"), ("telegram", ""), ("irc", "42"), ("", "42")] {
            assert!(!own.lists(channel, id), "{channel} {id}");
        }
        let off = Elevated { enabled: false, ..own };
        assert!(!off.is_open() && !off.lists("telegram", "42"));
        assert!(!Elevated::default().is_open());
    }
}
