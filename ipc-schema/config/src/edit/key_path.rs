//! A key path as the operator writes it.

use super::EditError;
use crate::node::Step;

/// Reads a key path: `agents.list[0].id`, keys with dots in double quotes.
///
/// # Errors
/// What is wrong with it.
pub fn parse_path(text: &str) -> Result<Vec<Step>, EditError> {
    let wrong = |why| EditError::Path { path: text.to_owned(), why };
    let mut steps = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (index, after) = inside.split_once(']').ok_or_else(|| wrong("a [ is not closed"))?;
            steps.push(Step::Index(
                index.trim().parse().map_err(|_| wrong("between [ and ] stands no number"))?,
            ));
            rest = after;
        } else {
            let (key, after) = match rest.strip_prefix('"') {
                Some(inside) => inside.split_once('"').ok_or_else(|| wrong("a quote is not closed"))?,
                None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
            };
            if key.is_empty() {
                return Err(wrong("a key is empty"));
            }
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('.') {
            if after.is_empty() {
                return Err(wrong("it ends with a dot"));
            }
            rest = after;
        } else if !rest.is_empty() && !rest.starts_with('[') {
            return Err(wrong("after a quote or ] comes a dot"));
        }
    }
    Ok(steps)
}
