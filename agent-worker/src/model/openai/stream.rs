//! Reading the chunks of a chat completion.

use creel_ipc::msg::transcript::Usage;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::model::error::of_event;
use crate::model::{Class, Ev, ModelError, Opening, Stop};

/// Blocks of text and thinking have fixed numbers; a tool call has its index plus this.
const TEXT: u32 = 0;
const THINKING: u32 = 1;
const TOOLS: u32 = 2;

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default, deserialize_with = "or_default")]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default, deserialize_with = "or_default")]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
    /// Some servers tell the tokens here.
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<Value>,
    reasoning_text: Option<String>,
    #[serde(deserialize_with = "or_default")]
    tool_calls: Vec<Piece>,
}

#[derive(Debug, Deserialize)]
struct Piece {
    index: Option<u32>,
    id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    function: Function,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Function {
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

/// `null` is as good as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// What the answer told so far.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Index and id of each call.
    calls: Vec<(u32, String)>,
    anything: bool,
    stopped: bool,
    over: bool,
}

impl Stream {
    /// Takes the data of one server-sent event.
    pub(super) fn chunk(&mut self, data: &[u8], out: &mut Vec<Ev>) {
        if self.over {
            return;
        }
        if data.trim_ascii() == b"[DONE]" {
            return self.end(out);
        }
        match serde_json::from_slice::<Chunk>(data) {
            Ok(Chunk { error: Some(error), .. }) if !error.is_null() => self.fail(of_event(&error), out),
            Ok(chunk) => self.take(chunk, out),
            Err(error) => {
                let message = format!("A chunk of its answer cannot be read: {error}");
                self.fail(ModelError::new(Class::ServerError, message), out);
            }
        }
    }

    /// The body ended.
    pub(super) fn finish(&mut self, out: &mut Vec<Ev>) {
        if self.over {
            return;
        }
        if self.stopped {
            return self.end(out);
        }
        self.fail(ModelError::new(Class::ServerError, "Its answer ended in the middle"), out);
    }

    /// A chunk was longer than any honest one.
    pub(super) fn fail_overflow(&mut self, out: &mut Vec<Ev>) {
        if !self.over {
            self.fail(ModelError::new(Class::Format, "One chunk of its answer is too long"), out);
        }
    }

    fn end(&mut self, out: &mut Vec<Ev>) {
        if !self.anything && !self.stopped {
            return self.fail(ModelError::new(Class::ServerError, "Its answer is empty"), out);
        }
        self.over = true;
        out.extend((0..self.calls.len() as u32).map(|n| Ev::Close { at: TOOLS + n }));
        out.push(Ev::End);
    }

    fn fail(&mut self, error: ModelError, out: &mut Vec<Ev>) {
        self.over = true;
        out.push(Ev::Fail(error));
    }

    fn take(&mut self, chunk: Chunk, out: &mut Vec<Ev>) {
        let before = out.len();
        let mut tokens = chunk.usage;
        // More than one choice was never asked for.
        if let Some(choice) = chunk.choices.into_iter().next() {
            tokens = tokens.or(choice.usage);
            self.delta(choice.delta, out);
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                match stop(&reason) {
                    Some(stop) => {
                        self.stopped = true;
                        out.push(Ev::Stop(stop));
                    }
                    None => {
                        let message = format!("The provider ended the answer with `{reason}`");
                        return self.fail(ModelError::new(Class::ServerError, message), out);
                    }
                }
            }
        }
        if let Some(tokens) = tokens {
            out.push(Ev::Usage(usage(tokens)));
        }
        if out.len() == before {
            out.push(Ev::Alive);
        }
    }

    fn delta(&mut self, delta: Delta, out: &mut Vec<Ev>) {
        let reasoning = match delta.reasoning {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        // Some servers send the same piece under two names.
        let thinking = [delta.reasoning_content, reasoning, delta.reasoning_text];
        if let Some(text) = thinking.into_iter().flatten().find(|text| !text.is_empty()) {
            out.push(Ev::Thinking { at: THINKING, text });
        }
        for text in [delta.content, delta.refusal].into_iter().flatten().filter(|text| !text.is_empty()) {
            self.anything = true;
            out.push(Ev::Text { at: TEXT, text });
        }
        for piece in delta.tool_calls {
            self.call(piece, out);
        }
    }

    fn call(&mut self, piece: Piece, out: &mut Vec<Ev>) {
        let id = piece.id.filter(|id| !id.is_empty());
        let known = match piece.index {
            Some(index) => self.calls.iter().rposition(|(at, _)| *at == index),
            // Servers that leave the index out send one call after the other.
            None if id.is_none() => self.calls.len().checked_sub(1),
            None => self.calls.iter().position(|(_, known)| Some(known) == id.as_ref()),
        };
        // The same index with another id is another call at servers that count wrongly.
        let known = known.filter(|&n| id.as_ref().is_none_or(|id| self.calls[n].1 == *id));
        let n = match (known, piece.function.name.filter(|name| !name.is_empty())) {
            (Some(n), _) => n,
            (None, Some(name)) => {
                let n = self.calls.len();
                let id = id.unwrap_or_else(|| format!("call_{n}"));
                self.calls.push((piece.index.unwrap_or(n as u32), id.clone()));
                self.anything = true;
                out.push(Ev::Open { at: TOOLS + n as u32, block: Opening::Tool { id, name } });
                n
            }
            (None, None) => return,
        };
        let text = match piece.function.arguments {
            Some(Value::String(text)) => text,
            // Some servers send the object itself, whole.
            Some(object @ Value::Object(_)) => object.to_string(),
            _ => return,
        };
        if !text.is_empty() {
            out.push(Ev::Args { at: TOOLS + n as u32, text });
        }
    }
}

fn usage(tokens: Tokens) -> Usage {
    let details = tokens.prompt_tokens_details.unwrap_or_default();
    let cache_read = details.cached_tokens.or(tokens.prompt_cache_hit_tokens).unwrap_or(0);
    let cache_write = details.cache_write_tokens.unwrap_or(0);
    let prompt = tokens.prompt_tokens.unwrap_or(0);
    Usage {
        input: prompt.saturating_sub(cache_read + cache_write),
        output: tokens.completion_tokens.unwrap_or(0),
        cache_read,
        cache_write,
    }
}

fn stop(reason: &str) -> Option<Stop> {
    match reason {
        "length" | "max_tokens" | "model_length" => Some(Stop::Length),
        "tool_calls" | "function_call" => Some(Stop::Tools),
        "content_filter" => Some(Stop::Refused),
        "error" | "network_error" => None,
        _ => Some(Stop::Done),
    }
}
