//! TOML text to the value tree.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fault::Fault;
use crate::node::{Key, MAX_DEPTH, Mark, Node, NodeKind};

/// Reads one TOML text.
///
/// # Errors
/// Every place at which the text is no TOML, or holds a date, which no key of the configuration takes.
pub(crate) fn read(text: &str, file: u32) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| Fault {
            mark: Mark { file, offset: error.span().map_or(0, |span| span.start) },
            path: None,
            what: format!("this is not TOML: {}", error.message()),
            fix: "correct the notation here or just before".into(),
        })
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let node = Node { mark: Mark { file, offset: 0 }, kind: entries(table.get_ref(), file, 0, &mut faults) };
    if faults.is_empty() { Ok(node) } else { Err(faults) }
}

fn entries(table: &DeTable<'_>, file: u32, depth: usize, faults: &mut Vec<Fault>) -> NodeKind {
    let mut entries: Vec<(Key, Node)> = table
        .iter()
        .map(|(key, value)| {
            let mark = Mark { file, offset: key.span().start };
            (Key { text: key.get_ref().to_string(), mark }, node(value, file, depth + 1, faults))
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.mark);
    NodeKind::Table(entries)
}

fn node(value: &Spanned<DeValue<'_>>, file: u32, depth: usize, faults: &mut Vec<Fault>) -> Node {
    let mark = Mark { file, offset: value.span().start };
    if depth > MAX_DEPTH {
        faults.push(Fault::too_deep(mark));
        return Node { mark, kind: NodeKind::Null };
    }
    let kind = match value.get_ref() {
        DeValue::String(text) => NodeKind::Text(text.to_string()),
        DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(value) => NodeKind::Integer(value),
            Err(_) => NodeKind::Float(f64::INFINITY),
        },
        DeValue::Float(float) => NodeKind::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => NodeKind::Bool(*value),
        DeValue::Array(items) => {
            NodeKind::List(items.iter().map(|item| node(item, file, depth + 1, faults)).collect())
        }
        DeValue::Table(table) => entries(table, file, depth, faults),
        DeValue::Datetime(_) => {
            faults.push(Fault {
                mark,
                path: None,
                what: "this is a date, and no key takes one".into(),
                fix: "put the value in quotes".into(),
            });
            NodeKind::Null
        }
    };
    Node { mark, kind }
}
