//! What every cross-process test needs: a home of its own with the real binaries in it, clients that talk to them,
//! and eyes on the processes. Nothing here knows how Creel works inside; everything goes through its doors.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use creel_kit::{TestHome, ws::Client};
//!
//! let home = TestHome::new()?;
//! let creel = home.start().await?;
//! let mut client = Client::connect(&creel).await?;
//! let run = client.send("main", "hello").await?;
//! println!("{}", client.wait_final(&run).await?.text);
//! creel.stop().await
//! # }
//! ```

pub mod binaries;
pub mod config;
pub mod creel;
pub mod deadline;
pub mod home;
pub mod http;
pub mod irc;
pub mod island;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod random;
pub mod telegram;
pub mod ws;

pub use creel::Creel;
pub use deadline::{until, within};
pub use home::{CliOutput, TestHome};
pub use island::Island;
pub use postgres::Postgres;
pub use proxy::Cable;
pub use telegram::TelegramHome;
