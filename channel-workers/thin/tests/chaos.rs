//! Many messages both ways while the Bot API, the gateway and the worker fail by chance; the accounts must match.

#[cfg(test)]
mod rig;

use std::collections::{BTreeMap, BTreeSet};

use creel_ipc::ErrorClass;
use fake_telegram::{Fake, Inject, Odds, TOKEN};
use rig::{Rig, send};
use serde_json::json;

const CHATS: i64 = 3;
const MESSAGES: i64 = 40;

#[tokio::test]
async fn nothing_that_came_in_is_lost_or_out_of_order() {
    let fake = Fake::start().await.unwrap();
    fake.odds(Odds {
        seed: 11,
        methods: vec!["getUpdates".to_owned(), "getMe".to_owned()],
        error_before: 0.05,
        error_after: 0.05,
        closed_before: 0.05,
        lost_response: 0.1,
        duplicate_new_id: 0.1,
        duplicate_same_id: 0.1,
        ..Odds::default()
    });
    for n in 0..MESSAGES {
        for chat in 1..=CHATS {
            let text = n.to_string();
            fake.inject(Inject { chat, text, ..Inject::default() }).unwrap();
        }
    }
    // What a gateway would have in its inbox: each id once, in the order in which it was first stored.
    let mut inbox: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut rig = Rig::telegram(&fake).await;
    let mut step = 0;
    while ids.len() < usize::try_from(MESSAGES * CHATS).unwrap() {
        step += 1;
        let (id, inbound) = rig.inbound().await;
        if step % 17 == 0 {
            rig.refuse(id, ErrorClass::Transient).await;
            continue;
        }
        if ids.insert(inbound.ext_id) {
            inbox.entry(inbound.chat.id).or_default().push(inbound.text.parse().unwrap());
        }
        // The answer is lost with the worker, or with the gateway. A batch counts as a whole, so a worker that dies
        // within each would never get on.
        if [5, 40, 170].contains(&step) {
            rig.kill().await;
            rig = Rig::telegram(&fake).await;
        } else if step % 31 == 0 {
            rig = rig.take_over().await;
        } else {
            rig::answer_stored(&rig.link, id).await;
        }
    }
    for numbers in inbox.values() {
        assert_eq!(*numbers, (0..MESSAGES).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn nothing_is_said_twice_and_what_is_told_to_be_sent_was() {
    let fake = Fake::start().await.unwrap();
    fake.odds(Odds {
        seed: 5,
        methods: vec!["sendMessage".to_owned()],
        error_before: 0.1,
        error_after: 0.1,
        closed_before: 0.1,
        lost_response: 0.1,
        slow: 0.2,
        slow_ms: 5,
        ..Odds::default()
    });
    let rig = Rig::telegram(&fake).await;
    for chat in 1..=CHATS {
        fake.chat(chat, &json!({})).unwrap();
    }
    let mut told = BTreeMap::new();
    for n in 0..MESSAGES {
        let mut asked = Vec::new();
        for chat in 1..=CHATS {
            let mut order = send(&format!("{chat}:{n}"), &format!("{chat}:{n}"));
            order.route.chat_id = chat.to_string();
            asked.push(order);
        }
        let [a, b, c] = asked.as_slice() else { unreachable!() };
        let outcomes = tokio::join!(rig.send(a), rig.send(b), rig.send(c));
        for (order, outcome) in asked.iter().zip([outcomes.0, outcomes.1, outcomes.2]) {
            // Asked again, a settled key has the same outcome and nothing more is said.
            if outcome.as_ref().is_ok_and(|_| n % 3 == 0) {
                assert_eq!(rig.send(order).await, outcome);
            }
            told.insert(order.key.clone(), outcome.map_err(|error| error.class()));
        }
    }
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for sent in fake.sent() {
        assert_eq!(sent.token, TOKEN);
        *said.entry(sent.text).or_default() += 1;
    }
    for (key, outcome) in told {
        let times = said.get(&key).copied().unwrap_or(0);
        match outcome {
            Ok(_) => assert_eq!(times, 1, "{key}"),
            Err(ErrorClass::UnknownOutcome) => assert!(times <= 1, "{key}"),
            Err(class) => panic!("{key}: {class:?}"),
        }
    }
}
