//! Prints what isolation this host gives, as `creel doctor` does, or seals itself and tries to start a process.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    creel_launch::reenter();
    let measured = creel_launch::probe_levels();
    let text = serde_json::to_string_pretty(&measured).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}
