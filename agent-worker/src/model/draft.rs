//! An answer while it is being written.

use creel_ipc::msg::transcript::{Block, StopReason, Usage};
use serde_json::{Map, Value};

use super::{Class, Ev, ModelError, Opening, Stop};

/// Marks the signature of a thinking block that only the provider can read.
pub const REDACTED: &str = "redacted:";

/// Blocks of one answer beyond which a provider is not believed.
const MAX_BLOCKS: usize = 256;

#[derive(Debug)]
struct Building {
    at: u32,
    opening: Opening,
    text: String,
    signature: String,
    closed: bool,
}

/// An answer while it is being written.
#[derive(Debug, Default)]
pub struct Draft {
    blocks: Vec<Building>,
    usage: Usage,
    stop: Option<Stop>,
    bytes: usize,
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Text, thinking and tool calls, in order.
    pub content: Vec<Block>,
    /// Tokens.
    pub usage: Usage,
    /// Why the model stopped.
    pub stop: StopReason,
}

impl Draft {
    /// Takes one event. Events that end the answer change nothing here.
    pub fn take(&mut self, event: &Ev) {
        match event {
            Ev::Open { at, block } => {
                if self.blocks.len() < MAX_BLOCKS {
                    self.open(*at, block.clone());
                }
            }
            Ev::Text { at, text } => self.extend(*at, text, || Opening::Text),
            Ev::Thinking { at, text } => self.extend(*at, text, || Opening::Thinking),
            Ev::Args { at, text } => {
                // Arguments of a block that was never opened have no name to call: they are dropped.
                if let Some(block) = self.find(*at) {
                    block.text.push_str(text);
                    self.bytes += text.len();
                }
            }
            Ev::Signature { at, text } => {
                if let Some(block) = self.find(*at) {
                    block.signature.push_str(text);
                    self.bytes += text.len();
                }
            }
            Ev::Close { at } => {
                if let Some(block) = self.find(*at) {
                    block.closed = true;
                }
            }
            Ev::Usage(usage) => self.usage = *usage,
            Ev::Stop(stop) => self.stop = Some(*stop),
            Ev::Alive | Ev::End | Ev::Fail(_) => {}
        }
    }

    /// Bytes of everything in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is text that somebody may have seen.
    pub fn has_text(&self) -> bool {
        self.blocks.iter().any(|block| block.opening == Opening::Text && !block.text.is_empty())
    }

    /// Cuts the answer off: what is complete counts, as when the model reached its limit.
    pub fn cut(&mut self) {
        self.stop = Some(Stop::Length);
    }

    /// What can be kept of an answer that ends before its end: text only.
    pub fn partial(self) -> (Vec<Block>, Usage) {
        let texts = self.blocks.into_iter().filter(|b| b.opening == Opening::Text && !b.text.is_empty());
        (texts.map(|block| Block::Text { text: block.text }).collect(), self.usage)
    }

    /// The finished answer.
    ///
    /// # Errors
    /// [`Class::Refusal`] when the model refused without a word, [`Class::Format`] when there is nothing at all.
    pub fn finish(self) -> Result<Answer, ModelError> {
        let length = self.stop == Some(Stop::Length);
        let content: Vec<Block> = self.blocks.into_iter().filter_map(|b| b.finish(length)).collect();
        let calls = content.iter().any(|block| matches!(block, Block::ToolCall { .. }));
        let said =
            calls || content.iter().any(|b| matches!(b, Block::Text { text } if !text.trim().is_empty()));
        let stop = match self.stop {
            _ if calls => StopReason::ToolUse,
            Some(Stop::Refused) if !said => {
                return Err(ModelError::new(
                    Class::Refusal,
                    "It refused to answer, for its own or its provider's rules",
                ));
            }
            Some(Stop::Length) if !said => {
                return Err(ModelError::new(
                    Class::Format,
                    "Its answer reached the token limit before it said anything; raise `maxTokens` or lower `thinking`",
                ));
            }
            Some(Stop::Length) => StopReason::Length,
            _ => StopReason::Stop,
        };
        Ok(Answer { content, usage: self.usage, stop })
    }

