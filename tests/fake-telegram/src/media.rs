//! Parameters of a call, whichever way they come: JSON, a form, or parts with files.

use serde_json::{Map, Value};

use crate::http::{Call, decode};

/// A file of a multipart call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upload {
    pub(crate) field: String,
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) content: Vec<u8>,
}

/// Parameters by name, and files.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pub(crate) values: Map<String, Value>,
    pub(crate) uploads: Vec<Upload>,
}

impl Params {
    pub(crate) fn read(call: &Call) -> Result<Self, String> {
        let mut params = Self::default();
        params.form(&call.query);
        let kind = call.headers.get("content-type").map_or("", String::as_str);
        if kind.starts_with("application/json") && !call.body.is_empty() {
            match serde_json::from_slice(&call.body) {
                Ok(Value::Object(values)) => params.values.extend(values),
                _ => return Err("Bad Request: can't parse JSON object".to_owned()),
            }
        } else if kind.starts_with("application/x-www-form-urlencoded") {
            params.form(&String::from_utf8_lossy(&call.body));
        } else if let Some((_, boundary)) = kind.split_once("boundary=") {
            params.parts(&call.body, boundary.trim_matches('"'));
        }
        Ok(params)
    }

    fn form(&mut self, text: &str) {
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.values.insert(decode(name), decode(value).into());
        }
    }

    fn parts(&mut self, body: &[u8], boundary: &str) {
        let fence = format!("--{boundary}");
        let mut rest = body;
        while let Some(begin) = find(rest, fence.as_bytes()) {
            let after = &rest[begin + fence.len()..];
            let end = find(after, format!("\r\n{fence}").as_bytes()).unwrap_or(after.len());
            if let Some(split) = find(&after[..end], b"\r\n\r\n") {
                self.part(&String::from_utf8_lossy(&after[..split]), &after[split + 4..end]);
            }
            rest = &after[end..];
            if rest.is_empty() {
                break;
            }
        }
    }

    fn part(&mut self, head: &str, content: &[u8]) {
        let quoted = |name: &str| {
            let at = head.find(&format!("{name}=\""))? + name.len() + 2;
            head[at..].split('"').next().map(str::to_owned)
        };
        let Some(field) = quoted("; name").or_else(|| quoted(" name")) else { return };
        match quoted("filename") {
            Some(name) => {
                let mime = head.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-type:").map(str::to_owned)
                });
                let mime = mime.unwrap_or_default().trim().to_owned();
                self.uploads.push(Upload { field, name, mime, content: content.to_vec() });
            }
            None => {
                self.values.insert(field, String::from_utf8_lossy(content).into_owned().into());
            }
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.values.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// A parameter that is an object or list; in forms it is JSON in a text.
    pub(crate) fn json(&self, name: &str) -> Option<Value> {
        match self.values.get(name)? {
            Value::String(text) => serde_json::from_str(text).ok(),
            other => Some(other.clone()),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
