//! The egress process; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    creel_egress::main()
}
