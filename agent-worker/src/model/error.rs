//! What went wrong with a model call, and what may be done about it.

use serde_json::Value;

use super::overflow::says_too_long;

/// Longest delay that a provider may ask for; beyond it the next model is tried.
pub const MAX_RETRY_AFTER_MS: u64 = 60_000;

/// Class of a failed model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The key is refused.
    Auth,
    /// The key may not do this, and a new attempt will not change it.
    AuthPermanent,
    /// The account has no money or no plan.
    Billing,
    /// Too many requests.
    RateLimit,
    /// The provider has too much to do.
    Overloaded,
    /// The provider, or somebody in between, took too long.
    Timeout,
    /// The provider, or the way to it, failed.
    ServerError,
    /// The request or the answer is not as it should be.
    Format,
    /// The conversation does not fit the model's window.
    ContextOverflow,
    /// The model or its provider will not answer.
    Refusal,
    /// Nobody knows.
    Unknown,
}

impl Class {
    /// Whether the same request may succeed a little later.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::RateLimit | Self::Overloaded | Self::Timeout | Self::ServerError)
    }

    /// What a person can do about it; empty when there is nothing but waiting.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Auth | Self::AuthPermanent => " Check the provider's `apiKey`.",
            Self::Billing => " Check the account's balance and plan at the provider.",
            Self::RateLimit => " Wait a little, or add another model to `model.fallbacks`.",
            Self::ContextOverflow => " Begin a new session.",
            Self::Overloaded
            | Self::Timeout
            | Self::ServerError
            | Self::Format
            | Self::Refusal
            | Self::Unknown => "",
        }
    }
}

/// A failed model call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// What may be done about it.
    pub class: Class,
    /// A sentence without its full stop, with nothing secret in it.
    pub message: String,
    /// Milliseconds that the provider asks to wait.
    pub retry_after_ms: Option<u64>,
}

impl ModelError {
    /// A failure of the class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after_ms: None }
    }
}

/// Texts that win over every status, lower case.
const BILLING_TEXT: &[&str] = &[
    "credit balance",
    "insufficient credits",
    "insufficient_quota",
    "insufficient balance",
    "billing",
    "payment required",
    "plans & billing",
];
/// A 402 that only means "not now".
const WINDOW_TEXT: &[&str] = &["usage limit", "try again in", "resets at", "daily limit", "hourly limit"];
/// Types of error objects, whatever the status: they also come in the middle of a 200 answer.
const TYPES: &[(&str, Class)] = &[
    ("invalid_request_error", Class::Format),
    ("authentication_error", Class::Auth),
    ("billing_error", Class::Billing),
    ("permission_error", Class::AuthPermanent),
    ("not_found_error", Class::Format),
    ("request_too_large", Class::ContextOverflow),
    ("rate_limit_error", Class::RateLimit),
    ("rate_limit_exceeded", Class::RateLimit),
    ("api_error", Class::ServerError),
    ("server_error", Class::ServerError),
    ("internal_server_error", Class::ServerError),
    ("timeout_error", Class::Timeout),
    ("overloaded_error", Class::Overloaded),
    ("insufficient_quota", Class::Billing),
    ("invalid_api_key", Class::Auth),
    ("context_length_exceeded", Class::ContextOverflow),
];

/// Classifies an answer that is not 200.
pub fn of_status(status: u16, body: &[u8], retry_after_ms: Option<u64>) -> ModelError {
    let (kind, sentence) = read_body(body);
    let class = classify(Some(status), &kind, &sentence);
    let what = if sentence.is_empty() { reason(status).to_owned() } else { sentence };
    ModelError { class, message: format!("HTTP {status}: {}", tidy(&what)), retry_after_ms }
}

/// Classifies an error object that came in the middle of an answer.
pub fn of_event(error: &Value) -> ModelError {
    let (kind, sentence) = read_error(error);
    let class = classify(error.get("code").and_then(code), &kind, &sentence);
    let what =
        if sentence.is_empty() { "the provider reported an error without a reason" } else { &sentence };
    ModelError::new(class, format!("Mid-answer error: {}", tidy(what)))
}

fn code(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code))
}

fn classify(status: Option<u16>, kind: &str, sentence: &str) -> Class {
    let text = sentence.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let by_type = TYPES.iter().find(|(name, _)| *name == kind).map(|(_, class)| *class);
    match status {
        Some(402) if says(WINDOW_TEXT) => return Class::RateLimit,
        Some(402) => return Class::Billing,
        _ => {}
    }
    if says(BILLING_TEXT) || by_type == Some(Class::Billing) {
        return Class::Billing;
    }
    if says_too_long(sentence) || by_type == Some(Class::ContextOverflow) {
        return Class::ContextOverflow;
    }
    match status {
        Some(401) => Class::Auth,
        Some(403) => Class::AuthPermanent,
        Some(413) => Class::ContextOverflow,
        Some(429) => Class::RateLimit,
        Some(408 | 499 | 504 | 522 | 524) => Class::Timeout,
        Some(503 | 529) => Class::Overloaded,
        Some(500..) => by_type.unwrap_or(Class::ServerError),
        Some(409) => Class::ServerError,
        Some(400..) => by_type.unwrap_or(Class::Format),
        _ => by_type.unwrap_or(Class::Unknown),
    }
}

