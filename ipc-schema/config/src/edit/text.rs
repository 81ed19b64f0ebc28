//! One key of a JSON5 text, changed in place.

use std::path::Path as FilePath;

use jsonc_parser::cst::{
    CstArray, CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode, ObjectPropName,
};
use serde_json::Value;

use super::{Edit, EditError, parse_path};
use crate::json5;
use crate::node::{Path, Step};

/// Changes one key of a JSON5 text and keeps its comments and its layout. Validates nothing.
///
/// # Errors
/// When the text is no JSON5, or something else stands in the way.
pub fn edit_text(text: &str, path: &str, edit: &Edit) -> Result<String, EditError> {
    let steps = parse_path(path)?;
    let Some((last, above)) = steps.split_last() else {
        return Err(EditError::Path { path: path.to_owned(), why: "it names no key" });
    };
    let (bom, body) = text.strip_prefix('\u{feff}').map_or(("", text), |body| ("\u{feff}", body));
    // The position of a fault is better in our own reader's words.
    crate::load::tree(text, FilePath::new("creel.json"))?;
    let wrong = |_| EditError::Path { path: path.to_owned(), why: "the file is no JSON5" };
    let root = CstRootNode::parse(body, &json5::options()).map_err(wrong)?;
    let occupied = |depth: usize, node: Option<&CstNode>| EditError::Occupied {
        path: Path(&steps).to_string(),
        parent: if depth == 0 { "the file".into() } else { Path(&steps[..depth]).to_string() },
        found: node.map_or("empty", describe),
    };
    let top = match (root.value(), edit) {
        (None, Edit::Unset) => return Ok(text.to_owned()),
        (None, Edit::Set(_)) => {
            root.set_value(CstInputValue::Object(Vec::new()));
            root.value()
        }
        (value, _) => value,
    };
    let mut here = top.ok_or_else(|| occupied(0, None))?;
    for (depth, step) in above.iter().enumerate() {
        let next = match (step, here.as_object(), here.as_array()) {
            (Step::Key(key), Some(object), _) => match object.get(key) {
                Some(property) => property.value(),
                None if *edit == Edit::Unset => return Ok(text.to_owned()),
                None => {
                    let empty = match steps[depth + 1] {
                        Step::Key(_) => CstInputValue::Object(Vec::new()),
                        Step::Index(_) => CstInputValue::Array(Vec::new()),
                    };
                    append(&object, key, empty).value()
                }
            },
            (Step::Index(index), _, Some(array)) => match array.elements().into_iter().nth(*index) {
                Some(node) => Some(node),
                None if *edit == Edit::Unset => return Ok(text.to_owned()),
                None if *index == array.elements().len() => {
                    Some(array.append(CstInputValue::Object(Vec::new())))
                }
                None => return Err(beyond(&steps, depth, &array)),
            },
            _ => return Err(occupied(depth, Some(&here))),
        };
        here = next.ok_or_else(|| occupied(depth + 1, None))?;
    }
    match (last, here.as_object(), here.as_array(), edit) {
        (Step::Key(key), Some(object), _, Edit::Set(value)) => match object.get(key) {
            Some(property) => property.set_value(input(value)),
            None => {
                append(&object, key, input(value));
            }
        },
        (Step::Key(key), Some(object), _, Edit::Unset) => {
            if let Some(property) = object.get(key) {
                property.remove();
            }
        }
        (Step::Index(index), _, Some(array), edit) => {
            let element = array.elements().into_iter().nth(*index);
            match (element, edit) {
                (Some(element), Edit::Unset) => element.remove(),
                (None, Edit::Unset) => {}
                // In place, because a comment behind the element is worth more than its indentation.
                (Some(element), Edit::Set(value)) => replace(element, input(value)),
                (None, Edit::Set(value)) if *index == array.elements().len() => {
                    array.append(input(value));
                }
                (None, Edit::Set(_)) => return Err(beyond(&steps, above.len(), &array)),
            }
        }
        _ => return Err(occupied(above.len(), Some(&here))),
    }
    Ok(format!("{bom}{root}"))
}

fn beyond(steps: &[Step], depth: usize, array: &CstArray) -> EditError {
    EditError::Unknown {
        path: Path(steps).to_string(),
        parent: Path(&steps[..depth]).to_string(),
        known: format!("a list of {}", array.elements().len()),
        hint: String::new(),
    }
}

/// Adds a key in the file's own style: without quotes where its neighbours have none and it needs none.
fn append(object: &CstObject, key: &str, value: CstInputValue) -> CstObjectProp {
    let bare = |property: &CstObjectProp| matches!(property.name(), Some(ObjectPropName::Word(_)));
    let neighbours = object.properties();
    let root_bare = object
        .root_node()
        .and_then(|root| root.object_value())
        .is_some_and(|top| top.properties().iter().any(bare));
    let style = if neighbours.is_empty() { root_bare } else { neighbours.iter().any(bare) };
    let property = object.append(key, value);
    let mut bytes = key.bytes();
    let word = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if let (true, true, Some(ObjectPropName::String(name))) = (style, word, property.name()) {
        name.set_raw_value(key.to_owned());
    }
    property
}

fn replace(element: CstNode, value: CstInputValue) {
    use jsonc_parser::cst::{CstContainerNode, CstLeafNode};
    let _new = match element {
        CstNode::Leaf(CstLeafNode::StringLit(node)) => node.replace_with(value),
        CstNode::Leaf(CstLeafNode::NumberLit(node)) => node.replace_with(value),
        CstNode::Leaf(CstLeafNode::BooleanLit(node)) => node.replace_with(value),
        CstNode::Leaf(CstLeafNode::NullKeyword(node)) => node.replace_with(value),
        CstNode::Leaf(CstLeafNode::WordLit(node)) => node.replace_with(value),
        CstNode::Container(CstContainerNode::Object(node)) => node.replace_with(value),
        CstNode::Container(CstContainerNode::Array(node)) => node.replace_with(value),
        _ => None,
    };
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(entries) => {
            CstInputValue::Object(entries.iter().map(|(key, value)| (key.clone(), input(value))).collect())
        }
    }
}

fn describe(node: &CstNode) -> &'static str {
    if node.as_object().is_some() {
        "a table"
    } else if node.as_array().is_some() {
        "a list"
    } else if node.as_string_lit().is_some() {
        "text"
    } else if node.as_number_lit().is_some() {
        "a number"
    } else {
        "a single value"
    }
}
