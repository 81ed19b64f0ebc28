//! The same on a PostgreSQL server, and how soon another gateway has the account of one that is gone.

use tokio::runtime::Runtime;
use tokio_postgres::Config;

use super::intake::{flat_out, steady, synced};
use super::*;
use crate::store::postgres::{Postgres, Promise, Reach};

/// How long a claim holds that nobody renews.
const TTL: Duration = Duration::from_secs(3);
/// How often others look.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is measured.
const TIMES: usize = 3;

/// Nothing without a server, whose socket's folder is in `CREEL_BENCH_POSTGRES` and whose user is `creel`.
pub(super) fn measure(home: &Home, runtime: &Runtime) -> Result<Vec<String>> {
    let Some(socket) = std::env::var_os("CREEL_BENCH_POSTGRES") else { return Ok(Vec::new()) };
    let mut config = Config::new();
    config.host_path(socket).user("creel").dbname("postgres");
    let reach = Reach::new(config, None)?;
    let open = || Postgres::open(reach.clone(), Promise::NoLoss, Rules::KEPT);
    let desk = Desk::over_postgres(open()?)?;
    let (rate, count) = runtime.block_on(flat_out(&desk))?;
    let mut waits = runtime.block_on(steady(&desk))?;
    drop(desk);
    let mut disk = synced(home)?;
    let mut gaps = Vec::with_capacity(TIMES);
    for number in 0..TIMES {
        gaps.push(failover(open()?, open()?, &format!("telegram:{number}"))?);
    }
    let (p50, p99) = (percentile(&mut waits, 0.5), percentile(&mut waits, 0.99));
    let within = TTL.as_secs_f64() * 1e3 + 1_000.0;
    Ok(vec![
        figure("accepted on PostgreSQL, 50 chats", rate, "messages/s", Some(500.0), count, "more is better"),
        figure("accepted on PostgreSQL at 500/s, p50", p50, "ms", None, waits.len(), ""),
        figure("accepted on PostgreSQL at 500/s, p99", p99, "ms", None, waits.len(), ""),
        figure(
            "the disk right after: 4 KiB appended and synced, p99",
            percentile(&mut disk, 0.99),
            "ms",
            None,
            disk.len(),
            "",
        ),
        figure(
            "an account of a gateway that is gone, slowest",
            percentile(&mut gaps, 1.0),
            "ms",
            Some(within),
            TIMES,
            "a lease of 3 s, from its last claim to another's first accepted message",
        ),
    ])
}

/// From the last claim of a gateway that does nothing any more to the first message that another one has accepted.
fn failover(mut gone: Postgres, mut next: Postgres, account: &str) -> Result<Duration> {
    let on = |host: &str| Claimant {
        life: format!("life of {host}"),
        host: host.to_owned(),
        rank: Rank::Primary,
        ttl: TTL,
    };
    let began = Instant::now();
    let held = gone.claim_account(&on("a"), account)?.context("it is free")?;
    let taken = loop {
        if let Some(taken) = next.claim_account(&on("b"), account)? {
            break taken;
        }
        std::thread::sleep(LOOK);
    };
    next.accept(&taken, &message(0, 0, TEXT))?;
    let gap = began.elapsed();
    let late = gone.accept(&held, &message(0, 1, TEXT));
    anyhow::ensure!(late.is_err_and(|error| error.is_fenced()), "the former holder was not refused");
    Ok(gap)
}
