//! The one way out.
//!
//! Workers have no network. The launcher opens a loopback listener inside a unit's network namespace and the
//! supervisor hands it over here together with the operator's allow-list: whoever connects *is* that unit, no
//! token or path can be forged. Each connection asks for one destination, as an HTTP proxy client does
//! (`CONNECT host:port`, or an absolute-form request for plain HTTP). Egress normalises the host, looks for a
//! rule, resolves the name itself, refuses private addresses unless the operator wrote that very host, dials the
//! address that it checked, and compares the TLS server name. TLS itself stays end to end.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use creel_ipc::exit::ExitCode as Code;
use creel_ipc::hello::SelfTest;
use tracing_subscriber::EnvFilter;

mod access;
mod answer;
mod body;
mod denial;
mod head;
mod listener;
mod meter;
mod names;
mod proxy;
mod relay;
mod server_name;
mod service;
mod trial;
mod way;

#[cfg(test)]
mod tests;

/// Names that are looked up at the same time; fewer than the threads that the process may have.
const MAX_LOOKUPS: usize = 48;

/// Seals the process, starts the runtime and serves until the supervisor closes the link or asks to stop.
pub fn main() -> ExitCode {
    if let Some(answer) =
        creel_ipc::release::answer(std::env::args_os(), env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    {
        // Nobody is left to tell that nobody listens.
        let _closed = std::io::stdout().write_all(answer.as_bytes());
        return Code::Ok.into();
    }
    let filter = EnvFilter::try_from_env("CREEL_LOG").unwrap_or_else(|_unset| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .init();
    if let Err(error) = creel_seal::seal() {
        tracing::error!("egress cannot give up fork and exec: {error}");
        return Code::LaunchFailed.into();
    }
    let tested = creel_seal::selftest_of_unit();
    let selftest = (!tested.attempts.is_empty())
        .then(|| SelfTest { denied: tested.denied(), escaped: tested.escaped() });
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(MAX_LOOKUPS)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("egress cannot start its runtime: {error}");
            return Code::Failure.into();
        }
    };
    match runtime.block_on(service::serve(selftest)) {
        Ok(()) => Code::Ok.into(),
        Err(error) => {
            tracing::error!("{error}");
            error.exit_code()
        }
    }
}
