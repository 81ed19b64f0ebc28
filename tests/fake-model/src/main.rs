//! The fake model as a program, for trying things by hand.
#![expect(clippy::print_stdout, reason = "a command-line tool tells its address on stdout")]

use anyhow::Result;
use clap::Parser;

/// A model server that needs no model.
#[derive(Parser)]
struct Cli {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = fake_model::FakeModel::start(Cli::parse().port).await?;
    println!("{}", server.openai_url());
    server.run().await;
    Ok(())
}
