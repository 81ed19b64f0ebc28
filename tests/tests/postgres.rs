//! The main job on PostgreSQL, with one host.

use anyhow::Result;
use creel_kit::{Postgres, TelegramHome, deadline, until};
use nix::sys::signal::Signal;

use crate::with;

const CHAT: i64 = 7;

#[tokio::test]
async fn a_home_on_postgresql_outlives_its_gateway_and_its_server() -> Result<()> {
    let mut server = Postgres::start()?;
    let home = TelegramHome::new().await?;
    home.home.configure(server.config("alpha", 3))?;
    with(home.start().await?, async |creel| {
        home.say(CHAT, "echo one")?;
        assert_eq!(home.wait_said(CHAT, 1).await?, ["one"]);
        // What is in the database is not in a file.
        assert!(!home.home.path().join("state/creel.db").exists());
        assert_eq!(server.query("SELECT host FROM creel.account WHERE id = 'telegram:default'")?, "alpha");

        // Its gateway dies in the middle of an answer.
        home.say(CHAT, "slow 1500 two")?;
        home.wait_asked("the second", |last| last.contains("two")).await?;
        let killed = creel.kill("gateway", Signal::SIGKILL).await?;
        assert_eq!(home.wait_said(CHAT, 2).await?[1], "two");
        creel.wait_replaced("gateway", killed).await?;

        // Its server dies and stays away for longer than a lease.
        server.kill()?;
        home.say(CHAT, "echo three")?;
        until("the host lets go", deadline::PATIENCE, async || {
            Ok(home.home.log("gateway").contains("has let go of the account telegram:default").then_some(()))
        })
        .await?;
        server.run()?;
        assert_eq!(home.wait_said(CHAT, 3).await?[2], "three");
        home.say(CHAT, "echo four")?;
        assert_eq!(home.wait_said(CHAT, 4).await?, ["one", "two", "three", "four"]);

        let doctor = creel.cli(&["doctor"]).await?;
        assert!(doctor.stdout.contains("A server takes connections at"), "{doctor:?}");
        let backup = creel.cli(&["backup", "create"]).await?;
        assert!(backup.code != Some(0) && backup.stderr.contains("pg_dump"), "{backup:?}");
        Ok(())
    })
    .await
}
