//! HTTP on the one port: liveness, readiness, `/rpc`, the page, and the way to the WebSocket.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN,
    REFERRER_POLICY, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::{get, post};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::admission::Role;
use super::connection::{self, Arrival, MAX_PAYLOAD};
use super::desk::Desk;
use super::fault::Protocol;
use super::method::Caller;
use super::scope::{self, Scopes};
use super::{metrics, origin, page, rpc};

/// How long the body of a request may take to come.
const BODY: Duration = Duration::from_secs(30);

/// How long the gateway's parts may take to say how they are.
const HEALTH: Duration = Duration::from_secs(5);

/// Headers of every answer.
const SAFE: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

/// Where a request comes from.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: IpAddr,
    /// Its place among the connections, given back when the last holder is done.
    pub(crate) place: Arc<OwnedSemaphorePermit>,
}

#[derive(Clone)]
struct Doors {
    desk: Arc<Desk>,
    rpc: rpc::Module,
}

/// All routes.
pub(crate) fn router(desk: Arc<Desk>) -> Router {
    let doors = Doors { rpc: rpc::module(desk.clone()), desk };
    Router::new()
        .route("/health", get(live))
        .route("/healthz", get(live))
        .route("/ready", get(ready))
        .route("/readyz", get(ready))
        .route("/metrics", get(measured))
        .route("/rpc", post(call))
        .fallback(file)
        .layer(from_fn_with_state(doors.clone(), upgrade_or_go_on))
        .with_state(doors)
}

