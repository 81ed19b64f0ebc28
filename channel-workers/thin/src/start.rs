//! The process: seal, log, link, worker.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use creel_channel_core::Worker;
use creel_ipc::hello::SelfTest;
use creel_link::{Link, Vitals};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::{Surroundings, open};

#[derive(Debug, Parser)]
#[command(
    about = "Serves one account of a channel. Started by creel; its standard input is a socket to the gateway."
)]
struct Args {
    /// The unit's name, such as `channel:telegram:default`.
    #[arg(long, env = "CREEL_UNIT", default_value = "channel")]
    unit: String,
}

/// Runs the worker of this process.
pub fn main() -> ExitCode {
    if let Some(answer) =
        creel_ipc::release::answer(std::env::args_os(), env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    {
        // Nobody is left to tell that nobody listens.
        let _closed = std::io::stdout().write_all(answer.as_bytes());
        return creel_ipc::ExitCode::Ok.into();
    }
    // First of all: no fork, no exec, and a panic is death.
    let sealed = creel_seal::seal();
    let filter = log();
    if let Err(error) = sealed {
        tracing::error!("{error}");
        return creel_ipc::ExitCode::LaunchFailed.into();
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Standard output belongs to the link.
            tracing::error!(error = ?error.to_string(), "The command line is wrong.");
            return creel_ipc::ExitCode::Usage.into();
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(live(args.unit, filter))) {
        Ok(Ok(code)) => code.into(),
        Ok(Err(error)) | Err(error) => {
            tracing::error!("The worker cannot start: {error}");
            creel_ipc::ExitCode::Failure.into()
        }
    }
}

type Filter = reload::Handle<EnvFilter, Registry>;

fn log() -> Filter {
    let filter = EnvFilter::try_from_env("CREEL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().without_time().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    // There is no other subscriber in this process.
    let _only = tracing_subscriber::registry().with(filter).with(lines).try_init();
    handle
}

async fn live(unit: String, filter: Filter) -> std::io::Result<creel_ipc::ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let around = Arc::new(Surroundings::from_env());
    let vitals = Vitals::default();
    let (link, incoming) = Link::stdio(vitals.clone())?;
    let worker = Worker {
        unit,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        selftest: selftest(),
        open: Box::new(move |config| open(config, &around)),
        configured: Box::new(move |config| {
            let level = config.log_level.as_deref().map(EnvFilter::try_new);
            if let Some(Ok(level)) = level {
                // Fails only without a subscriber.
                let _none = filter.reload(level);
            }
        }),
    };
    let stop = async move {
        terminate.recv().await;
    };
    Ok(worker.run(link, incoming, vitals, stop).await)
}

/// Tries what the seal and the sandbox forbid. `None` where there is no seal to test.
fn selftest() -> Option<SelfTest> {
    let report = creel_seal::selftest_of_unit();
    (!report.attempts.is_empty()).then(|| SelfTest { denied: report.denied(), escaped: report.escaped() })
}
