//! The way to providers: one client, made when it is first needed.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, redirect};

use super::error::{of_event, of_status, retry_after_ms};
use super::tunnel::{of_egress, refusal};
use super::{Ask, Auth, Class, Ev, ModelError, Sink, WireRequest, codec};

/// Bytes of an error body that are read.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// Makes requests, through the unit's proxy when it has one.
#[derive(Debug, Default)]
pub struct Http {
    proxy: Option<String>,
    tls: OnceLock<Client>,
    /// For `http://` addresses: needs no certificates, so none are loaded.
    plain: OnceLock<Client>,
}

impl Http {
    /// `proxy` is the address of the unit's own listener; without it, connections are made directly.
    pub fn new(proxy: Option<String>) -> Self {
        Self { proxy, ..Self::default() }
    }

    /// Asks a model and hands over the answer's events in batches. Stops early when the sink wants no more.
    ///
    /// # Errors
    /// [`ModelError`] when there is no answer; failures in its middle are events.
    pub async fn stream(&self, ask: &Ask<'_>, sink: &impl Sink) -> Result<(), ModelError> {
        let mut codec = codec(&ask.provider.api)?;
        let request = codec.request(ask);
        let mut response = self.send(ask, &request).await?;
        let status = response.status().as_u16();
        if self.proxy.is_some() && response.headers().contains_key("x-creel-egress") {
            return Err(of_egress(status, &String::from_utf8_lossy(&body(&mut response).await)));
        }
        if status != 200 {
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
            let delay = retry_after_ms(header("retry-after"), header("retry-after-ms"));
            return Err(of_status(status, &body(&mut response).await, delay));
        }
        if !is_stream(&response) {
            return Err(not_a_stream(&mut response, &request.url).await);
        }
        loop {
            let mut events = Vec::new();
            match response.chunk().await {
                Ok(Some(bytes)) => codec.feed(&bytes, &mut events),
                Ok(None) => codec.finish(&mut events),
                Err(error) => {
                    let message =
                        format!("The connection to {} broke off: {}", host(&request.url), root(&error));
                    events.push(Ev::Fail(ModelError::new(Class::ServerError, message)));
                }
            }
            let over = events.iter().any(|event| matches!(event, Ev::End | Ev::Fail(_)));
            if (!events.is_empty() && !sink.send(events).await) || over {
                return Ok(());
            }
        }
    }

    async fn send(&self, ask: &Ask<'_>, request: &WireRequest) -> Result<Response, ModelError> {
        let client = self.client(request.url.starts_with("https:"))?;
        let headers = headers(ask, request)?;
        let mut again = true;
        loop {
            let sent =
                client.post(&request.url).headers(headers.clone()).body(request.body.clone()).send().await;
            match sent {
                Ok(response) => return Ok(response),
                // A kept connection that the provider closed at the same moment: nothing was answered yet.
                Err(error) if again && !error.is_connect() && !error.is_builder() && was_reset(&error) => {
                    again = false;
                }
                Err(error) => return Err(self.unreachable(&error, &request.url).await),
            }
        }
    }

    fn client(&self, tls: bool) -> Result<&Client, ModelError> {
        let slot = if tls { &self.tls } else { &self.plain };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = self.build(tls).map_err(|error| {
            let hint =
                if tls { "; the unit needs the system's CA certificates (`ca-certificates`)" } else { "" };
            ModelError::new(Class::Format, format!("No HTTP client can be made: {}{hint}", root(&error)))
        })?;
        Ok(slot.get_or_init(|| client))
    }

    fn build(&self, tls: bool) -> reqwest::Result<Client> {
        // Fails when another client of this process did it before, which is as good.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(20))
            .pool_idle_timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(4)
            .tcp_nodelay(true)
            .user_agent(concat!("creel/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if !tls {
            builder = builder.tls_certs_only([]);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy)?);
        }
        builder.build()
    }

    async fn unreachable(&self, error: &reqwest::Error, url: &str) -> ModelError {
        let (host, why) = (host(url), root(error));
        if error.is_builder() {
            return ModelError::new(Class::Format, format!("The address {url} is no good: {why}"));
        }
        if let Some(proxy) = self.proxy.as_deref().filter(|_| why.contains("tunnel"))
            && let Some(refusal) = refusal(proxy, url).await
        {
            return refusal;
        }
        if why.contains("certificate") {
            // Trying again would find the same one.
            return ModelError::new(Class::Format, format!("{host} is not trusted: {why}"));
        }
        ModelError::new(Class::ServerError, format!("{host} cannot be reached: {why}"))
    }
}

fn headers(ask: &Ask<'_>, request: &WireRequest) -> Result<HeaderMap, ModelError> {
    let mut headers = HeaderMap::new();
    let bad = |name: &str| {
        ModelError::new(
            Class::Format,
            format!("The header `{name}` of the provider {} is not valid", ask.provider_id),
        )
    };
    if let Some(key) = ask.provider.api_key.as_ref().filter(|key| !key.is_empty()) {
        let (name, value) = match request.auth {
            Auth::ApiKey => (HeaderName::from_static("x-api-key"), HeaderValue::from_str(key.expose())),
            Auth::Bearer => {
                (reqwest::header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", key.expose())))
            }
        };
        let mut value = value.map_err(|_| {
            let message = format!(
                "The `apiKey` of the provider {} has characters that no key can have",
                ask.provider_id
            );
            ModelError::new(Class::Auth, message)
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let own = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let configured = ask.provider.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in own.chain(configured) {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(name))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad(name))?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

/// The body of an answer that is no stream, up to a limit. What can be read is better than nothing.
async fn body(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        body.extend_from_slice(&bytes[..bytes.len().min(MAX_ERROR_BODY - body.len())]);
        if body.len() >= MAX_ERROR_BODY {
            break;
        }
    }
    body
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Some servers forget the header; then the codec will see.
    kind.is_empty() || kind.starts_with("text/event-stream") || kind.starts_with("text/plain")
}

async fn not_a_stream(response: &mut Response, url: &str) -> ModelError {
    let body = body(response).await;
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    match parsed.filter(|value| value.get("error").is_some_and(|error| !error.is_null())) {
        Some(error) => of_event(&error["error"]),
        None => ModelError::new(
            Class::Format,
            format!("{} answered without a stream of events; check `baseUrl` and `api`", host(url)),
        ),
    }
}

fn was_reset(error: &reqwest::Error) -> bool {
    let mut source: Option<&dyn Error> = Some(error);
    while let Some(at) = source {
        if let Some(io) = at.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            return matches!(io.kind(), ConnectionReset | BrokenPipe | ConnectionAborted | UnexpectedEof);
        }
        if at.to_string().contains("connection closed before message completed") {
            return true;
        }
        source = at.source();
    }
    false
}

/// The innermost reason: the outer ones only say that a request failed.
fn root(error: &reqwest::Error) -> String {
    let mut at: &dyn Error = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string().trim_end_matches('.').to_owned()
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