fn reply(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

async fn live() -> Response<Body> {
    reply(StatusCode::OK, &json!({"ok": true, "status": "live"}))
}

async fn ready(
    State(doors): State<Doors>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response<Body> {
    let Ok(health) = timeout(HEALTH, doors.desk.hub.health()).await else {
        let body = json!({"ok": false, "status": "not ready: the gateway's parts do not answer in time"});
        return reply(StatusCode::SERVICE_UNAVAILABLE, &body);
    };
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if health.ready { "ready" } else { "not ready" };
    let mut body = json!({"ok": health.ready, "status": word});
    if bearer(&doors.desk, peer.address, &headers).is_ok() {
        body["reasons"] = health.reasons.into();
        body["store"] = health.store_ok.into();
        body["units"] = json!({"running": health.units_running, "total": health.units_total});
        body["uptimeMs"] = health.uptime_ms.into();
    }
    reply(status, &body)
}

async fn measured(
    State(doors): State<Doors>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response<Body> {
    let hub = &doors.desk.hub;
    let allowed = |token: &str| hub.token_ok(token) || hub.metrics_token_ok(token);
    if let Err(response) = holder(&doors.desk, peer.address, &headers, allowed) {
        return *response;
    }
    let Ok((health, units)) = timeout(HEALTH, async { (hub.health().await, hub.units().await.ok()) }).await
    else {
        let body = json!({"error": "The gateway's parts do not answer in time."});
        return reply(StatusCode::SERVICE_UNAVAILABLE, &body);
    };
    let facts = metrics::Facts { units, health, clients: doors.desk.clients.presence().len() };
    let mut response = Response::new(Body::from(metrics::text(&facts)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn file(request: Request) -> Response<Body> {
    page::serve(request.method(), request.uri().path())
}

/// The bearer token of a request, checked to be the gateway's.
fn bearer(desk: &Desk, peer: IpAddr, headers: &HeaderMap) -> Result<(), Box<Response<Body>>> {
    holder(desk, peer, headers, |token| desk.hub.token_ok(token))
}

/// The bearer token of a request, checked.
fn holder(
    desk: &Desk,
    peer: IpAddr,
    headers: &HeaderMap,
    right: impl Fn(&str) -> bool,
) -> Result<(), Box<Response<Body>>> {
    if let Some(wait) = desk.locked_ms(peer) {
        let mut response = unauthorized(StatusCode::TOO_MANY_REQUESTS, "AUTH_RATE_LIMITED", Some(wait));
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
        return Err(Box::new(response));
    }
    let token = text(headers, &AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match token {
        Some(token) if right(token) => {
            desk.right_token(peer);
            Ok(())
        }
        Some(_) => {
            desk.wrong_token(peer);
            Err(Box::new(unauthorized(StatusCode::UNAUTHORIZED, "AUTH_TOKEN_MISMATCH", None)))
        }
        None => Err(Box::new(unauthorized(StatusCode::UNAUTHORIZED, "AUTH_TOKEN_MISSING", None))),
    }
}

fn unauthorized(status: StatusCode, code: &str, retry_after_ms: Option<u64>) -> Response<Body> {
    let mut data = json!({"code": "INVALID_REQUEST", "details": {"code": code}});
    if let Some(wait) = retry_after_ms {
        data["retryAfterMs"] = wait.into();
    }
    let error = json!({"code": -32001, "message": "unauthorized: send the gateway's token as a bearer token", "data": data});
    let mut response = reply(status, &json!({"jsonrpc": "2.0", "id": null, "error": error}));
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

async fn call(
    State(doors): State<Doors>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response<Body> {
    let headers = request.headers();
    if !origin::allowed(text(headers, &ORIGIN), text(headers, &HOST)) {
        let data = json!({"code": "INVALID_REQUEST", "details": {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED"}});
        let error = json!({"code": -32001, "message": "origin not allowed", "data": data});
        return reply(StatusCode::FORBIDDEN, &json!({"jsonrpc": "2.0", "id": null, "error": error}));
    }
    if let Err(response) = bearer(&doors.desk, peer.address, headers) {
        return *response;
    }
    let caller = Caller {
        protocol: Protocol::V4,
        role: Role::Operator,
        scopes: asked_scopes(headers),
        name: "rpc".to_owned(),
        client: None,
    };
    let body = match timeout(BODY, to_bytes(request.into_body(), MAX_PAYLOAD)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let error = json!({"code": -32600, "message": format!("The body could not be read, or has more than {MAX_PAYLOAD} bytes.")});
            return reply(
                StatusCode::PAYLOAD_TOO_LARGE,
                &json!({"jsonrpc": "2.0", "id": null, "error": error}),
            );
        }
        Err(_) => {
            return reply(StatusCode::REQUEST_TIMEOUT, &json!({"error": "The body did not come in time."}));
        }
    };
    let Ok(body) = std::str::from_utf8(&body) else {
        let error = json!({"code": -32700, "message": "Parse error: the body is not UTF-8"});
        return reply(StatusCode::OK, &json!({"jsonrpc": "2.0", "id": null, "error": error}));
    };
    match rpc::answer(&doors.rpc, &caller, body).await {
        Some(answer) => {
            let mut response = reply(StatusCode::OK, &Value::Null);
            *response.body_mut() = Body::from(answer);
            response
        }
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
    }
}

/// A caller may ask for less than everything, by the header that OpenClaw's HTTP interfaces read.
fn asked_scopes(headers: &HeaderMap) -> Scopes {
    match headers.get("x-openclaw-scopes").map(HeaderValue::to_str) {
        None => Scopes::all(),
        Some(names) => scope::asked(names.unwrap_or_default().split(',').map(str::trim)),
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// Any path leads to the WebSocket when the client asks for it.
async fn upgrade_or_go_on(State(doors): State<Doors>, mut request: Request, next: Next) -> Response<Body> {
    let wants = has_token(request.headers(), &UPGRADE, "websocket")
        && has_token(request.headers(), &CONNECTION, "upgrade");
    let mut response = if wants { upgrade(doors.desk, &mut request) } else { next.run(request).await };
    for (name, value) in SAFE {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn upgrade(desk: Arc<Desk>, request: &mut Request) -> Response<Body> {
    let headers = request.headers();
    let key = text(headers, &SEC_WEBSOCKET_KEY).map(str::to_owned);
    let (Some(key), true) = (key, text(headers, &SEC_WEBSOCKET_VERSION) == Some("13")) else {
        let mut response = reply(
            StatusCode::UPGRADE_REQUIRED,
            &json!({"error": "WebSocket version 13 with a key is needed."}),
        );
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    };
    let origin_allowed = origin::allowed(text(headers, &ORIGIN), text(headers, &HOST));
    let Some(Peer { address, place }) = request.extensions().get::<Peer>().cloned() else {
        return reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": "The peer is unknown."}));
    };
    let upgrading = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(stream) = upgrading.await {
            connection::serve(TokioIo::new(stream), desk, Arrival { peer: address, origin_allowed }).await;
        }
        drop(place);
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}
