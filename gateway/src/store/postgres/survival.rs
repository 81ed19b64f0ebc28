//! What is left after a server has died, and how gateways share one.

use std::collections::BTreeSet;

use creel_ipc::msg::agent::InputMessage;
use tokio::runtime::Runtime;

use super::schema::{STEPS, Step, migrate_steps};
use super::server::near;
use super::*;

const ACCOUNT: &str = "telegram:default";

pub(super) fn message(text: &str, lane: &str) -> NewMessage {
    let placed = Placed {
        lane: lane.to_owned(),
        agent: "main".to_owned(),
        kind: "direct".to_owned(),
        title: None,
        session_id: format!("s-{lane}"),
        run: None,
        resets: false,
        route: None,
        input: InputMessage {
            text: text.to_owned(),
            sender: None,
            author: None,
            context_only: false,
            quoted: None,
            attachments: Vec::new(),
            at_ms: 5,
        },
    };
    NewMessage { ext_id: text.to_owned(), cursor: None, now_ms: 100, fate: Fate::Turn(placed) }
}

fn claim(lane: &str, turn: &str) -> LaneClaim {
    LaneClaim {
        who: Claimant::alone("g"),
        lane: lane.to_owned(),
        turn: turn.to_owned(),
        merge: true,
        fresh_id: "fresh".to_owned(),
        stale_before_ms: i64::MIN,
        by_channel: Vec::new(),
        now_ms: 200,
    }
}

pub(super) fn hold(store: &mut Postgres, account: &str) -> Held {
    store.claim_account(&Claimant::alone("g"), account).unwrap().unwrap()
}

