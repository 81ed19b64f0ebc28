//! A process that is killed in the middle of writing, and what its successor needs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

const PENDING: usize = 10_000;
const VICTIM: &str = "CREEL_BENCH_VICTIM";

pub(super) fn is_the_victim() -> bool {
    std::env::var_os(VICTIM).is_some()
}

/// Stores what is to be found later, says so, and writes on until it is killed.
pub(super) fn be_the_victim() -> Result<()> {
    let path = PathBuf::from(std::env::var_os(VICTIM).context("the database is not named")?);
    let mut store = Sqlite::open(&path, Rules::KEPT)?;
    let held =
        store.claim_account(&Claimant::alone("victim"), ACCOUNT)?.context("nobody holds the account")?;
    for n in (0..).step_by(100) {
        store.begin_group()?;
        for n in n..n + 100 {
            store.accept(&held, &message(n % 500, n, TEXT))?;
        }
        store.commit_group()?;
        if n + 100 == PENDING {
            std::io::stdout().write_all(b"stored\n")?;
        }
    }
    Ok(())
}

pub(super) fn measure(home: &Home) -> Result<Vec<String>> {
    let path = home.file("killed.db");
    let mut victim =
        Command::new(std::env::current_exe()?).env(VICTIM, &path).stdout(Stdio::piped()).spawn()?;
    let stdout = victim.stdout.take().context("no pipe")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    victim.kill()?;
    victim.wait()?;
    anyhow::ensure!(line == "stored\n", "the victim said {line:?}");
    let began = Instant::now();
    let mut store = Sqlite::open(&path, Rules::KEPT)?;
    let _reader = store.reader()?;
    let who = Claimant::alone("successor");
    store.claim_account(&who, ACCOUNT)?.context("the account is held")?;
    let lanes = store.open_lanes(&who)?;
    let pending: u32 = lanes.iter().map(|lane| lane.pending).sum();
    let first = lanes.first().context("nothing was stored")?;
    let claim = LaneClaim {
        who,
        lane: first.lane.clone(),
        turn: "t".to_owned(),
        merge: true,
        fresh_id: "f".to_owned(),
        stale_before_ms: i64::MIN,
        by_channel: Vec::new(),
        now_ms: 1_790_000_000_000,
    };
    store.claim_lane(&claim)?.context("the first lane cannot be claimed")?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    anyhow::ensure!(pending as usize >= PENDING, "only {pending} messages are there");
    let note = format!("{pending} messages in {} lanes; until the first turn is claimed", lanes.len());
    Ok(vec![figure("recovery after SIGKILL with 10,000 pending", took, "ms", Some(1_000.0), 1, &note)])
}
