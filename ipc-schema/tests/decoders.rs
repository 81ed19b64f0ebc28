//! No bytes crash a decoder, and no cut of the stream changes what is read.

use creel_ipc::catalog::methods;
use creel_ipc::frame::{Frame, Framer};
use creel_ipc::peer::Peer;
use creel_ipc::rpc::{Message, RpcError};
use proptest::prelude::*;
use serde_json::{Value, json};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (any::<u64>(), "[a-z.]{1,12}", any_json()).prop_map(|(id, method, params)| Message::Request {
            id,
            method,
            params
        }),
        ("[a-z.]{1,12}", any_json()).prop_map(|(method, params)| Message::Notification { method, params }),
        (any::<u64>(), any_json()).prop_map(|(id, result)| Message::Response { id, outcome: Ok(result) }),
        (any::<u64>(), any::<i64>(), ".{0,20}").prop_map(|(id, code, message)| Message::Response {
            id,
            outcome: Err(RpcError { code, message, data: None })
        }),
    ]
}

fn cut(bytes: &[u8], cuts: &[usize], max: usize) -> Vec<Frame> {
    let mut framer = Framer::new(max);
    let mut frames = Vec::new();
    let mut rest = bytes;
    for cut in cuts {
        let (head, tail) = rest.split_at((*cut).min(rest.len()));
        framer.push(head, |frame| frames.push(frame));
        rest = tail;
    }
    framer.push(rest, |frame| frames.push(frame));
    frames
}

proptest! {
    #[test]
    fn messages_survive_the_wire(message in any_message()) {
        let line = message.encode();
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(Message::decode(&line[..line.len() - 1]).unwrap(), message);
    }

    #[test]
    fn cuts_do_not_matter(
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'{'), any::<u8>()], 0..200),
        cuts in prop::collection::vec(0usize..40, 0..20),
    ) {
        prop_assert_eq!(cut(&bytes, &cuts, 16), cut(&bytes, &[], 16));
    }

    #[test]
    fn no_bytes_crash_a_peer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        Peer::new().push(&bytes, |_| {});
    }

    #[test]
    fn no_json_crashes_a_method(value in any_json()) {
        for method in methods() {
            let _ = (method.params.through)(value.clone());
            if let Some(result) = &method.result {
                let _ = (result.through)(value.clone());
            }
        }
    }
}
