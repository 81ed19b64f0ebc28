//! Talking to models: what is asked, what comes back, and the wire formats in between.
//!
//! A [`WireCodec`] is sans-IO: it builds the bytes of a request and turns the bytes of an answer into [`Ev`]ents.
//! [`http`] carries them, [`draft::Draft`] puts an answer together, [`error`] says what may be done about a failure.

use std::collections::BTreeMap;

use creel_ipc::msg::agent::{Model, Provider};
use creel_ipc::msg::transcript::{Entry, Usage};
use serde_json::Value;

pub mod anthropic;
pub mod compat;
pub mod demo;
pub mod draft;
pub mod error;
pub mod http;
pub mod openai;
pub mod overflow;
pub mod sse;
mod tunnel;

pub use draft::{Answer, Draft};
pub use error::{Class, ModelError};

/// A tool as the model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// The name that the model calls.
    pub name: &'static str,
    /// What it does and when to use it.
    pub description: &'static str,
    /// JSON Schema of its arguments: a flat object.
    pub schema: Value,
}

/// Images by their SHA-256, as base64.
pub type Images = BTreeMap<String, String>;

/// Everything that one model call is made of.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The provider's id in the configuration.
    pub provider_id: &'a str,
    /// The provider.
    pub provider: &'a Provider,
    /// The model.
    pub model: &'a Model,
    /// Thinking level; `None` and `off` mean the same.
    pub thinking: Option<&'a str>,
    /// The system prompt.
    pub system: &'a str,
    /// The conversation, repaired: every call has its result right behind it, and the last entry is not the model's.
    pub messages: &'a [Entry],
    /// Tools on offer.
    pub tools: &'a [ToolSpec],
    /// The images that `messages` name and that could be read.
    pub images: &'a Images,
}

/// One event of a model's answer. Blocks are numbered by `at`, which only has to be unique within the answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Ev {
    /// A block begins.
    Open {
        /// The block.
        at: u32,
        /// What it is.
        block: Opening,
    },
    /// Text of a text block.
    Text {
        /// The block.
        at: u32,
        /// What was added.
        text: String,
    },
    /// Text of a thinking block.
    Thinking {
        /// The block.
        at: u32,
        /// What was added.
        text: String,
    },
    /// Signature of a thinking block.
    Signature {
        /// The block.
        at: u32,
        /// What was added.
        text: String,
    },
    /// Arguments of a tool call, a piece of JSON.
    Args {
        /// The block.
        at: u32,
        /// What was added.
        text: String,
    },
    /// A block is complete.
    Close {
        /// The block.
        at: u32,
    },
    /// Tokens so far, cumulative.
    Usage(Usage),
    /// Why the model stopped.
    Stop(Stop),
    /// The provider is alive and says nothing.
    Alive,
    /// The answer is complete.
    End,
    /// The answer failed. Nothing follows.
    Fail(ModelError),
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Text.
    Text,
    /// Thinking that can be read.
    Thinking,
    /// Thinking that only the provider can read.
    Redacted {
        /// To be returned as it came.
        data: String,
    },
    /// A tool call.
    Tool {
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
    },
}

/// Why a model stopped, as providers tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It was done.
    Done,
    /// Its token limit was reached.
    Length,
    /// It waits for tools.
    Tools,
    /// It, or a filter of the provider, refused.
    Refused,
}

/// A request as it leaves, without the key.
#[derive(Debug, Clone, PartialEq)]
pub struct WireRequest {
    /// The whole address.
    pub url: String,
    /// Headers of the format; those of the configuration come on top.
    pub headers: Vec<(&'static str, String)>,
    /// How the provider wants its key.
    pub auth: Auth,
    /// JSON.
    pub body: Vec<u8>,
}

/// How a provider wants its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `x-api-key: …`
    ApiKey,
    /// `authorization: Bearer …`
    Bearer,
}

/// A wire format. One codec serves one call.
pub trait WireCodec: Send {
    /// The request.
    fn request(&self, ask: &Ask<'_>) -> WireRequest;
    /// Takes bytes of a 200 answer as they were read.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<Ev>);
    /// The body ended. Emits [`Ev::End`] or [`Ev::Fail`] unless one was emitted before.
    fn finish(&mut self, out: &mut Vec<Ev>);
}

/// Where the events of an answer go.
pub trait Sink: Sync {
    /// Hands over a batch; false when nobody wants to hear any more.
    fn send(&self, events: Vec<Ev>) -> impl Future<Output = bool> + Send;
}

/// The codec of an `api`, or a sentence on what exists.
pub fn codec(api: &str) -> Result<Box<dyn WireCodec>, ModelError> {
    match api {
        "anthropic-messages" => Ok(Box::new(anthropic::Messages::default())),
        "openai-completions" => Ok(Box::new(openai::Completions::default())),
        other => Err(ModelError::new(
            Class::Format,
            format!(
                "The api `{other}` is not known; use `anthropic-messages`, `openai-completions` or `demo`"
            ),
        )),
    }
}
