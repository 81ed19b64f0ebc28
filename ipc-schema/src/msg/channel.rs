//! Gateway ↔ channel worker.
//!
//! `channel.inbound` is a request: only its answer lets the worker move its platform cursor, acknowledge a
//! webhook or drop a spool entry. `channel.send` is idempotent by its key within one life of the worker.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{notify, request};
use crate::blob::Attachment;
use crate::rpc::RpcError;
use crate::secret::{SecretJson, reveal};

/// Configuration of a channel worker. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelConfig {
    /// The platform, such as `telegram`.
    pub channel: String,
    /// The account's id, such as `default`.
    pub account: String,
    /// The account's settings in the platform's own terms, secrets included. The gateway does not look inside.
    #[serde(serialize_with = "reveal")]
    pub settings: SecretJson,
    /// Whether replies are shown while they are written.
    #[serde(default)]
    pub streaming: bool,
    /// Length of one part in the platform's unit, when the operator wants less than the platform allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_limit: Option<u32>,
    /// A `tracing` filter, such as `info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
}

/// Until when the account is this worker's, where several hosts share a database. Sent again and again while it is. Once
/// it is over the worker receives and sends nothing, whoever is still there to tell it; it goes on with the next one.
/// Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Milliseconds since the machine was started, counting the time that it slept. 0: it is over.
    pub until_ms: u64,
    /// A sentence for people: why it is over, or will be.
    pub reason: String,
}
notify!(Lease, "channel.lease");

request!(
    /// A message came in. The answer says that it is durable; sending it again is harmless. Since: 1.0.
    InboundMessage, "channel.inbound", Inbound => Stored
);

/// A message from a platform, in no platform's terms. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inbound {
    /// Identity at the platform; the same message always has the same one. Unique within the account.
    pub ext_id: String,
    /// The platform's id of the message, to reply to or to quote.
    pub message_id: String,
    /// Where it was said.
    pub chat: Chat,
    /// Who said it.
    pub sender: Sender,
    /// What was said.
    pub text: String,
    /// Whether the platform itself says that the bot is addressed (a mention, a reply to the bot).
    #[serde(default)]
    pub mentioned: bool,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// Files, left in the unit's `out/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// When it was said, in milliseconds since the epoch, by the platform's clock.
    pub at_ms: i64,
    /// Platform cursor to be stored in the same transaction and returned in the next `welcome`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Where something is said. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Chat {
    /// The platform's id of the conversation.
    pub id: String,
    /// Direct, group or channel.
    pub kind: ChatKind,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A thread or topic within the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The conversation that a thread hangs on, where it has an id of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The server (Discord guild).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guild: Option<String>,
    /// The workspace (Slack team).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// Kind of a conversation. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// Two parties.
    Direct,
    /// Several people.
    Group,
    /// A public room.
    Channel,
}

impl ChatKind {
    /// The word used in session keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Channel => "channel",
        }
    }
}

/// Who said something. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sender {
    /// The platform's id of the person.
    pub id: String,
    /// The person's display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The person's handle, without `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Roles in the guild.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Whether it is another bot.
    #[serde(default)]
    pub is_bot: bool,
}

/// The message that another one answers. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    /// The platform's id of the quoted message.
    pub message_id: String,
    /// What it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
}

/// The message is durable. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Whether it had been stored before.
    pub duplicate: bool,
}

request!(
    /// Say something. Errors carry a class: `retry_after` and `transient` mean that nothing (or only
    /// `partsSent` parts) went out, `unknown_outcome` that it may have. Since: 1.0.
    SendMessage, "channel.send", SendParams => Sent
);

/// Parameters of [`SendMessage`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendParams {
    /// Names this send; the platform's idempotency key where it has one.
    pub key: String,
    /// Where to say it.
    pub route: Route,
    /// Markdown.
    pub text: String,
    /// Files, readable in the unit's `in/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Parts that an earlier attempt delivered: begin after them.
    #[serde(default)]
    pub parts_sent: u32,
    /// The turn whose drafts this replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
}

/// Where a reply goes: captured when the message came in, never chosen by a model. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The platform's id of the conversation.
    pub chat_id: String,
    /// Direct, group or channel.
    pub kind: ChatKind,
    /// The thread or topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The message to reply to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Who is answered, for platforms where a room reply names its addressee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addressee: Option<String>,
}

/// It was said. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// The platform's ids of all parts, in order.
    pub message_ids: Vec<String>,
}

/// One part of a message was accepted by the platform; the rest may still fail. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartSent {
    /// The send's key.
    pub key: String,
    /// Parts delivered so far.
    pub parts_sent: u32,
    /// The platform's id of this part.
    pub message_id: String,
}
notify!(PartSent, "channel.part");

/// Show or hide the typing indicator. The worker keeps it alive; it ends by itself after 60 s. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Typing {
    /// Where.
    pub route: Route,
    /// Show or hide.
    pub on: bool,
}
notify!(Typing, "channel.typing");

/// Show a reply while it is being written. Best effort. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Draft {
    /// The turn's id.
    pub draft: String,
    /// Where.
    pub route: Route,
    /// The whole text so far, Markdown.
    pub text: String,
}
notify!(Draft, "channel.draft");

/// How the account is doing. Sent on every change and at least every 30 s. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// Connected or not.
    pub state: ChannelState,
    /// When the transport last proved alive (a poll completed, a pong), in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport_alive_at_ms: Option<i64>,
    /// When a message last came in. A quiet account is not a dead one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_inbound_at_ms: Option<i64>,
    /// The account's own name at the platform, such as a bot's handle or a nick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_name: Option<String>,
    /// Why it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}
notify!(ChannelStatus, "channel.status");

/// State of an account's connection. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// Not yet, or not any more; it tries.
    Connecting,
    /// Messages can come and go.
    Connected,
    /// It gave up until a human acts.
    Stopped,
}
