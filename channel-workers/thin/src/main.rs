//! Entry point.

fn main() -> std::process::ExitCode {
    creel_channel::main()
}
