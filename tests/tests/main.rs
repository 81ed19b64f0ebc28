//! Creel as a whole: the real binaries, in real processes, against fakes of the outside and a real ngircd.
//!
//! One program for all of them, so that they link once. Run some by name: `cargo test -p creel-tests irc`.

mod asked;
mod background;
mod backup;
mod bad_input;
mod chaos;
mod egress;
mod elevated;
mod faults;
mod injected;
mod irc;
mod kill_each_kind;
mod namespaces;
mod offline;
mod page;
mod postgres;
mod reload;
mod sandbox;
mod setup;
mod start_and_chat;
mod store_migrate;
mod supervisor;
mod system_calls;
mod telegram;
mod two_hosts;
mod upgrade;

use creel_kit::Creel;

/// Runs a test with its Creel and stops that in order afterwards, so that every test also shows a clean end.
async fn with(creel: Creel, test: impl AsyncFnOnce(&Creel) -> anyhow::Result<()>) -> anyhow::Result<()> {
    test(&creel).await?;
    creel.stop().await
}
