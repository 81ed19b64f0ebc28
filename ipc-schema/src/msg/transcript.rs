//! What a conversation consists of. Roles and blocks are those of Pi's session format version 3, so that a
//! transcript can be exported without translation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry of a transcript. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "role", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Entry {
    /// What a person (or a trigger) said.
    User {
        /// Text and images.
        content: Vec<Block>,
        /// Milliseconds since the epoch.
        timestamp: i64,
    },
    /// What the model said.
    Assistant {
        /// Text, thinking and tool calls, in order.
        content: Vec<Block>,
        /// Wire format of the provider, such as `anthropic-messages`.
        api: String,
        /// The provider's id in the configuration.
        provider: String,
        /// The model's id at the provider.
        model: String,
        /// Tokens.
        usage: Usage,
        /// Why the model stopped.
        stop_reason: StopReason,
        /// Set when `stop_reason` is [`StopReason::Error`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error_message: Option<String>,
        /// Milliseconds since the epoch.
        timestamp: i64,
    },
    /// What a tool answered.
    ToolResult {
        /// The call's id.
        tool_call_id: String,
        /// The tool's name.
        tool_name: String,
        /// What the model gets to read.
        content: Vec<Block>,
        /// Whether the tool failed.
        is_error: bool,
        /// Milliseconds since the epoch.
        timestamp: i64,
    },
}

/// A piece of an entry. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Block {
    /// Text.
    Text {
        /// Markdown.
        text: String,
    },
    /// The model's reasoning.
    Thinking {
        /// What is shown of it.
        thinking: String,
        /// Returned to the provider as it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thinking_signature: Option<String>,
    },
    /// An image, named by its hash.
    Image {
        /// Lower-case hex SHA-256.
        sha256: String,
        /// Media type.
        mime_type: String,
    },
    /// The model asks for a tool.
    ToolCall {
        /// Unique within the assistant entry.
        id: String,
        /// The tool's name.
        name: String,
        /// The tool's arguments, an object.
        arguments: Value,
    },
}

impl Block {
    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// Tokens of one model call. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Tokens of the prompt that were not cached.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Tokens of the prompt that were read from the provider's cache.
    pub cache_read: u64,
    /// Tokens of the prompt that were written to the provider's cache.
    pub cache_write: u64,
}

/// Why a model stopped. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StopReason {
    /// It was done.
    Stop,
    /// The token limit was reached.
    Length,
    /// It waits for tools.
    ToolUse,
    /// The call failed.
    Error,
    /// It was told to stop.
    Aborted,
}
