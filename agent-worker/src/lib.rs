//! Creel's agent worker: model, tools and the turn loop of one agent.
//!
//! The process is a worker of the gateway: it speaks NDJSON JSON-RPC on its standard input, keeps nothing that
//! must survive it, and starts no other process. [`run`] is all that `main` calls.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use creel_ipc::hello::SelfTest;
use creel_link::{Link, Vitals};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

pub mod link;
pub mod model;
pub mod prompt;
pub mod tools;
pub mod turn;

use link::{Introduction, Worker};
use model::http::Http;
use turn::drive::Desk;
use turn::tool_call::Runs;

static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Seals the process and serves the link on standard input until it ends.
///
/// # Errors
/// When the process cannot be sealed or standard input is no socket.
pub fn run() -> anyhow::Result<ExitCode> {
    if let Some(answer) =
        creel_ipc::release::answer(std::env::args_os(), env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    {
        // Nobody is left to tell that nobody listens.
        let _closed = std::io::stdout().write_all(answer.as_bytes());
        return Ok(ExitCode::SUCCESS);
    }
    creel_seal::seal()?;
    log();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // File tools only; the unit may not have more threads than this by far.
        .max_blocking_threads(4)
        .build()?;
    let code = runtime.block_on(serve());
    // A file tool may still wait for a disk; nothing waits for it.
    runtime.shutdown_background();
    code
}

async fn serve() -> anyhow::Result<ExitCode> {
    let vitals = Vitals::default();
    let (link, incoming) = Link::stdio(vitals.clone())?;
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let pace = env("CREEL_DEMO_PACE_MS").and_then(|ms| ms.parse().ok()).unwrap_or(25);
    let desk = Desk {
        link,
        vitals,
        http: Arc::new(Http::new(env("HTTPS_PROXY").or_else(|| env("HTTP_PROXY")))),
        runs: Runs::default(),
        blobs: env("CREEL_BLOB_DIR").map(Into::into),
        demo_pace: Duration::from_millis(pace),
    };
    let introduction = Introduction {
        unit: env("CREEL_UNIT").unwrap_or_else(|| "agent:main".to_owned()),
        selftest: selftest(),
        set_log_level,
    };
    let mut terminated = signal(SignalKind::terminate())?;
    let code = tokio::select! {
        code = Worker::new(desk, introduction).serve(incoming) => code,
        _ = terminated.recv() => creel_ipc::ExitCode::Ok.code(),
    };
    Ok(ExitCode::from(code))
}

/// Tries what the seal and the sandbox forbid. `None` where there is no seal to test.
fn selftest() -> Option<SelfTest> {
    let report = creel_seal::selftest_of_unit();
    (!report.attempts.is_empty()).then(|| SelfTest { denied: report.denied(), escaped: report.escaped() })
}

/// One line to standard error for each event; the unit's log adds the time.
fn log() {
    let (filter, handle) = reload::Layer::new(Targets::new().with_default(LevelFilter::INFO));
    let lines = fmt::layer().without_time().with_ansi(false).with_target(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).init();
    // Set once: `run` is called once.
    let _again = FILTER.set(handle);
}

fn set_log_level(level: &str) {
    let Some(handle) = FILTER.get() else { return };
    match level.parse::<Targets>() {
        Ok(filter) => {
            if let Err(error) = handle.reload(filter) {
                tracing::warn!(%error, "the log level stays as it is");
            }
        }
        Err(error) => tracing::warn!(level, %error, "the log level is not valid and stays as it is"),
    }
}
