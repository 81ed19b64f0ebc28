//! HTTP: the two protocols on one port.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde_json::{Value, json};

use crate::control::{Control, Fault, Pace};
use crate::script::{Act, Last, act};
use crate::{anthropic, openai};

static ANSWERS: AtomicU64 = AtomicU64::new(1);

/// All routes.
pub(crate) fn router(control: Control) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(completions))
        .route("/v1/messages", post(messages))
        .route("/v1/models", get(models))
        .route("/control", post(set_control))
        .route("/stats", get(stats))
        .with_state(control)
}

async fn models() -> Response {
    let model = json!({"id": "fake-1", "object": "model", "created": 1, "owned_by": "tests"});
    axum::Json(json!({"object": "list", "data": [model]})).into_response()
}

async fn stats(State(control): State<Control>) -> Response {
    axum::Json(control.stats()).into_response()
}

/// `{"delayMs", "gapMs", "faults": [{"tooMany": 2}, "overloaded", {"cutAfter": 3}]}`.
async fn set_control(State(control): State<Control>, body: Bytes) -> Response {
    let parsed =
        serde_json::from_slice::<Value>(&body).map_err(|error| error.to_string()).and_then(|mut body| {
            let faults =
                body.as_object_mut().and_then(|body| body.remove("faults")).unwrap_or_else(|| json!([]));
            let faults: Vec<Fault> = serde_json::from_value(faults).map_err(|error| error.to_string())?;
            let pace: Pace = serde_json::from_value(body).map_err(|error| error.to_string())?;
            Ok((pace, faults))
        });
    match parsed {
        Ok((pace, faults)) => {
            control.pace(pace);
            control.fail_next(faults);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, &format!("the control body is wrong: {error}")),
    }
}

fn refuse(status: StatusCode, sentence: &str) -> Response {
    let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": sentence}});
    (status, axum::Json(error)).into_response()
}

async fn completions(State(control): State<Control>, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "the body is no JSON");
    };
    let last = openai::last(&body);
    let Begun { pace, fault, id, act, model } = begin(&control, "/v1/chat/completions", &body, &last);
    if let Some(refused) = fault.and_then(refused) {
        return refused;
    }
    tokio::time::sleep(Duration::from_millis(pace.delay_ms)).await;
    if body["stream"] != true {
        control.finished();
        return axum::Json(openai::whole(&id, &model, &act)).into_response();
    }
    let with_usage = body["stream_options"]["include_usage"] == true;
    let events = openai::stream(&id, &model, &act, with_usage);
    streamed(control, events, gap(&pace, &act), fault)
}

async fn messages(State(control): State<Control>, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "the body is no JSON");
    };
    let last = anthropic::last(&body);
    let Begun { pace, fault, id, act, model } = begin(&control, "/v1/messages", &body, &last);
    if let Some(refused) = fault.and_then(refused) {
        return refused;
    }
    tokio::time::sleep(Duration::from_millis(pace.delay_ms)).await;
    if body["stream"] != true {
        control.finished();
        return axum::Json(anthropic::whole(&id, &model, &act)).into_response();
    }
    let events = anthropic::stream(&id, &model, &act);
    streamed(control, events, gap(&pace, &act), fault)
}

struct Begun {
    pace: Pace,
    fault: Option<Fault>,
    id: String,
    act: Act,
    model: String,
}

fn begin(control: &Control, path: &str, body: &Value, last: &Last) -> Begun {
    let (pace, fault) = control.begin(path, body, last.text());
    let id = format!("fake{}", ANSWERS.fetch_add(1, Ordering::Relaxed));
    let model = body["model"].as_str().unwrap_or("fake-1").to_owned();
    Begun { pace, fault, id, act: act(last), model }
}

/// Faults that come before any answer.
fn refused(fault: Fault) -> Option<Response> {
    let body = |kind: &str, sentence: &str| {
        axum::Json(json!({"type": "error", "error": {"type": kind, "message": sentence}}))
    };
    match fault {
        Fault::TooMany(seconds) => Some(
            (
                StatusCode::TOO_MANY_REQUESTS,
                [(header::RETRY_AFTER, seconds.to_string())],
                body("rate_limit_error", "Too many requests."),
            )
                .into_response(),
        ),
        Fault::Overloaded => {
            let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            Some((status, body("overloaded_error", "Overloaded")).into_response())
        }
        Fault::Broken => {
            Some((StatusCode::INTERNAL_SERVER_ERROR, body("api_error", "Something broke.")).into_response())
        }
        Fault::CutAfter(_) | Fault::Silent => None,
    }
}

fn gap(pace: &Pace, act: &Act) -> Duration {
    let own = match act {
        Act::Say { pieces, over } if pieces.len() > 1 => *over / (pieces.len() as u32),
        Act::Say { over, .. } => *over,
        Act::Call { .. } => Duration::ZERO,
    };
    own + Duration::from_millis(pace.gap_ms)
}

fn streamed(
    control: Control,
    (first, middle, end): (String, Vec<String>, String),
    gap: Duration,
    fault: Option<Fault>,
) -> Response {
    let cut = match fault {
        Some(Fault::CutAfter(pieces)) => Some(pieces as usize),
        _ => None,
    };
    if fault == Some(Fault::Silent) {
        let silent = stream::pending::<Result<Bytes, Infallible>>();
        return sse(Body::from_stream(silent));
    }
    let mut events: Vec<(Bytes, bool)> = Vec::with_capacity(middle.len() + 2);
    events.push((first.into(), false));
    events.extend(middle.into_iter().map(|event| (Bytes::from(event), true)));
    events.push((end.into(), false));
    let total = events.len();
    let body = stream::unfold((0usize, events.into_iter()), move |(index, mut events)| {
        let control = control.clone();
        async move {
            let (event, piece) = events.next()?;
            if cut.is_some_and(|cut| index > cut) {
                // hyper writes out what it has when a body has nothing more for now.
                tokio::task::yield_now().await;
                return Some((
                    Err(std::io::Error::other("the fake cuts here")),
                    (index, Vec::new().into_iter()),
                ));
            }
            if piece {
                if !gap.is_zero() {
                    tokio::time::sleep(gap).await;
                }
                if index + 2 == total {
                    control.may_end().await;
                }
                control.piece();
            }
            if index + 1 == total {
                control.finished();
            }
            Some((Ok(event), (index + 1, events)))
        }
    });
    sse(Body::from_stream(body))
}

fn sse(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}
