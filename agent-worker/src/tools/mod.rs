//! The tools: what the model is told of them, and what they do.
//!
//! A tool never fails in any other way than by telling the model a sentence: [`Outcome`] is what it reads.

use creel_ipc::msg::agent::{Decision, ToolPolicy};
use creel_ipc::msg::policy::EXEC;
use serde_json::{Value, json};

use crate::model::ToolSpec;

pub mod arguments;
pub mod edit;
pub mod exec;
pub mod process;
pub mod read;
pub mod truncate;
pub mod workspace;
pub mod write;

/// What the model gets to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Text.
    pub text: String,
    /// Whether the tool failed.
    pub is_error: bool,
}

impl Outcome {
    /// It worked.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: false }
    }

    /// It did not.
    pub fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true }
    }
}

/// What to do with a call that an earlier life began and whose end nobody heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUncertain {
    /// Doing it twice is the same as doing it once: do it again.
    Again,
    /// Doing it twice may do harm, and what became of it can be seen: look, and do what is left to do.
    Check,
    /// Doing it twice may do harm, and it is not always known what became of it: take what is known for its result, and
    /// where nobody knows, ask a person.
    Ask,
}

/// What a tool declares about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nature {
    /// After a crash.
    pub when_uncertain: WhenUncertain,
    /// Whether calls next to each other may run at the same time.
    pub parallel: bool,
}

/// The nature of a tool. One that does not exist only ever answers that it does not exist.
pub fn nature(name: &str) -> Nature {
    match name {
        "exec" => Nature { when_uncertain: WhenUncertain::Ask, parallel: false },
        "edit" => Nature { when_uncertain: WhenUncertain::Check, parallel: false },
        "write" => Nature { when_uncertain: WhenUncertain::Again, parallel: false },
        _ => Nature { when_uncertain: WhenUncertain::Again, parallel: true },
    }
}

/// What the model is told instead of running a call again whose result nobody kept.
pub fn outcome_unknown(name: &str, decision: Decision) -> String {
    let why = match decision {
        Decision::Skip | Decision::Stop => "because the person who was asked did not want it",
        Decision::Nobody => "because the person who was asked did not answer in time",
        Decision::Again | Decision::Unasked | Decision::Unknown => "because running it twice could do harm",
    };
    format!(
        "The outcome of this `{name}` call is unknown: Creel was interrupted after it had started, and it was not run \
         again {why}. Check what it did (look at the files it would have changed, \
         or run a command that only reads) before you decide to run it again."
    )
}

/// The tools that the policy offers.
pub fn offered(policy: &ToolPolicy) -> Vec<ToolSpec> {
    let mut offered: Vec<ToolSpec> = catalog().into_iter().filter(|tool| policy.allows(tool.name)).collect();
    if let Some(exec) = offered.iter_mut().find(|tool| tool.name == EXEC && policy.elevated) {
        exec.schema["properties"]["elevated"] = json!({
            "type": "boolean",
            "description": "Run it outside of the sandbox, on the host. Only when the people whom you answer ask for it; the \
                            operator lists who may."
        });
    }
    offered
}

