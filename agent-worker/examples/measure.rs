//! Prints what one streamed delta costs: the codec alone, and the whole worker from socket to link.
//!
//! `cargo run --release -p creel-agent --example measure`

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::time::Duration;

use creel_agent::link::{Introduction, Worker};
use creel_agent::model::http::Http;
use creel_agent::model::{Draft, codec};
use creel_agent::turn::drive::Desk;
use creel_agent::turn::tool_call::Runs;
use creel_ipc::hello::WorkerConfig;
use creel_ipc::msg::Empty;
use creel_ipc::msg::agent::{
    AgentConfig, InputMessage, Model, Provider, SessionRef, StepEnd, ToolPolicy, TurnDelta, TurnDone,
    TurnRef, TurnStart, TurnStartParams,
};
use creel_ipc::{Limits, Notify, PROTOCOL, Request, Welcome};
use creel_link::{Event, Link, Vitals};
use serde_json::json;

const DELTAS: usize = 20_000;

fn main() -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    for api in ["openai-completions", "anthropic-messages"] {
        let body = body(api);
        let alone = codec_alone(api, &body)?;
        writeln!(out, "{api}: codec and draft alone {alone:.2} µs per delta")?;
        for (name, pause) in
            [("as fast as it goes", Duration::ZERO), ("2,000 deltas a second", Duration::from_millis(10))]
        {
            let (cpu, frames) = worker(api, body.clone(), pause)?;
            writeln!(
                out,
                "{api}: whole worker, {name}: {cpu:.2} µs CPU per delta, {frames} frames for {DELTAS} deltas"
            )?;
        }
    }
    Ok(())
}

/// An answer of many small pieces, cut where each event ends.
fn body(api: &str) -> Vec<String> {
    let event = |value: serde_json::Value| match value.get("type").and_then(|kind| kind.as_str()) {
        Some(kind) => format!("event: {kind}\ndata: {value}\n\n"),
        None => format!("data: {value}\n\n"),
    };
    if api == "anthropic-messages" {
        let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " token"}});
        let start =
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
        let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}});
        let deltas = (0..DELTAS).map(|_| event(delta.clone()));
        let tail = [event(end), event(json!({"type": "message_stop"}))];
        return std::iter::once(event(start)).chain(deltas).chain(tail).collect();
    }
    let delta = json!({"id": "chatcmpl-XbWulz1doFNRU51v", "object": "chat.completion.chunk", "created": 1795266610,
        "model": "gpt-5", "choices": [{"index": 0, "delta": {"content": " token"}, "logprobs": null, "finish_reason": null}]});
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let deltas = (0..DELTAS).map(|_| event(delta.clone()));
    deltas.chain([event(end), "data: [DONE]\n\n".to_owned()]).collect()
}

/// Time that this thread has run, from the kernel's scheduler.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns: f64 = stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or_default();
    ns / 1e3
}

fn codec_alone(api: &str, body: &[String]) -> anyhow::Result<f64> {
    let bytes = body.concat().into_bytes();
    let before = cpu_us();
    let mut codec = codec(api)?;
    let mut draft = Draft::default();
    let mut events = Vec::new();
    for chunk in bytes.chunks(16 * 1024) {
        codec.feed(chunk, &mut events);
        events.drain(..).for_each(|event| draft.take(&event));
    }
    draft.finish()?;
    Ok((cpu_us() - before) / DELTAS as f64)
}

/// CPU of the worker's thread for each delta, and the frames it sent.
fn worker(api: &str, body: Vec<String>, pause: Duration) -> anyhow::Result<(f64, usize)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let source = std::thread::spawn(move || serve(&listener, &body, pause));
    let (ours, theirs) = StdStream::pair()?;
    let worker = std::thread::spawn(move || run(theirs.into()));
    let frames = gateway(ours.into(), config(api, &url))?;
    let cpu = worker.join().map_err(|_| anyhow::anyhow!("the worker panicked"))??;
    source.join().map_err(|_| anyhow::anyhow!("the source panicked"))??;
    Ok((cpu / DELTAS as f64, frames))
}

fn serve(listener: &TcpListener, body: &[String], pause: Duration) -> std::io::Result<()> {
    let (mut socket, _) = listener.accept()?;
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        let mut buffer = [0; 16 * 1024];
        let n = socket.read(&mut buffer)?;
        seen.extend_from_slice(&buffer[..n]);
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
    // Twenty at a time, as a network would.
    for piece in body.chunks(20) {
        socket.write_all(piece.concat().as_bytes())?;
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    Ok(())
}

fn run(socket: OwnedFd) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let vitals = Vitals::default();
        let (link, incoming) = Link::from_fd(socket, 0, vitals.clone())?;
        let desk = Desk {
            link,
            vitals,
            http: Arc::new(Http::new(None)),
            runs: Runs::default(),
            blobs: None,
            demo_pace: Duration::ZERO,
        };
        let introduction =
            Introduction { unit: "agent:main".to_owned(), selftest: None, set_log_level: |_| {} };
        let before = cpu_us();
        Worker::new(desk, introduction).serve(incoming).await;
        Ok(cpu_us() - before)
    })
}

fn gateway(socket: OwnedFd, config: AgentConfig) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (link, mut incoming) = Link::from_fd(socket, 1 << 20, Vitals::default())?;
        let welcome = Welcome {
            protocol: PROTOCOL,
            session: "one".to_owned(),
            epoch: 1,
            limits: Limits::default(),
            config: WorkerConfig::Agent(Box::new(config)),
            cursor: None,
            lease: None,
        };
        link.notify::<Welcome>(&welcome).await?;
        let starter = link.clone();
        tokio::spawn(async move { starter.call::<TurnStart>(&turn()).await });
        let mut frames = 0;
        while let Some(event) = incoming.recv().await {
            match event {
                Event::Notification { method, .. } if method == TurnDelta::METHOD => frames += 1,
                Event::Request { id, method, .. } => {
                    link.answer::<StepEnd>(id, Ok(Empty {})).await;
                    if method == TurnDone::METHOD {
                        break;
                    }
                }
                _ => {}
            }
        }
        // The answer must leave before the socket closes.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(frames)
    })
}

fn turn() -> TurnStartParams {
    TurnStartParams {
        turn: TurnRef { turn: "t".to_owned(), epoch: 1 },
        session: SessionRef {
            key: "agent:main:main".to_owned(),
            id: "s".to_owned(),
            main: true,
            chat_kind: "direct".to_owned(),
            channel: None,
        },
        input: vec![InputMessage {
            text: "go".to_owned(),
            sender: None,
            author: None,
            context_only: false,
            quoted: None,
            attachments: Vec::new(),
            at_ms: 0,
        }],
        history: 0,
        journal: 0,
        model: None,
        thinking: None,
    }
}

fn config(api: &str, url: &str) -> AgentConfig {
    let provider =
        Provider { base_url: url.to_owned(), api: api.to_owned(), api_key: None, headers: BTreeMap::new() };
    let model = Model {
        provider: "p".to_owned(),
        id: "m".to_owned(),
        context_window: 100_000,
        max_tokens: 4096,
        reasoning: false,
        images: false,
    };
    AgentConfig {
        agent: "main".to_owned(),
        name: None,
        workspace: "/".to_owned(),
        providers: [("p".to_owned(), provider)].into(),
        models: vec![model],
        max_iterations: 5,
        turn_timeout_ms: 600_000,
        first_byte_ms: 60_000,
        inactivity_ms: 60_000,
        tools: ToolPolicy::default(),
        thinking: None,
        log_level: None,
    }
}