/// Type and sentence of an error body: `{"error":{"type","message"}}`, `{"error":"…"}`, `{"message"}` or text.
fn read_body(body: &[u8]) -> (String, String) {
    match serde_json::from_slice::<Value>(body) {
        // Gemini's OpenAI form wraps the object in a list.
        Ok(Value::Array(list)) => list.first().map(read_error).unwrap_or_default(),
        Ok(value) => read_error(&value),
        Err(_) => (String::new(), without_markup(&String::from_utf8_lossy(body))),
    }
}

fn read_error(value: &Value) -> (String, String) {
    let error = value.get("error").unwrap_or(value);
    let text = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
    let kind = text("type")
        .filter(|kind| kind != "error")
        .or_else(|| text("code"))
        .or_else(|| text("status"))
        .unwrap_or_default();
    let sentence = match error {
        Value::String(sentence) => sentence.clone(),
        _ => text("message").or_else(|| text("detail")).unwrap_or_default(),
    };
    (kind, sentence)
}

/// Proxies answer in HTML: its text is all that helps.
fn without_markup(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

/// One line of at most 400 characters, without control characters and without a full stop at its end.
fn tidy(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(400).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short.trim_end_matches('.').to_owned()
}

fn reason(status: u16) -> &'static str {
    match status {
        401 => "the key is missing or wrong",
        403 => "the key may not do this",
        404 => "there is no such model or address",
        429 => "too many requests",
        503 | 529 => "the provider is overloaded",
        500.. => "the provider failed",
        _ => "the provider refused the request",
    }
}

/// Milliseconds of a `retry-after` header: seconds, or the number of milliseconds of `retry-after-ms`.
pub fn retry_after_ms(seconds: Option<&str>, millis: Option<&str>) -> Option<u64> {
    let number = |text: Option<&str>| text?.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let ms = number(millis).or_else(|| number(seconds).map(|s| s * 1000.0))?;
    // A float beyond u64 saturates.
    Some(ms.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_statuses_and_bodies() {
        let anthropic = |kind: &str, text: &str| {
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{text}"}}}}"#)
        };
        let table = [
            (400, anthropic("invalid_request_error", "max_tokens: must be > 0"), Class::Format),
            (
                400,
                anthropic("invalid_request_error", "prompt is too long: 9 > 8 maximum"),
                Class::ContextOverflow,
            ),
            (400, anthropic("invalid_request_error", "Your credit balance is too low"), Class::Billing),
            (401, anthropic("authentication_error", "invalid x-api-key"), Class::Auth),
            (401, anthropic("authentication_error", "billing hard limit reached"), Class::Billing),
            (402, anthropic("billing_error", "Payment required"), Class::Billing),
            (402, r#"{"error":"Daily limit reached, try again in 3 h"}"#.to_owned(), Class::RateLimit),
            (403, anthropic("permission_error", "not allowed"), Class::AuthPermanent),
            (404, anthropic("not_found_error", "model: gpt-9"), Class::Format),
            (413, anthropic("request_too_large", "Request exceeds the maximum size"), Class::ContextOverflow),
            (429, anthropic("rate_limit_error", "slow down"), Class::RateLimit),
            (
                429,
                r#"{"error":{"type":"insufficient_quota","message":"You exceeded your quota"}}"#.to_owned(),
                Class::Billing,
            ),
            (500, anthropic("api_error", "Internal server error"), Class::ServerError),
            (502, "<html><h1>Bad Gateway</h1></html>".to_owned(), Class::ServerError),
            (503, String::new(), Class::Overloaded),
            (504, anthropic("timeout_error", "took too long"), Class::Timeout),
            (524, String::new(), Class::Timeout),
            (529, anthropic("overloaded_error", "Overloaded"), Class::Overloaded),
            (
                400,
                r#"{"error":{"code":"context_length_exceeded","message":"too much"}}"#.to_owned(),
                Class::ContextOverflow,
            ),
            (400, r#"[{"error":{"status":"INVALID_ARGUMENT","message":"bad"}}]"#.to_owned(), Class::Format),
        ];
        for (status, body, class) in table {
            assert_eq!(of_status(status, body.as_bytes(), None).class, class, "{status} {body}");
        }
    }

    #[test]
    fn an_error_in_the_middle_is_classed_by_its_type() {
        let overloaded = serde_json::json!({"type": "overloaded_error", "message": "Overloaded"});
        assert_eq!(of_event(&overloaded).class, Class::Overloaded);
        let openrouter = serde_json::json!({"code": 429, "message": "slow"});
        assert_eq!(of_event(&openrouter).class, Class::RateLimit);
        assert_eq!(of_event(&serde_json::json!({"message": "?"})).class, Class::Unknown);
    }

    #[test]
    fn sentences() {
        let shown: Vec<String> = [
            of_status(502, b"<html><body><h1>Bad\n Gateway.</h1></body></html>", None),
            of_status(401, b"", None),
            of_status(404, br#"{"error":{"message":"model not found\u0007."}}"#, None),
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        HTTP 502: Bad Gateway
        HTTP 401: the key is missing or wrong
        HTTP 404: model not found
        ");
    }

    #[test]
    fn retry_after_in_seconds_and_milliseconds() {
        assert_eq!(retry_after_ms(Some("2"), None), Some(2000));
        assert_eq!(retry_after_ms(Some("2"), Some("150")), Some(150));
        assert_eq!(retry_after_ms(Some("Wed, 21 Oct 2026 07:28:00 GMT"), None), None);
        assert_eq!(retry_after_ms(Some("-1"), None), None);
    }
}
