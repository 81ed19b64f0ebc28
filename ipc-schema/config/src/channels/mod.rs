//! `channels`: the platform accounts. One module for each platform; what all have in common is in `common`.

use serde_json::{Map, Value, json};

use crate::endpoint::Endpoint;
use crate::node::{Key, Mark, Node, NodeKind};
use crate::scalar::Id;
use crate::shape::{Noun, Reading, Shape, Show};

mod account;
mod common;
mod irc;
mod telegram;

pub use account::{Account, Channel, Platform};
pub use common::{ChannelDefaults, Common, DmPolicy, Group, GroupPolicy, Streaming};
pub use irc::{Irc, Nickserv, Sasl};
pub use telegram::Telegram;

/// Every platform that the configuration knows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Channels {
    /// What holds for every account that does not say otherwise.
    pub defaults: ChannelDefaults,
    /// Telegram bots.
    pub telegram: Channel<Telegram>,
    /// IRC connections.
    pub irc: Channel<Irc>,
}

/// One account of any platform, seen without the platform's own keys.
#[derive(Debug, Clone, Copy)]
pub struct AccountView<'a> {
    /// The channel's id.
    pub channel: &'static str,
    /// The account's id.
    pub id: &'a Id,
    /// What all platforms have in common.
    pub common: &'a Common,
    settings: &'a dyn Settings,
}

/// What can be asked of an account without knowing its platform.
trait Settings: std::fmt::Debug {
    fn endpoints(&self) -> Vec<Endpoint>;
    fn show(&self, show: Show) -> Value;
}

impl<P: Platform> Settings for Account<P> {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.platform.endpoints()
    }
    fn show(&self, show: Show) -> Value {
        Shape::show(self, show)
    }
}

impl AccountView<'_> {
    /// The hosts that this account has to reach.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.settings.endpoints()
    }

    /// Every key of the account, defaults included: what its worker is given.
    pub fn settings(&self, show: Show) -> Value {
        self.settings.show(show)
    }
}

impl Channels {
    /// The channel ids that have a section in the schema.
    pub const KNOWN: &'static [&'static str] = &[Telegram::CHANNEL, Irc::CHANNEL];

    /// Every account that is switched on, ordered by channel and id.
    pub fn enabled(&self) -> Vec<AccountView<'_>> {
        self.all().into_iter().filter(|account| account.common.enabled).collect()
    }

    /// Every account, also those that are switched off.
    pub fn all(&self) -> Vec<AccountView<'_>> {
        let mut all = self.irc.views();
        all.extend(self.telegram.views());
        all
    }

    /// One account.
    pub fn account(&self, channel: &str, id: &str) -> Option<AccountView<'_>> {
        self.all().into_iter().find(|account| account.channel == channel && account.id.as_str() == id)
    }
}

const KEYS: &[&str] = &["defaults", "telegram", "irc"];

impl Shape for Channels {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let table = at.table(node, KEYS)?;
        let beneath = table.get("defaults");
        let defaults = beneath.and_then(|n| ChannelDefaults::read(n, at)).unwrap_or_default();
        let beneath = beneath.and_then(Node::as_table).unwrap_or_default();
        let telegram = table.get(Telegram::CHANNEL).and_then(|n| Channel::read_over(n, beneath, at));
        let irc = table.get(Irc::CHANNEL).and_then(|n| Channel::read_over(n, beneath, at));
        Some(Self { defaults, telegram: telegram.unwrap_or_default(), irc: irc.unwrap_or_default() })
    }

    fn show(&self, show: Show) -> Value {
        let mut table = Map::new();
        table.insert("defaults".into(), self.defaults.show(show));
        table.insert(Telegram::CHANNEL.into(), self.telegram.show(show));
        table.insert(Irc::CHANNEL.into(), self.irc.show(show));
        Value::Object(table)
    }

    fn schema() -> Value {
        let mut properties = Map::new();
        properties.insert("defaults".into(), ChannelDefaults::schema());
        properties.insert(Telegram::CHANNEL.into(), Channel::<Telegram>::schema());
        properties.insert(Irc::CHANNEL.into(), Channel::<Irc>::schema());
        crate::schema::closed(properties)
    }
}