    fn open(&mut self, at: u32, opening: Opening) {
        if let Opening::Redacted { data } = &opening {
            self.bytes += data.len();
        }
        self.blocks.push(Building {
            at,
            opening,
            text: String::new(),
            signature: String::new(),
            closed: false,
        });
    }

    /// The newest block of that number: a sloppy provider may use one twice.
    fn find(&mut self, at: u32) -> Option<&mut Building> {
        self.blocks.iter_mut().rev().find(|block| block.at == at)
    }

    fn extend(&mut self, at: u32, text: &str, opening: impl Fn() -> Opening) {
        if self.find(at).is_none_or(|block| block.opening != opening()) {
            if self.blocks.len() >= MAX_BLOCKS {
                return;
            }
            self.open(at, opening());
        }
        if let Some(block) = self.find(at) {
            block.text.push_str(text);
            self.bytes += text.len();
        }
    }
}

impl Building {
    fn finish(self, length: bool) -> Option<Block> {
        match self.opening {
            Opening::Text => (!self.text.is_empty()).then_some(Block::Text { text: self.text }),
            Opening::Thinking => {
                let thinking_signature = (!self.signature.is_empty()).then_some(self.signature);
                let empty = self.text.is_empty() && thinking_signature.is_none();
                (!empty).then_some(Block::Thinking { thinking: self.text, thinking_signature })
            }
            Opening::Redacted { data } => Some(Block::Thinking {
                thinking: String::new(),
                thinking_signature: Some(format!("{REDACTED}{data}")),
            }),
            Opening::Tool { id, name } => {
                let arguments = arguments(&self.text);
                // A call that the token limit cut in two must not run.
                if length && (!self.closed || !arguments.is_object()) {
                    return None;
                }
                Some(Block::ToolCall { id, name, arguments })
            }
        }
    }
}

/// The arguments; text that is no JSON stays text, so that the tool can tell the model.
fn arguments(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Object(Map::new());
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(id: &str) -> Opening {
        Opening::Tool { id: id.to_owned(), name: "exec".to_owned() }
    }

    fn drafted(events: &[Ev]) -> Draft {
        let mut draft = Draft::default();
        events.iter().for_each(|event| draft.take(event));
        draft
    }

    #[test]
    fn pieces_of_arguments_are_joined_and_none_means_an_empty_object() {
        let answer = drafted(&[
            Ev::Open { at: 0, block: tool("a") },
            Ev::Args { at: 0, text: "{\"command\":".to_owned() },
            Ev::Args { at: 0, text: "\"ls\"}".to_owned() },
            Ev::Close { at: 0 },
            Ev::Open { at: 1, block: tool("b") },
            Ev::Stop(Stop::Done),
        ])
        .finish()
        .unwrap();
        assert_eq!(answer.stop, StopReason::ToolUse);
        let arguments: Vec<_> = answer
            .content
            .iter()
            .map(|block| match block {
                Block::ToolCall { arguments, .. } => arguments.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(arguments, [json!({"command": "ls"}), json!({})]);
    }

    #[test]
    fn a_call_that_the_limit_cut_does_not_run() {
        let answer = drafted(&[
            Ev::Text { at: 0, text: "I will".to_owned() },
            Ev::Open { at: 1, block: tool("a") },
            Ev::Args { at: 1, text: "{\"command\":\"rm -rf a".to_owned() },
            Ev::Stop(Stop::Length),
        ])
        .finish()
        .unwrap();
        assert_eq!(
            (answer.stop, answer.content.as_slice()),
            (StopReason::Length, &[Block::text("I will")][..])
        );
    }

    #[test]
    fn a_refusal_without_words_is_an_error_and_one_with_words_an_answer() {
        let error = drafted(&[Ev::Stop(Stop::Refused)]).finish().unwrap_err();
        assert_eq!(error.class, Class::Refusal);
        let said = drafted(&[Ev::Text { at: 0, text: "No.".to_owned() }, Ev::Stop(Stop::Refused)]);
        assert_eq!(said.finish().unwrap().stop, StopReason::Stop);
    }
}
