//! `cargo xtask bench store`: prints one JSON object a line.
#![expect(clippy::print_stdout, reason = "a command-line tool tells its result on stdout")]

fn main() -> anyhow::Result<()> {
    creel_gateway::bench::run(|line| println!("{line}"))
}
