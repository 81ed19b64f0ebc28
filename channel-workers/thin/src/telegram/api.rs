//! Calls of the Bot API, and what became of them: told apart is above all whether anything can have been done.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use creel_ipc::{ErrorClass, RpcError, Secret};
use reqwest::multipart::Form;
use reqwest::{Client, RequestBuilder, Response};
use rustls::ClientConfig;
use serde_json::Value;

use crate::{Surroundings, http, tls};

/// Bytes of an answer that are read.
const MOST_ANSWER: usize = 32 * 1024 * 1024;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing reached the API.
    #[error("the Bot API was not reached: {0}")]
    NotSent(String),
    /// The request left and no proper answer came: it may have been carried out.
    #[error("the Bot API gave no answer: {0}")]
    Lost(String),
    /// The API said no; nothing was done.
    #[error("the Bot API answered {code}: {description}")]
    Refused {
        /// Its code.
        code: u16,
        /// Its words.
        description: String,
        /// When to come back.
        retry_after: Option<Duration>,
        /// The chat has this id now.
        migrated_to: Option<i64>,
    },
}

impl Failure {
    /// Whether the API refused with these words.
    pub(super) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Refused { description, .. } if description.to_ascii_lowercase().contains(words))
    }

    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the token itself is refused.
    pub(super) fn is_about_the_token(&self) -> bool {
        match self {
            Self::Refused { code: 401, .. } => true,
            Self::Refused { code: 404, description, .. } => description == "Not Found",
            _ => false,
        }
    }
}

pub(super) struct Api {
    root: String,
    token: Secret,
    proxy: Option<String>,
    tls: ClientConfig,
    calls: Client,
    /// Long polls have connections of their own, so that they can be torn down.
    polls: Mutex<Client>,
}

impl Api {
    pub(super) fn new(root: &str, token: Secret, around: &Surroundings) -> Result<Self, RpcError> {
        let secure = root.to_ascii_lowercase().starts_with("https:");
        let tls = if secure { tls::trusting_the_system(&around.roots) } else { tls::trusting_nobody() };
        let tls = tls.map_err(|error| {
            let sentence =
                format!("TLS cannot be set up; check the CA certificates of this system: {error}.");
            RpcError::new(ErrorClass::ConfigFatal, sentence)
        })?;
        let proxy = around.proxy.as_deref();
        Ok(Self {
            root: root.to_owned(),
            token,
            calls: http::client(proxy, tls.clone())?,
            polls: Mutex::new(http::client(proxy, tls.clone())?),
            proxy: proxy.map(str::to_owned),
            tls,
        })
    }

    /// Calls a method with JSON.
    pub(super) async fn call(&self, method: &str, params: &Value, most: Duration) -> Result<Value, Failure> {
        invoke(self.calls.post(self.address(method)).json(params), most).await
    }

    /// Calls a method with files.
    pub(super) async fn upload(&self, method: &str, form: Form, most: Duration) -> Result<Value, Failure> {
        invoke(self.calls.post(self.address(method)).multipart(form), most).await
    }

    /// Calls a method on the connections of the polls.
    pub(super) async fn poll(&self, method: &str, params: &Value, most: Duration) -> Result<Value, Failure> {
        let client = self.polls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        invoke(client.post(self.address(method)).json(params), most).await
    }

    /// Leaves the old connections of the polls behind.
    pub(super) fn renew_polls(&self) {
        // Building worked at the start with the same ingredients.
        if let Ok(fresh) = http::client(self.proxy.as_deref(), self.tls.clone()) {
            *self.polls.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    /// Begins the download of a file.
    pub(super) async fn download(&self, path: &str, most: Duration) -> Result<Response, Failure> {
        let address = format!("{}/file/bot{}/{path}", self.root, self.token.expose());
        let response = self.calls.get(address).timeout(most).send().await.map_err(failure)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refused(response.status().as_u16(), "the file cannot be fetched".to_owned()))
    }

    fn address(&self, method: &str) -> String {
        format!("{}/bot{}/{method}", self.root, self.token.expose())
    }
}

async fn invoke(request: RequestBuilder, most: Duration) -> Result<Value, Failure> {
    let mut response = request.timeout(most).send().await.map_err(failure)?;
    let status = response.status().as_u16();
    // Of plain HTTP the egress speaks itself; then nothing was sent on.
    let egress = response.headers().contains_key("x-creel-egress");
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_ANSWER {
            return Err(Failure::Lost("the answer is too long".to_owned()));
        }
    }
    if egress && !(200..300).contains(&status) {
        return Err(Failure::NotSent(String::from_utf8_lossy(&body).trim().to_owned()));
    }
    answer(status, &body)
}

/// Reads an answer.
fn answer(status: u16, body: &[u8]) -> Result<Value, Failure> {
    let mut answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match answer.get("ok").and_then(Value::as_bool) {
        Some(true) => Ok(answer.get_mut("result").map(Value::take).unwrap_or_default()),
        Some(false) => {
            let code =
                answer["error_code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(status);
            let description = answer["description"].as_str().unwrap_or("no description").to_owned();
            if code >= 500 {
                return Err(Failure::Lost(format!("it answered {code}: {description}")));
            }
            let parameters = &answer["parameters"];
            Err(Failure::Refused {
                code,
                description,
                retry_after: parameters["retry_after"].as_u64().map(Duration::from_secs),
                migrated_to: parameters["migrate_to_chat_id"].as_i64(),
            })
        }
        None if (400..500).contains(&status) => Err(refused(status, "no words of the Bot API".to_owned())),
        None => Err(Failure::Lost(format!("it answered {status} and no JSON of the Bot API"))),
    }
}

fn refused(code: u16, description: String) -> Failure {
    Failure::Refused { code, description, retry_after: None, migrated_to: None }
}

/// A failed request. The address holds the token and is left out.
fn failure(error: reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        Failure::NotSent(sentence(&error.without_url()))
    } else {
        Failure::Lost(sentence(&error.without_url()))
    }
}

fn lost(error: &reqwest::Error) -> Failure {
    Failure::Lost(if error.is_timeout() { "it took too long".to_owned() } else { "it broke off".to_owned() })
}

/// The error with its causes.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_answer_never_counts_as_refused_when_it_may_have_been_done() {
        assert!(matches!(answer(200, b"<html>"), Err(Failure::Lost(_))));
        assert!(matches!(answer(502, b""), Err(Failure::Lost(_))));
        let internal = br#"{"ok":false,"error_code":500,"description":"Internal Server Error"}"#;
        assert!(matches!(answer(500, internal), Err(Failure::Lost(_))));
        assert!(matches!(answer(413, b"<html>"), Err(Failure::Refused { code: 413, .. })));
    }

    #[test]
    fn parameters_are_read_and_unknown_ones_do_not_matter() {
        let body = br#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":7,"new":[1]}}"#;
        let Err(Failure::Refused { code: 429, retry_after, migrated_to: None, .. }) = answer(429, body)
        else {
            panic!("not refused");
        };
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
        assert_eq!(answer(200, br#"{"ok":true,"result":[1],"more":{}}"#).unwrap(), serde_json::json!([1]));
    }
}
