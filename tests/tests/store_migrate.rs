//! A home outgrows its file, and comes back: `creel store migrate` with a real PostgreSQL, killed in the middle, too.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use creel_kit::{CliOutput, Postgres, TelegramHome, TestHome, deadline, process, until};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;

use crate::with;

const CHAT: i64 = 7;
/// Enough that a copy can be met in the middle.
const MANY: u32 = 30_000;
/// How often a copy is begun that is to be met in the middle.
const TRIES: u32 = 20;

/// Only the program that does the work is killed, as a machine's own killer would; and when it is met by `midway`. Says
/// whether it was.
async fn killed_midway(home: &TestHome, to: &str, midway: impl Fn() -> Result<bool>) -> Result<bool> {
    let mut command = home.command("creel");
    command.args(["store", "migrate", "--to", to]).stdin(Stdio::null());
    let mut creel = process::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let ended = until("the copy is met, or over", deadline::PATIENCE, async || {
        if creel.try_wait()?.is_some() {
            return Ok(Some(true));
        }
        Ok(midway()?.then_some(false))
    });
    let over = ended.await?;
    for program in process::children(creel.id()) {
        let _over = nix::sys::signal::kill(Pid::from_raw(i32::try_from(program)?), Signal::SIGKILL);
    }
    let status = creel.wait()?;
    Ok(!over && !status.success())
}

async fn migrate(home: &TestHome, args: &[&str]) -> Result<CliOutput> {
    let all: Vec<&str> = ["store", "migrate"].into_iter().chain(args.iter().copied()).collect();
    home.cli_within(&all, deadline::PATIENCE).await
}

fn rows(server: &Postgres, table: &str) -> Result<u64> {
    Ok(server.query(&format!("SELECT count(*) FROM creel.{table}"))?.parse()?)
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[tokio::test]
async fn a_home_moves_to_postgresql_and_back_and_a_killed_move_leaves_nothing() -> Result<()> {
    let server = Postgres::start()?;
    let home = TelegramHome::new().await?;
    let state = home.home.path().join("state");
    let (file, partial) = (state.join("creel.db"), state.join("creel.db.migrating"));
    let mut store = server.config("alpha", 3);
    store["store"]["kind"] = json!("sqlite");
    home.home.configure(store)?;
    with(home.start().await?, async |creel| {
        home.say(CHAT, "echo one")?;
        home.wait_said(CHAT, 1).await?;
        let refused = creel.cli(&["store", "migrate", "--to", "postgres"]).await?;
        ensure!(refused.code != Some(0) && refused.stderr.contains("already runs here"), "{refused:?}");
        Ok(())
    })
    .await?;
    let refused = migrate(&home.home, &["--to", "sqlite"]).await?;
    ensure!(refused.stderr.contains("in SQLite already"), "{refused:?}");

    let moved = migrate(&home.home, &["--to", "postgres", "--switch", "--json"]).await?.json()?;
    assert_eq!((&moved["already"], &moved["switched"]), (&json!(false), &json!(true)), "{moved}");
    assert_eq!(home.home.config()?["store"]["kind"], "postgres");
    with(home.start().await?, async |_| {
        home.say(CHAT, "echo two")?;
        assert_eq!(home.wait_said(CHAT, 2).await?, ["one", "two"]);
        Ok(())
    })
    .await?;
    let said = rows(&server, "transcript")?;
    ensure!(said >= 4, "{said} entries are not both turns");

    let fill = format!(
        "INSERT INTO creel.conversation VALUES ('old', 'agent:main:old', 'main');
         INSERT INTO creel.transcript (session_id, seq, entry, at_ms, run)
             SELECT 'old', n, '{{\"role\":\"user\",\"content\":[{{\"type\":\"text\",\"text\":\"東京 m' || n || '\"}}],\"timestamp\":1}}',
                 n, 'r' FROM generate_series(1, {MANY}) AS n"
    );
    server.query(&fill)?;
    let refused = migrate(&home.home, &["--to", "sqlite"]).await?;
    ensure!(refused.stderr.contains("creel.db is not empty: it holds rows of account (2)"), "{refused:?}");
    std::fs::rename(&file, state.join("creel.db.before"))?;

    let mut met = false;
    for _ in 0..TRIES {
        met = killed_midway(&home.home, "sqlite", || Ok(exists(&partial))).await?;
        if met {
            break;
        }
        std::fs::remove_file(&file)?;
    }
    ensure!(met, "no copy was met in the middle");
    ensure!(!exists(&file), "a copy that was not whole is in its place");
    let moved = migrate(&home.home, &["--to", "sqlite", "--switch", "--json"]).await?.json()?;
    let transcript =
        moved["tables"].as_array().context("tables")?.iter().find(|row| row["name"] == "transcript");
    assert_eq!(transcript.context("transcript")?["rows"], said + u64::from(MANY), "{moved}");
    ensure!(exists(&file) && !exists(&partial), "{:?}", std::fs::read_dir(&state)?.collect::<Vec<_>>());
    with(home.start().await?, async |_| {
        home.say(CHAT, "echo three")?;
        assert_eq!(home.wait_said(CHAT, 3).await?, ["one", "two", "three"]);
        Ok(())
    })
    .await?;

    let mut met = false;
    for _ in 0..TRIES {
        server.query("DROP SCHEMA IF EXISTS creel CASCADE")?;
        let copies =
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY transcript%' AND state = 'active'";
        met = killed_midway(&home.home, "postgres", || Ok(server.query(copies)? != "0")).await?;
        if met {
            break;
        }
    }
    ensure!(met, "no copy was met in the middle");
    assert_eq!(server.query("SELECT to_regclass('creel.meta') IS NULL")?, "t", "something stays of it");
    let moved = migrate(&home.home, &["--to", "postgres"]).await?;
    let said = moved.success()?;
    ensure!(
        said.contains("are in postgres at") && moved.stderr.contains("creel config set store.kind"),
        "{moved:?}"
    );
    assert_eq!(home.home.config()?["store"]["kind"], "sqlite", "nobody asked for it");
    let again = migrate(&home.home, &["--to", "postgres"]).await?;
    ensure!(again.success()?.contains("already holds everything"), "{again:?}");
    Ok(())
}
