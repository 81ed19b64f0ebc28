//! Entry point.

use std::process::ExitCode;

fn main() -> ExitCode {
    match creel_gateway::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(error.exit_code()),
    }
}
