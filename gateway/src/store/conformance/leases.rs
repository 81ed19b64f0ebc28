//! Who may claim what, when there are several gateways.

use std::time::Duration;

use super::*;

/// So long that the real time that a test takes does not matter beside it.
const TTL: Duration = Duration::from_secs(1_000);

fn on(host: &str, rank: Rank) -> Claimant {
    Claimant { life: format!("life of {host}"), host: host.into(), rank, ttl: TTL }
}

fn primary(host: &str) -> Claimant {
    on(host, Rank::Primary)
}

fn claim_on(host: &str, turn: &str) -> LaneClaim {
    LaneClaim { who: primary(host), ..claim(turn, false) }
}

fn writes(store: &mut dyn Store, own: &Held, text: &str) -> bool {
    match store.accept(own, &message(text, Fate::Turn(placed(text)))) {
        Ok(_) => true,
        Err(StoreError::Fenced(Lost::Account(account))) if account == own.account() => false,
        Err(other) => panic!("{other}"),
    }
}

pub(super) fn an_account_is_one_hosts_at_a_time(store: &mut dyn Store) {
    let before = store.now_ms().unwrap();
    let first = store.claim_account(&primary("a"), ACCOUNT).unwrap().unwrap();
    let moment = first.until_ms() - 1_000_000;
    assert!(before <= moment && moment <= store.now_ms().unwrap());
    assert_eq!(first.good_for(), Duration::from_secs(750));
    assert_eq!(store.claim_account(&primary("b"), ACCOUNT).unwrap(), None, "it is held");
    assert!(store.claim_account(&primary("b"), "telegram:work").unwrap().is_some(), "another one is not");
    store.pass(TTL / 2);
    let renewed = store.renew(&primary("a"), std::slice::from_ref(&first), &[]).unwrap();
    assert_eq!((renewed.accounts.len(), renewed.accounts[0].epoch()), (1, first.epoch()));
    assert!(renewed.accounts[0].until_ms() > first.until_ms() && renewed.lost.is_empty());
    store.pass(TTL * 3 / 4);
    assert_eq!(store.claim_account(&primary("b"), ACCOUNT).unwrap(), None, "it was renewed");
    store.pass(TTL / 4);
    let second = store.claim_account(&primary("b"), ACCOUNT).unwrap().unwrap();
    assert!(second.epoch() > first.epoch());
    assert!(!writes(store, &first, "late") && !writes(store, &renewed.accounts[0], "late"));
    assert!(writes(store, &second, "a"));
    store.release(std::slice::from_ref(&second), &[]).unwrap();
    let third = store.claim_account(&primary("a"), ACCOUNT).unwrap().unwrap();
    assert!(!writes(store, &second, "b") && writes(store, &third, "b"));
    store.release(&[first, second], &[]).unwrap();
    assert_eq!(store.claim_account(&primary("b"), ACCOUNT).unwrap(), None, "only its holder gives it away");
}

pub(super) fn a_successor_on_the_same_host_waits_for_nobody(store: &mut dyn Store) {
    for host in ["", "a"] {
        let life = |life: &str| Claimant { life: life.into(), ..primary(host) };
        let account = format!("telegram:on-{host}");
        let before = store.claim_account(&life("1"), &account).unwrap().unwrap();
        let after = store.claim_account(&life("2"), &account).unwrap().unwrap();
        assert!(!writes(store, &before, "x") && writes(store, &after, "x"));
        let turn = store.claim_lane(&LaneClaim { who: life("1"), ..claim("t1", false) }).unwrap().unwrap();
        let again = store.claim_lane(&LaneClaim { who: life("2"), ..claim("t2", false) }).unwrap().unwrap();
        assert_eq!((again.turn.turn, again.falls), (turn.turn.turn, 0));
        store.finish_turn(&TurnRef { turn: "t1".into(), epoch: again.lease.epoch() }, &finish(&[])).unwrap();
        // The turns are forgotten, so that their ids can be used again.
        store.prune(i64::MAX).unwrap();
    }
}

pub(super) fn the_rank_says_who_is_first(store: &mut dyn Store) {
    let [first, second, third] = [on("a", Rank::Primary), on("b", Rank::Secondary), on("c", Rank::Standby)];
    // Nobody ever held it: who comes later by rank waits from the first question on.
    assert_eq!(store.claim_account(&third, ACCOUNT).unwrap(), None);
    assert_eq!(store.claim_account(&second, ACCOUNT).unwrap(), None);
    store.pass(TTL);
    assert_eq!(store.claim_account(&third, ACCOUNT).unwrap(), None);
    let held = store.claim_account(&second, ACCOUNT).unwrap().unwrap();
    store.release(&[held], &[]).unwrap();
    assert_eq!(store.claim_account(&third, ACCOUNT).unwrap(), None);
    assert!(store.claim_account(&first, ACCOUNT).unwrap().is_some(), "the primary is first");
    store.pass(TTL * 3);
    assert!(store.claim_account(&third, ACCOUNT).unwrap().is_some(), "when all others are away");

    let own = hold(store, "g", WEB);
    say(store, &own, "a");
    let sees = |store: &mut dyn Store, who: &Claimant| store.open_lanes(who).unwrap().len();
    assert_eq!((sees(store, &first), sees(store, &second), sees(store, &third)), (1, 0, 0));
    store.pass(TTL);
    assert_eq!((sees(store, &first), sees(store, &second), sees(store, &third)), (1, 1, 0));
    store.pass(TTL);
    assert_eq!(sees(store, &third), 1);
}

const WEB: &str = "webchat:default";

