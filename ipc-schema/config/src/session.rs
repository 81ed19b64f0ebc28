//! `session`: which messages share a conversation, and when one starts afresh.

use std::collections::BTreeMap;

use crate::noun::{noun, within, within_if_given, word};
use crate::scalar::{Age, Entry, Id};
use crate::unbuilt::Unbuilt;

noun! {
    /// Which messages share a conversation.
    pub struct Session {
        /// How direct messages are told apart; without it, `main` for one allowed sender and
        /// `per-channel-peer` as soon as there may be more.
        "dmScope" => dm_scope: Option<DmScope> = None;
        /// One person under several names: `{alice: ["telegram:1", "irc:alice"]}`.
        "identityLinks" => identity_links: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        /// The last part of the key of the main session.
        "mainKey" => main_key: Id = Id::main();
        /// When a session starts afresh.
        "reset" => reset: Reset = Reset::default();
        /// The same by kind of conversation; wins over `reset`.
        "resetByType" => reset_by_type: ResetByType = ResetByType::default();
        /// The same by channel; wins over both.
        "resetByChannel" => reset_by_channel: BTreeMap<String, Reset> = BTreeMap::new();
        /// When sessions are forgotten that nobody writes in any more.
        "maintenance" => maintenance: Maintenance = Maintenance::default();
        /// Messages that start a session afresh.
        "resetTriggers" => reset_triggers: Vec<String> = vec!["/new".into(), "/reset".into()];
    }
}

word! {
    /// How direct messages are told apart.
    pub enum DmScope = PerChannelPeer {
        /// All direct messages share one session.
        "main" => Main,
        /// One session for each person.
        "per-peer" => PerPeer,
        /// One session for each person and channel.
        "per-channel-peer" => PerChannelPeer,
        /// One session for each person, channel and account.
        "per-account-channel-peer" => PerAccountChannelPeer,
    }
}

noun! {
    /// When a session starts afresh.
    pub struct Reset {
        /// By what.
        "mode" => mode: ResetMode = ResetMode::default();
        /// Hour of the day, local time of the machine, for mode daily.
        "atHour" => at_hour: u16 = 4, check within(0, 23);
        /// Minutes without a message, for mode idle; with mode daily, whichever comes first.
        "idleMinutes" => idle_minutes: Option<u32> = None, check within_if_given(1, 525_600);
    }
}

word! {
    /// What makes a session start afresh.
    pub enum ResetMode = None {
        /// Nothing; what does not fit the model's context window is left out of its request, oldest first.
        "none" => None,
        /// The first message after an hour of the day.
        "daily" => Daily,
        /// A time without messages.
        "idle" => Idle,
    }
}

noun! {
    /// When a session starts afresh, by kind of conversation.
    pub struct ResetByType {
        /// Direct messages.
        "direct" => direct: Option<Reset> = None;
        /// Direct messages, under their older name.
        "dm" => dm: Option<Reset> = None;
        /// Groups and channels.
        "group" => group: Option<Reset> = None;
        /// Threads and topics.
        "thread" => thread: Option<Reset> = None;
    }
}

noun! {
    /// When sessions are forgotten that nobody writes in any more. Main sessions never are, nor one in which something goes
    /// on, waits or is set aside.
    pub struct Maintenance {
        /// Whether they are forgotten, or only counted in the log; `creel sessions prune` forgets in either mode.
        "mode" => mode: MaintenanceMode = MaintenanceMode::default();
        /// Without a message for so long, such as "30d", "12h" or "2w".
        "pruneAfter" => prune_after: Age = Age(30 * 86_400);
        /// Sessions that are kept, the newest first.
        "maxEntries" => max_entries: u32 = 5000, check within(1, 1_000_000);
        /// Not built yet: bytes that all sessions may hold.
        "maxDiskBytes" => max_disk_bytes: Unbuilt = Unbuilt;
        /// Not built yet: bytes down to which they are forgotten then.
        "highWaterBytes" => high_water_bytes: Unbuilt = Unbuilt;
    }
}

word! {
    /// What becomes of sessions that nobody writes in any more.
    pub enum MaintenanceMode = Warn {
        /// They stay, and the log tells how many there are.
        "warn" => Warn,
        /// They are forgotten.
        "enforce" => Enforce,
    }
}
