//! The shapes of parameters, checked before a method sees them. The wording is that of the JSON Schema
//! validator that OpenClaw's clients know.

use serde_json::{Map, Value};

/// An object's members.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Known members.
    pub(crate) fields: &'static [Field],
    /// Whether unknown members are ignored instead of refused.
    pub(crate) open: bool,
}

/// A member.
#[derive(Debug)]
pub(crate) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

/// What a member may be.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Anything.
    Any,
    /// A string of so many characters.
    Text(usize, usize),
    /// `true` or `false`.
    Bool,
    /// An integer within bounds.
    Int(i64, i64),
    /// One of some words.
    Word(&'static [&'static str]),
    /// Strings.
    Texts,
    /// Any values.
    List,
    /// An object.
    Object(&'static Shape),
    /// What is wrapped, or `null`.
    Nullable(&'static Kind),
}

/// A string that is not empty.
pub(crate) const NAME: Kind = Kind::Text(1, usize::MAX);
/// Any string.
pub(crate) const TEXT: Kind = Kind::Text(0, usize::MAX);
/// A count from 0.
pub(crate) const COUNT: Kind = Kind::Int(0, i64::MAX);

/// No members.
pub(crate) const NOTHING: Shape = Shape { fields: &[], open: false };

/// A member that must be there.
pub(crate) const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

/// A member that may be there.
pub(crate) const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// All complaints about `value`, joined; `None` when it fits.
pub(crate) fn complaint(shape: &Shape, value: &Value) -> Option<String> {
    let mut found = Vec::new();
    object(shape, value, "", &mut found);
    found.dedup();
    (!found.is_empty()).then(|| found.join("; "))
}

fn object(shape: &Shape, value: &Value, path: &str, found: &mut Vec<String>) {
    let Value::Object(members) = value else {
        found.push(format!("{}must be object", at(path)));
        return;
    };
    missing(shape, members, path, found);
    if !shape.open {
        unexpected(shape, members, path, found);
    }
    for field in shape.fields {
        if let Some(value) = members.get(field.name) {
            check(&field.kind, value, &format!("{path}/{}", field.name), found);
        }
    }
}

fn missing(shape: &Shape, members: &Map<String, Value>, path: &str, found: &mut Vec<String>) {
    for field in shape.fields.iter().filter(|field| field.required && !members.contains_key(field.name)) {
        found.push(format!("{}must have required property '{}'", at(path), field.name));
    }
}

fn unexpected(shape: &Shape, members: &Map<String, Value>, path: &str, found: &mut Vec<String>) {
    let place = if path.is_empty() { "root" } else { path };
    for key in members.keys().filter(|key| !shape.fields.iter().any(|field| field.name == *key)) {
        let shown: String = key.chars().take(64).collect();
        found.push(format!("at {place}: unexpected property '{shown}'"));
        if found.len() >= 8 {
            return;
        }
    }
}

fn check(kind: &Kind, value: &Value, path: &str, found: &mut Vec<String>) {
    let mut say = |words: String| found.push(format!("{}{words}", at(path)));
    match kind {
        Kind::Any => {}
        Kind::Text(least, most) => match value.as_str().map(|text| text.chars().count()) {
            None => say("must be string".to_owned()),
            Some(length) if length < *least => {
                say(format!("must NOT have fewer than {least} characters"));
            }
            Some(length) if length > *most => say(format!("must NOT have more than {most} characters")),
            Some(_) => {}
        },
        Kind::Bool if !value.is_boolean() => say("must be boolean".to_owned()),
        Kind::Bool => {}
        Kind::Int(least, most) => match value.as_i64() {
            None => say("must be integer".to_owned()),
            Some(number) if number < *least => say(format!("must be >= {least}")),
            Some(number) if number > *most => say(format!("must be <= {most}")),
            Some(_) => {}
        },
        Kind::Word(words) if !value.as_str().is_some_and(|word| words.contains(&word)) => {
            say("must be equal to one of the allowed values".to_owned());
        }
        Kind::Word(_) => {}
        Kind::List | Kind::Texts if !value.is_array() => say("must be array".to_owned()),
        Kind::List => {}
        Kind::Texts => {
            let wrong = value.as_array().into_iter().flatten().position(|item| !item.is_string());
            if let Some(index) = wrong {
                found.push(format!("at {path}/{index}: must be string"));
            }
        }
        Kind::Object(shape) => object(shape, value, path, found),
        Kind::Nullable(_) if value.is_null() => {}
        Kind::Nullable(kind) => check(kind, value, path, found),
    }
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("at {path}: ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PATCH: Shape = Shape {
        fields: &[must("key", NAME), may("limit", Kind::Int(1, 1000)), may("mode", Kind::Word(&["a", "b"]))],
        open: false,
    };

    #[test]
    fn the_wording_is_the_recorded_one() {
        let said = complaint(&PATCH, &json!({"bogus": 1})).unwrap();
        assert_eq!(said, "must have required property 'key'; at root: unexpected property 'bogus'");
        assert_eq!(complaint(&PATCH, &json!([])).unwrap(), "must be object");
        assert_eq!(
            complaint(&PATCH, &json!({"key": "", "limit": 0, "mode": "c"})).unwrap(),
            "at /key: must NOT have fewer than 1 characters; at /limit: must be >= 1; \
             at /mode: must be equal to one of the allowed values"
        );
        assert_eq!(
            complaint(&PATCH, &json!({"key": "k", "limit": 1.5})).unwrap(),
            "at /limit: must be integer"
        );
        assert_eq!(complaint(&PATCH, &json!({"key": "k", "limit": 1000, "mode": "b"})), None);
    }
}
