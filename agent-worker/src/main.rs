//! Entry point.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    creel_agent::run()
}
