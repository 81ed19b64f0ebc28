//! `${VAR}` in text values.

use crate::Env;
use crate::fault::{Fault, MAX_COMPLAINTS, did_you_mean};
use crate::node::{Node, NodeKind};

/// Replaces every `${VAR}` by the variable's value; `$${VAR}` stands for the characters `${VAR}` themselves.
/// A name is `[A-Z_][A-Z0-9_]*`; anything else after `${` is left as it is.
pub(crate) fn substitute(node: &mut Node, env: &Env, faults: &mut Vec<Fault>) {
    match &mut node.kind {
        NodeKind::Text(text) if text.contains("${") => match expand(text, env) {
            Ok(expanded) => *text = expanded,
            Err(missing) => {
                for name in missing {
                    let known = env.keys().map(String::as_str).filter(|_| faults.len() < MAX_COMPLAINTS);
                    let fix = format!("set {name}, or write $${{{name}}} for the characters themselves")
                        + &did_you_mean(&name, known);
                    let what = format!("the environment variable {name} is missing or empty");
                    faults.push(Fault { mark: node.mark, path: None, what, fix });
                }
            }
        },
        NodeKind::List(items) => items.iter_mut().for_each(|item| substitute(item, env, faults)),
        NodeKind::Table(entries) => entries.iter_mut().for_each(|(_, value)| substitute(value, env, faults)),
        _ => {}
    }
}

fn expand(text: &str, env: &Env) -> Result<String, Vec<String>> {
    let mut out = String::with_capacity(text.len());
    let mut missing = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        if let Some(name) = rest.strip_prefix("$").and_then(name_in_braces) {
            // "$" + "${NAME}"
            out.push_str("${");
            out.push_str(name);
            out.push('}');
            rest = &rest[name.len() + 4..];
        } else if let Some(name) = name_in_braces(rest) {
            match env.get(name).filter(|value| !value.is_empty()) {
                Some(value) => out.push_str(value),
                None => missing.push(name.to_owned()),
            }
            rest = &rest[name.len() + 3..];
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    if missing.is_empty() { Ok(out) } else { Err(missing) }
}

/// The name in a leading `${NAME}`.
fn name_in_braces(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("${")?.split_once('}')?;
    let mut bytes = name.bytes();
    let first = bytes.next()?;
    let shaped = (first.is_ascii_uppercase() || first == b'_')
        && bytes.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    shaped.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Env {
        [("TOKEN", "t0p"), ("EMPTY", ""), ("_A1", "x")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn names_are_replaced_and_escapes_kept() {
        let cases = [
            ("${TOKEN}", "t0p"),
            ("a${TOKEN}b${_A1}", "at0pbx"),
            ("$${TOKEN}", "${TOKEN}"),
            ("$$${TOKEN}", "$${TOKEN}"),
            ("${lower} ${} ${", "${lower} ${} ${"),
            ("$TOKEN costs 5$", "$TOKEN costs 5$"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &env()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn every_missing_name_is_reported() {
        assert_eq!(expand("${NOPE}${EMPTY}", &env()).unwrap_err(), ["NOPE", "EMPTY"]);
    }
}
