//! A server with a standby that takes over.

use super::server::near;
use super::survival::{hold, message};
use super::*;
use tokio_postgres::Config;

const ACCOUNT: &str = "telegram:default";

fn refusal(config: &Config) -> String {
    Postgres::open(near(config.clone()), Promise::NoLoss, Rules::KEPT).map(drop).unwrap_err().to_string()
}

#[test]
fn a_failover_loses_nothing_with_a_synchronous_standby_and_an_asynchronous_one_is_refused() {
    let mut server = Server::start();
    let config = server.database();
    drop(Postgres::open(near(config.clone()), Promise::NoLoss, Rules::KEPT).unwrap());
    let mut standby = server.standby();
    let deadline = Instant::now() + Duration::from_secs(60);
    let hide = |said: String| said.replace(&server.socket().display().to_string(), "SOCKET");
    while Postgres::open(near(config.clone()), Promise::NoLoss, Rules::KEPT).is_ok() {
        assert!(Instant::now() < deadline, "the standby does not follow");
        std::thread::sleep(Duration::from_millis(50));
    }
    insta::assert_snapshot!(hide(refusal(&config)), @"The database creel1 at SOCKET cannot be used: its server has asynchronous standbys (1), and whoever fails over to one loses what was acknowledged last. On the server run `ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'` and `SELECT pg_reload_conf()`.");
    drop(
        Postgres::open(near(config.clone()), Promise::BestEffort, Rules::KEPT)
            .expect("who asks for less gets it"),
    );
    let only_reads = Postgres::open(near(standby.config("creel1")), Promise::NoLoss, Rules::KEPT).map(drop);
    assert!(matches!(only_reads, Err(StoreError::Away(_))), "{only_reads:?}");

    server.tell("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'");
    server.tell("postgres", "SELECT pg_reload_conf()");
    while let Err(error) = Postgres::open(near(config.clone()), Promise::NoLoss, Rules::KEPT) {
        assert!(Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut both = config.clone();
    both.host_path(standby.socket());
    let mut store = Postgres::open(near(both), Promise::NoLoss, Rules::KEPT).unwrap();
    let own = hold(&mut store, ACCOUNT);
    for round in 0..20 {
        store.begin_group().unwrap();
        for number in 0..5 {
            store.accept(&own, &message(&format!("{round}-{number}"), "a")).unwrap();
        }
        store.commit_group().unwrap();
    }
    server.kill();
    assert!(store.accept(&own, &message("late", "a")).is_err());
    standby.tell("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
    standby.tell("postgres", "SELECT pg_promote()");
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = store.begin_group() {
        assert!(Instant::now() < deadline, "it does not find the new server: {error}");
        std::thread::sleep(Duration::from_millis(20));
    }
    for round in 0..20 {
        for number in 0..5 {
            let again = store.accept(&own, &message(&format!("{round}-{number}"), "a")).unwrap();
            assert_eq!(again, Accepted::Duplicate { run: None }, "{round}-{number} was acknowledged");
        }
    }
    assert_eq!(store.accept(&own, &message("late", "a")).unwrap(), Accepted::Fresh);
    store.commit_group().unwrap();
    standby.kill();
}
