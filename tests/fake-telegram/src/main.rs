//! `fake-telegram --port N`: the fake Bot API for tests of several processes.

use std::io::Write as _;

use clap::Parser;

#[derive(Parser)]
#[command(about = "A small Telegram Bot API server with faults on demand, for Creel's tests")]
struct Args {
    /// Loopback port; 0 takes a free one. The address is printed as the first line.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let fake = fake_telegram::Fake::start_on(args.port).await?;
    writeln!(std::io::stdout(), "{}", fake.api_root())?;
    std::future::pending::<()>().await;
    Ok(())
}
