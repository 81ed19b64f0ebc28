//! The `creel` binary: the launcher stage when it was started as one, else the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    creel_launch::reenter();
    creel_supervisor::cli::main()
}