fn catalog() -> Vec<ToolSpec> {
    vec![
        ToolSpec {
            name: "read",
            description: "Read a text file of the workspace. Shows at most 2000 lines or 50 KB from `offset` on; \
                          the end of the text says how to go on.",
            schema: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "Path in the workspace"},
                    "offset": {"type": "integer", "minimum": 1, "description": "First line, from 1"},
                    "limit": {"type": "integer", "minimum": 1, "description": "Number of lines"}
                },
                "required": ["path"],
                "additionalProperties": false
            }),
        },
        ToolSpec {
            name: "write",
            description: "Write a whole file of the workspace; replaces it if it exists and makes its folders.",
            schema: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "Path in the workspace"},
                    "content": {"type": "string", "description": "The whole text"}
                },
                "required": ["path", "content"],
                "additionalProperties": false
            }),
        },
        ToolSpec {
            name: "edit",
            description: "Replace exact text in a file of the workspace. Each `oldText` must occur exactly once and \
                          is matched against the file as it is before any of the edits.",
            schema: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "Path in the workspace"},
                    "edits": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "properties": {
                                "oldText": {"type": "string", "description": "Exact text, unique in the file"},
                                "newText": {"type": "string", "description": "What replaces it"}
                            },
                            "required": ["oldText", "newText"],
                            "additionalProperties": false
                        }
                    }
                },
                "required": ["path", "edits"],
                "additionalProperties": false
            }),
        },
        ToolSpec {
            name: "exec",
            description: "Run a shell command (`/bin/sh -c`) in the tool sandbox, in the workspace. It has no \
                          network. Shows the end of what it printed, and its exit code. With `background` or \
                          `yieldMs` it may run on; use `process` for it then.",
            schema: json!({
                "type": "object",
                "properties": {
                    "command": {"type": "string", "description": "The command line"},
                    "workdir": {"type": "string", "description": "Folder in the workspace"},
                    "timeout": {"type": "integer", "minimum": 1, "description": "Seconds it may take"},
                    "background": {"type": "boolean", "description": "Leave it running"},
                    "yieldMs": {"type": "integer", "minimum": 1, "description": "Leave it running after so many milliseconds"},
                    "pty": {"type": "boolean", "description": "Give it a terminal"}
                },
                "required": ["command"],
                "additionalProperties": false
            }),
        },
        ToolSpec {
            name: "process",
            description: "Look after commands that `exec` left running: list them, poll what is new of one, see its \
                          log, write to its input, end it.",
            schema: json!({
                "type": "object",
                "properties": {
                    "action": {"type": "string", "enum": ["list", "poll", "log", "write", "submit", "send-keys", "kill"]},
                    "sessionId": {"type": "string", "description": "Which one; not for list"},
                    "data": {"type": "string", "description": "What to write; submit adds a newline"},
                    "eof": {"type": "boolean", "description": "Close its input after that"},
                    "keys": {"type": "array", "items": {"type": "string"}, "description": "For a terminal: characters, Enter, C-c, Up, ..."},
                    "timeout": {"type": "integer", "minimum": 1, "description": "Milliseconds that poll waits for news"},
                    "offset": {"type": "integer", "minimum": 1, "description": "First line of log"},
                    "limit": {"type": "integer", "minimum": 1, "description": "Number of lines of log"}
                },
                "required": ["action"],
                "additionalProperties": false
            }),
        },
    ]
}

/// The arguments as an object, or the sentence for the model.
pub(crate) fn object<'a>(
    tool: &str,
    arguments: &'a Value,
) -> Result<&'a serde_json::Map<String, Value>, String> {
    match arguments {
        Value::Object(object) => Ok(object),
        Value::String(text) => {
            let why =
                serde_json::from_str::<Value>(text).err().map_or_else(String::new, |e| format!(" ({e})"));
            Err(format!(
                "The arguments of `{tool}` are not valid JSON{why}. Call it again with a JSON object."
            ))
        }
        _ => Err(format!("The arguments of `{tool}` must be a JSON object.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], deny: &[&str]) -> ToolPolicy {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ToolPolicy { allow: list(allow), deny: list(deny), exec_wall_ms: 0, elevated: false }
    }

    fn names(policy: &ToolPolicy) -> Vec<&'static str> {
        offered(policy).iter().map(|tool| tool.name).collect()
    }

    #[test]
    fn a_deny_wins_and_no_list_means_all() {
        assert_eq!(names(&policy(&[], &[])), ["read", "write", "edit", "exec", "process"]);
        assert_eq!(names(&policy(&["read", "exec"], &["exec"])), ["read"]);
        assert_eq!(names(&policy(&["group:fs"], &["write"])), ["read", "edit"]);
        assert_eq!(names(&policy(&["*"], &["*"])), [""; 0]);
        assert_eq!(
            names(&policy(&[], &["exec"])),
            ["read", "write", "edit"],
            "without commands there are none to look after"
        );
    }

    #[test]
    fn schemas_are_flat_objects() {
        for tool in catalog() {
            for key in ["anyOf", "oneOf", "allOf", "$ref"] {
                assert!(!tool.schema.to_string().contains(key), "{} has {key}", tool.name);
            }
            assert_eq!(tool.schema["type"], "object", "{}", tool.name);
        }
    }
}