pub(super) fn what_was_lost_is_named_when_it_is_renewed(store: &mut dyn Store) {
    let a = store.claim_account(&primary("a"), ACCOUNT).unwrap().unwrap();
    let kept = store.claim_account(&primary("a"), WEB).unwrap().unwrap();
    assert!(writes(store, &a, "a"));
    let lane = store.claim_lane(&claim_on("a", "t1")).unwrap().unwrap().lease;
    store.pass(TTL);
    store.claim_account(&primary("b"), ACCOUNT).unwrap().unwrap();
    store.claim_lane(&claim_on("b", "t2")).unwrap().unwrap();
    let renewed = store.renew(&primary("a"), &[a, kept.clone()], &[lane]).unwrap();
    assert_eq!(renewed.accounts.iter().map(Held::account).collect::<Vec<_>>(), [WEB]);
    assert!(renewed.lanes.is_empty());
    assert_eq!(renewed.lost, [Lost::Account(ACCOUNT.into()), Lost::Lane(LANE.into())]);
}

pub(super) fn a_holder_that_is_late_but_not_replaced_goes_on(store: &mut dyn Store) {
    let held = store.claim_account(&primary("a"), ACCOUNT).unwrap().unwrap();
    store.pass(TTL * 5);
    assert!(writes(store, &held, "a"), "nobody else has claimed it");
    let renewed = store.renew(&primary("a"), &[held], &[]).unwrap();
    assert_eq!(renewed.accounts.len(), 1);
    assert_eq!(store.claim_account(&primary("b"), ACCOUNT).unwrap(), None);
}

pub(super) fn a_lane_is_one_hosts_at_a_time(store: &mut dyn Store) {
    let own = store.claim_account(&primary("a"), ACCOUNT).unwrap().unwrap();
    say(store, &own, "a");
    let first = store.claim_lane(&claim_on("a", "t1")).unwrap().unwrap();
    assert_eq!((first.lease.key(), first.lease.epoch()), (LANE, first.turn.epoch));
    assert_eq!(store.claim_lane(&claim_on("b", "t2")).unwrap(), None, "it is held");
    assert!(store.open_lanes(&primary("b")).unwrap().is_empty());
    store.pass(TTL / 2);
    let lease = store.renew(&primary("a"), &[], &[first.lease]).unwrap().lanes.remove(0);
    store.pass(TTL * 3 / 4);
    assert_eq!(store.claim_lane(&claim_on("b", "t2")).unwrap(), None, "it was renewed");
    store.pass(TTL / 4);
    assert_eq!(store.open_lanes(&primary("b")).unwrap()[0].turn.as_ref(), Some(&first.turn));
    let second = store.claim_lane(&claim_on("b", "t2")).unwrap().unwrap();
    assert_eq!((second.turn.turn.as_str(), texts(&second)), ("t1", vec!["a"]), "the same turn goes on");
    let late = store.finish_turn(&first.turn, &finish(&["x"])).unwrap_err();
    assert_eq!(late, StoreError::Fenced(Lost::Turn("t1".into())));
    store.release(&[], &[lease]).unwrap();
    assert_eq!(store.claim_lane(&claim_on("a", "t3")).unwrap(), None, "only its holder gives it away");
    store.release(&[], &[second.lease]).unwrap();
    assert!(store.claim_lane(&claim_on("a", "t3")).unwrap().is_some());
}

pub(super) fn an_idle_lane_is_anybodys(store: &mut dyn Store) {
    let own = store.claim_account(&primary("a"), ACCOUNT).unwrap().unwrap();
    say(store, &own, "a");
    let turn = store.claim_lane(&claim_on("a", "t1")).unwrap().unwrap().turn;
    store.finish_turn(&turn, &finish(&[])).unwrap();
    say(store, &own, "b");
    say(store, &own, "c");
    let claimed = store.claim_lane(&claim_on("b", "t2")).unwrap().unwrap();
    store.finish_turn(&claimed.turn, &finish(&[])).unwrap();
    assert_eq!(store.claim_lane(&claim_on("a", "t3")).unwrap(), None, "what waits is its holder's first");
    let claimed = store.claim_lane(&claim_on("b", "t3")).unwrap().unwrap();
    assert_eq!(texts(&claimed), ["c"]);
}

pub(super) fn an_adopted_turn_takes_its_lane_along(store: &mut dyn Store) {
    let own = store.claim_account(&primary("a"), ACCOUNT).unwrap().unwrap();
    say(store, &own, "a");
    let claimed = store.claim_lane(&claim_on("a", "t1")).unwrap().unwrap();
    store.pass(TTL);
    let adopted = store.adopt_turn(&primary("b"), &claimed.turn).unwrap().unwrap();
    assert_eq!((adopted.lease.epoch(), &adopted.turn), (claimed.lease.epoch(), &claimed.turn));
    assert!(adopted.lease.until_ms() > claimed.lease.until_ms());
    assert_eq!(store.claim_lane(&claim_on("a", "t2")).unwrap(), None);
}

pub(super) fn claims_are_listed(store: &mut dyn Store) {
    let own = store.claim_account(&primary("a"), ACCOUNT).unwrap().unwrap();
    say(store, &own, "a");
    store.pass(TTL / 2);
    store.claim_lane(&claim_on("b", "t1")).unwrap().unwrap();
    store.pass(TTL);
    let mut seen = Vec::new();
    for row in store.leases().unwrap() {
        assert_eq!(row.life, format!("life of {}", row.host));
        // A store with a real clock is a little further.
        seen.push((row.what, row.host, row.epoch, (row.left_ms + 499_999).div_euclid(500_000)));
    }
    assert_eq!(
        seen,
        [
            (Lost::Account(ACCOUNT.into()), "a".to_owned(), 1, -1),
            (Lost::Lane(LANE.into()), "b".to_owned(), 1, 0),
        ]
    );
}
