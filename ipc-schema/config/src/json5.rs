//! JSON5 text to the value tree.

use std::collections::HashSet;

use jsonc_parser::ast::{ObjectPropName, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::fault::Fault;
use crate::node::{Key, MAX_DEPTH, Mark, Node, NodeKind};

/// The notation: all of JSON5, but no missing commas.
pub(crate) fn options() -> ParseOptions {
    ParseOptions { allow_missing_commas: false, ..ParseOptions::default() }
}

/// Reads one JSON5 text. An empty text, or one with nothing but comments, is an empty table.
///
/// # Errors
/// The first place at which the text is no JSON5, or every key that stands twice in one table.
pub(crate) fn read(text: &str, file: u32) -> Result<Node, Vec<Fault>> {
    let (text, skipped) = match text.strip_prefix('\u{feff}') {
        Some(rest) => (rest, '\u{feff}'.len_utf8()),
        None => (text, 0),
    };
    let mut reader = Reader { file, skipped, faults: Vec::new() };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options()).map_err(|error| {
        let kind = error.kind().to_string();
        let mut sentence = kind.chars();
        let what = sentence
            .next()
            .map_or(String::new(), |c| c.to_lowercase().collect::<String>() + sentence.as_str());
        vec![Fault {
            mark: reader.mark(error.range().start),
            path: None,
            what: format!("this is not JSON5: {what}"),
            fix: "correct the notation here or just before".into(),
        }]
    })?;
    let node = parsed.value.map_or_else(
        || Node { mark: Mark { file, offset: 0 }, kind: NodeKind::Table(Vec::new()) },
        |value| reader.node(&value, 0),
    );
    if reader.faults.is_empty() { Ok(node) } else { Err(reader.faults) }
}

struct Reader {
    file: u32,
    skipped: usize,
    faults: Vec<Fault>,
}

impl Reader {
    fn mark(&self, offset: usize) -> Mark {
        Mark { file: self.file, offset: offset + self.skipped }
    }

    fn node(&mut self, value: &Value<'_>, depth: usize) -> Node {
        if depth > MAX_DEPTH {
            let mark = self.mark(value.range().start);
            self.faults.push(Fault::too_deep(mark));
            return Node { mark, kind: NodeKind::Null };
        }
        let kind = match value {
            Value::NullKeyword(_) => NodeKind::Null,
            Value::BooleanLit(lit) => NodeKind::Bool(lit.value),
            Value::StringLit(lit) => NodeKind::Text(lit.value.clone().into_owned()),
            Value::NumberLit(lit) => number(lit.value),
            Value::Array(array) => {
                NodeKind::List(array.elements.iter().map(|v| self.node(v, depth + 1)).collect())
            }
            Value::Object(object) => {
                let mut entries: Vec<(Key, Node)> = Vec::with_capacity(object.properties.len());
                let mut seen = HashSet::with_capacity(object.properties.len());
                for property in &object.properties {
                    let text = match &property.name {
                        ObjectPropName::String(lit) => lit.value.clone().into_owned(),
                        ObjectPropName::Word(lit) => lit.value.to_owned(),
                    };
                    let key = Key { text, mark: self.mark(property.name.range().start) };
                    if !seen.insert(key.text.clone()) {
                        self.faults.push(Fault {
                            mark: key.mark,
                            path: None,
                            what: format!("the key \"{}\" is given twice in the same table", key.text),
                            fix: "keep one of the two".into(),
                        });
                    }
                    let value = self.node(&property.value, depth + 1);
                    entries.push((key, value));
                }
                NodeKind::Table(entries)
            }
        };
        Node { mark: self.mark(value.range().start), kind }
    }
}

/// JSON5 numbers: a sign, hexadecimal digits, bare points, `Infinity` and `NaN`.
fn number(text: &str) -> NodeKind {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let sign = |value: f64| if negative { -value } else { value };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return match i128::from_str_radix(hex, 16) {
            Ok(value) => NodeKind::Integer(if negative { -value } else { value }),
            Err(_) => NodeKind::Float(sign(f64::INFINITY)),
        };
    }
    if digits.bytes().all(|b| b.is_ascii_digit())
        && !(negative && digits.bytes().all(|b| b == b'0'))
        && let Ok(value) = digits.parse::<i128>()
    {
        return NodeKind::Integer(if negative { -value } else { value });
    }
    match digits {
        "Infinity" => NodeKind::Float(sign(f64::INFINITY)),
        "NaN" => NodeKind::Float(f64::NAN),
        _ => NodeKind::Float(sign(digits.parse().unwrap_or(f64::NAN))),
    }
}
