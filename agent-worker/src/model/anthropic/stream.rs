//! Reading the events of a Messages answer.

use creel_ipc::msg::transcript::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::model::error::of_event;
use crate::model::{Class, Ev, ModelError, Opening, Stop};

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: u32,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u32,
        delta: Delta,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: Ending,
        #[serde(default)]
        usage: Option<Tokens>,
    },
    MessageStop,
    Ping,
    Error {
        error: Value,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Deserialize)]
struct Start {
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
        #[serde(default)]
        signature: String,
    },
    RedactedThinking {
        data: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names are those of the wire")]
enum Delta {
    TextDelta {
        text: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    ThinkingDelta {
        thinking: String,
    },
    SignatureDelta {
        signature: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Deserialize)]
struct Ending {
    #[serde(default)]
    stop_reason: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

/// What the answer told so far.
#[derive(Debug, Default)]
pub(super) struct Stream {
    usage: Usage,
    stopped: bool,
    over: bool,
}

impl Stream {
    /// Takes one server-sent event.
    pub(super) fn event(&mut self, _name: &[u8], data: &[u8], out: &mut Vec<Ev>) {
        if self.over {
            return;
        }
        match serde_json::from_slice::<Event>(data) {
            Ok(event) => self.take(event, out),
            Err(error) => self.fail(
                ModelError::new(
                    Class::ServerError,
                    format!("An event of its answer cannot be read: {error}"),
                ),
                out,
            ),
        }
    }

    /// The body ended.
    pub(super) fn finish(&mut self, out: &mut Vec<Ev>) {
        if self.over {
            return;
        }
        // Some servers leave the very last event out.
        if self.stopped {
            self.over = true;
            out.push(Ev::End);
        } else {
            let message = "Its answer ended in the middle";
            self.fail(ModelError::new(Class::ServerError, message), out);
        }
    }

    /// An event was longer than any honest one.
    pub(super) fn fail_overflow(&mut self, out: &mut Vec<Ev>) {
        if !self.over {
            self.fail(ModelError::new(Class::Format, "One event of its answer is too long"), out);
        }
    }

    fn fail(&mut self, error: ModelError, out: &mut Vec<Ev>) {
        self.over = true;
        out.push(Ev::Fail(error));
    }

    fn take(&mut self, event: Event, out: &mut Vec<Ev>) {
        match event {
            Event::MessageStart { message } => self.count(message.usage, out),
            Event::ContentBlockStart { index: at, content_block } => open(at, content_block, out),
            Event::ContentBlockDelta { index: at, delta } => out.push(match delta {
                Delta::TextDelta { text } => Ev::Text { at, text },
                Delta::InputJsonDelta { partial_json } => Ev::Args { at, text: partial_json },
                Delta::ThinkingDelta { thinking } => Ev::Thinking { at, text: thinking },
                Delta::SignatureDelta { signature } => Ev::Signature { at, text: signature },
                Delta::Unknown => Ev::Alive,
            }),
            Event::ContentBlockStop { index: at } => out.push(Ev::Close { at }),
            Event::MessageDelta { delta, usage } => {
                self.count(usage, out);
                if let Some(reason) = delta.stop_reason {
                    self.stopped = true;
                    out.push(Ev::Stop(stop(&reason)));
                }
            }
            Event::MessageStop => {
                self.over = true;
                out.push(Ev::End);
            }
            Event::Error { error } => self.fail(of_event(&error), out),
            Event::Ping | Event::Unknown => out.push(Ev::Alive),
        }
    }

    /// Numbers are cumulative, and a later event repeats only some of them.
    fn count(&mut self, tokens: Option<Tokens>, out: &mut Vec<Ev>) {
        let Some(tokens) = tokens else { return };
        let usage = &mut self.usage;
        for (have, told) in [
            (&mut usage.input, tokens.input_tokens),
            (&mut usage.output, tokens.output_tokens),
            (&mut usage.cache_read, tokens.cache_read_input_tokens),
            (&mut usage.cache_write, tokens.cache_creation_input_tokens),
        ] {
            if let Some(told) = told {
                *have = told;
            }
        }
        out.push(Ev::Usage(self.usage));
    }
}

fn open(at: u32, block: Block, out: &mut Vec<Ev>) {
    let (opening, first) = match block {
        Block::Text { text } => (Opening::Text, (!text.is_empty()).then_some(Ev::Text { at, text })),
        Block::Thinking { thinking, signature } => {
            out.push(Ev::Open { at, block: Opening::Thinking });
            if !thinking.is_empty() {
                out.push(Ev::Thinking { at, text: thinking });
            }
            if !signature.is_empty() {
                out.push(Ev::Signature { at, text: signature });
            }
            return;
        }
        Block::RedactedThinking { data } => (Opening::Redacted { data }, None),
        Block::ToolUse { id, name, input } => {
            // Nearly always empty: the arguments follow in pieces.
            let given = input.as_object().is_some_and(|object| !object.is_empty());
            (Opening::Tool { id, name }, given.then(|| Ev::Args { at, text: input.to_string() }))
        }
        Block::Unknown => return out.push(Ev::Alive),
    };
    out.push(Ev::Open { at, block: opening });
    out.extend(first);
}

fn stop(reason: &str) -> Stop {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::Tools,
        "refusal" | "sensitive" => Stop::Refused,
        _ => Stop::Done,
    }
}