fn said(store: &mut Postgres, lane: &str) -> Vec<String> {
    let claimed = store.claim_lane(&claim(lane, &format!("turn of {lane}"))).unwrap().unwrap();
    claimed.input.into_iter().map(|input| input.text).collect()
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed_and_its_methods_tell_nothing_else() {
    let mut server = Server::start();
    let config = server.database();
    let mut store = Postgres::open(near(config.clone()), Promise::NoLoss, Rules::KEPT).unwrap();
    let own = hold(&mut store, ACCOUNT);

    // Within one group.
    store.begin_group().unwrap();
    store.accept(&own, &message("first", "a")).unwrap();
    server.kill();
    let refused = store.accept(&own, &message("second", "a")).unwrap_err();
    assert!(matches!(refused, StoreError::Away(_)), "{refused}");
    assert!(matches!(store.commit_group(), Err(StoreError::Away(_))), "nobody may be told of the first");
    assert!(matches!(store.begin_group(), Err(StoreError::Away(_))), "it says so until the server is back");
    server.run();
    let deadline = Instant::now() + Duration::from_secs(60);
    while store.begin_group().is_err() {
        assert!(Instant::now() < deadline, "it does not come back by itself");
    }
    for text in ["first", "second"] {
        store.accept(&own, &message(text, "a")).unwrap();
    }
    store.commit_group().unwrap();
    assert_eq!(said(&mut store, "a"), ["first", "second"]);

    // Among many.
    let names: Vec<String> = (0..600).map(|number| format!("m{number:03}")).collect();
    let desk = Desk::over(store).unwrap();
    let rt = Runtime::new().unwrap();
    let accept = |name: &String| {
        let (own, message) = (own.clone(), message(name, "b"));
        desk.submit(move |store| store.accept(&own, &message))
    };
    let (mut told, mut unknown) = (BTreeSet::new(), Vec::new());
    rt.block_on(async {
        let mut tickets = Vec::new();
        for name in &names {
            tickets.push((name, accept(name).await));
        }
        for (name, ticket) in tickets {
            match ticket.await {
                Ok(accepted) => {
                    assert_eq!(accepted, Accepted::Fresh);
                    told.insert(name.clone());
                }
                Err(StoreError::Away(_)) => unknown.push(name),
                Err(other) => panic!("{other}"),
            }
            if told.len() == 100 && unknown.is_empty() {
                server.kill();
            }
        }
    });
    assert!(told.len() >= 100 && !unknown.is_empty(), "{} told, {} unknown", told.len(), unknown.len());
    server.run();
    let mut after = Postgres::open(near(config), Promise::NoLoss, Rules::KEPT).unwrap();
    for name in &told {
        let again = after.accept(&own, &message(name, "b")).unwrap();
        assert_eq!(again, Accepted::Duplicate { run: None }, "{name} was acknowledged");
    }
    rt.block_on(async {
        for name in unknown {
            let deadline = Instant::now() + Duration::from_secs(60);
            while let Err(error) = accept(name).await.await {
                assert!(Instant::now() < deadline, "{error}");
            }
        }
    });
    assert_eq!(said(&mut after, "b"), names, "each once");
}

/// A search that takes its time keeps nobody from writing, nor the other way round.
#[test]
fn reads_do_not_wait_for_the_writer() {
    let mut server = Server::start();
    let desk = Desk::over_postgres(server.store()).unwrap();
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(async {
        let held = desk
            .write(|store| store.claim_account(&Claimant::alone("g"), "telegram:default"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(held.epoch(), 1);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (sender, receiver) = std::sync::mpsc::channel();
        let writing = desk.submit(move |store| {
            let now = store.now_ms()?;
            let _both = (begun.send(()), receiver.recv());
            Ok(now)
        });
        let writing = writing.await;
        has_begun.await.unwrap();
        let leases = desk.read(|store| store.leases()).await.unwrap();
        assert_eq!(leases.len(), 1, "what was acknowledged is read");
        sender.send(()).unwrap();
        writing.await.unwrap();
    });
}

#[test]
fn gateways_share_a_database() {
    let mut server = Server::start();
    a_failed_method_leaves_the_others_of_its_group(&mut server);
    groups_that_cross_do_not_lock_each_other_out(&mut server);
    two_adjacent_schemas_share_a_database(&mut server);
    a_text_may_hold_any_character(&mut server);
    a_gateway_that_pauses_keeps_nobody_out(&mut server);
}

fn a_failed_method_leaves_the_others_of_its_group(server: &mut Server) {
    let mut store = server.store();
    let old = hold(&mut store, ACCOUNT);
    let own = hold(&mut store, ACCOUNT);
    store.accept(&own, &message("before", "x")).unwrap();
    store.claim_lane(&claim("x", "t")).unwrap().unwrap();
    store.begin_group().unwrap();
    store.accept(&own, &message("a", "y")).unwrap();
    assert!(store.accept(&old, &message("b", "y")).is_err_and(|error| error.is_fenced()));
    store.accept(&own, &message("c", "y")).unwrap();
    // A turn of that name exists: the server itself refuses it, after other writes of the method.
    let refused = store.claim_lane(&claim("y", "t")).unwrap_err();
    assert!(matches!(refused, StoreError::Engine(_)), "{refused}");
    store.accept(&own, &message("d", "y")).unwrap();
    store.commit_group().unwrap();
    assert_eq!(said(&mut store, "y"), ["a", "c", "d"]);
}

fn groups_that_cross_do_not_lock_each_other_out(server: &mut Server) {
    let config = server.database();
    let write = |account: &'static str, lanes: [&'static str; 2]| {
        let mut store = Postgres::open(near(config.clone()), Promise::NoLoss, Rules::KEPT).unwrap();
        std::thread::spawn(move || {
            let own = hold(&mut store, account);
            for round in 0..40 {
                store.begin_group().unwrap();
                for lane in lanes {
                    let text = format!("{account} {lane} {round}");
                    assert_eq!(store.accept(&own, &message(&text, lane)).unwrap(), Accepted::Fresh);
                }
                store.commit_group().unwrap();
            }
        })
    };
    for thread in [write("telegram:a", ["a", "b"]), write("telegram:b", ["b", "a"])] {
        thread.join().unwrap();
    }
    let mut store = Postgres::open(near(config), Promise::NoLoss, Rules::KEPT).unwrap();
    let open = store.open_lanes(&Claimant::alone("g")).unwrap();
    assert_eq!(open.iter().map(|lane| lane.pending).collect::<Vec<_>>(), [80, 80]);
}

fn two_adjacent_schemas_share_a_database(server: &mut Server) {
    let config = server.database();
    let known = STEPS.len();
    let step = |sql, shared_from| Step { sql, shared_from };
    let with = |more: Vec<Step>| -> Vec<Step> {
        STEPS.iter().map(|known| step(known.sql, known.shared_from)).chain(more).collect()
    };
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Two that begin at once: one brings it up to date, the other finds it so.
    let begin = || {
        let config = config.clone();
        std::thread::spawn(move || Postgres::open(near(config), Promise::NoLoss, Rules::KEPT).map(drop))
    };
    for thread in [begin(), begin()] {
        thread.join().unwrap().unwrap();
    }
    let newer = "ALTER TABLE session ADD COLUMN later TEXT";
    let link = Link::open(&rt, &near(config.clone())).unwrap();
    migrate_steps(&rt, &link, "db", &with(vec![step(newer, known)])).unwrap();
    let mut before = Postgres::open(near(config.clone()), Promise::NoLoss, Rules::KEPT)
        .expect("the release before goes on");
    let own = hold(&mut before, ACCOUNT);
    assert_eq!(before.accept(&own, &message("a", "a")).unwrap(), Accepted::Fresh);
    drop(before);
    let contract = "ALTER TABLE session DROP COLUMN later";
    let both = with(vec![step(newer, known), step(contract, known + 1)]);
    migrate_steps(&rt, &link, "db", &both).unwrap();
    let refused = Postgres::open(near(config), Promise::NoLoss, Rules::KEPT).unwrap_err().to_string();
    let refused = refused.replace(&server.socket().display().to_string(), "SOCKET");
    insta::assert_snapshot!(refused, @"The database creel3 at SOCKET cannot be used: it has schema 8, which Creel shares from schema 7 on, and this Creel has schema 6. Upgrade this Creel to the release of the others, or restore a backup from before theirs.");
    // A step that fails leaves the database as it was.
    let broken = with(vec![step(newer, 1), step(contract, 1), step("INSERT INTO nowhere VALUES (1)", 1)]);
    let link = Link::open(&rt, &near(server.config("creel3"))).unwrap();
    let said = migrate_steps(&rt, &link, "db", &broken).unwrap_err().to_string();
    assert!(said.contains("nowhere"), "{said}");
}

fn a_text_may_hold_any_character(server: &mut Server) {
    let mut store = server.store();
    let own = hold(&mut store, ACCOUNT);
    let odd = "zero \0, \u{10ffff}, \u{7f}, '\\";
    store.accept(&own, &message(odd, "a\0b")).unwrap();
    assert_eq!(store.accept(&own, &message(odd, "a\0b")).unwrap(), Accepted::Duplicate { run: None });
    assert_eq!(said(&mut store, "a\0b"), [odd], "the message itself is as it was");
}

fn a_gateway_that_pauses_keeps_nobody_out(server: &mut Server) {
    let config = server.database();
    let mut paused = Postgres::open(near(config.clone()), Promise::NoLoss, Rules::KEPT).unwrap();
    let before = hold(&mut paused, ACCOUNT);
    paused.begin_group().unwrap();
    paused.accept(&before, &message("a", "a")).unwrap();
    // It says nothing more, and has the account's row. The next life takes over all the same.
    let mut next = Postgres::open(near(config), Promise::NoLoss, Rules::KEPT).unwrap();
    let own = hold(&mut next, ACCOUNT);
    assert_eq!(
        next.accept(&own, &message("a", "a")).unwrap(),
        Accepted::Fresh,
        "the first was told to nobody"
    );
    assert!(matches!(paused.commit_group(), Err(StoreError::Away(_))), "it wakes up and knows nothing");
    assert!(paused.accept(&before, &message("b", "a")).is_err_and(|error| error.is_fenced()));
}
