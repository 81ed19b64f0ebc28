use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::super::frame;
use super::*;

/// Frames between rubbish and almost right.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("\"type\":\"req\"".to_owned()),
        Just("\"id\":\"1\"".to_owned()),
        Just("\"id\":1".to_owned()),
        Just("\"method\":\"chat.send\"".to_owned()),
        Just("\"method\":\"agent\"".to_owned()),
        Just("\"method\":\"sessions.list\"".to_owned()),
        Just("\"params\":{\"limit\":-1}".to_owned()),
        Just("\"params\":null".to_owned()),
        Just(",".to_owned()),
        "\\PC{0,12}",
    ];
    let valid = (
        any::<String>(),
        prop::sample::select(vec!["health", "chat.send", "agent", "x", "connect"]),
        "\\PC{0,20}",
    )
        .prop_map(|(id, method, params)| {
            json!({"type": "req", "id": id, "method": method, "params": {params: 1}}).to_string()
        });
    prop_oneof![
        any::<String>(),
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        valid
    ]
}

proptest! {
    #![proptest_config(Config::with_cases(10_000))]
    #[test]
    fn any_text_is_a_request_or_is_answered(text in nearly()) {
        if let Err(wrong) = frame::read(&text) {
            let answer: Value = serde_json::from_str(&wrong.answer()).unwrap();
            prop_assert_eq!(&answer["ok"], false);
            prop_assert!(answer["error"]["message"].as_str().unwrap().starts_with("invalid request frame: "));
        }
    }

}

proptest! {
    #[test]
    fn any_parameters_of_connect_are_decided(value in "\\PC{0,40}", low in any::<i64>(), high in any::<i64>()) {
        let params = json!({
            "minProtocol": low, "maxProtocol": high, "auth": {"token": value},
            "client": {"id": "cli", "version": "1", "platform": value, "mode": "cli"},
        });
        let _ = super::super::admission::decide(&params, true, |_| false);
    }
}

#[tokio::test]
async fn ten_thousand_bad_frames_are_each_answered() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..100 {
        let batch: Vec<String> =
            (0..100).map(|_| nearly().new_tree(&mut runner).unwrap().current()).collect();
        for text in &batch {
            client.text(text).await;
        }
        let mut answered = 0;
        while answered < batch.len() {
            if client.frame().await["type"] == "res" {
                answered += 1;
            }
        }
    }
    assert_eq!(client.call("health", json!({})).await["ok"], true);
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_only_their_own_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_core, desk) = counter().await;
    let mut seed = 1_u64;
    for round in 0..200_usize {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let serving = tokio::spawn(connection::serve(theirs, desk.clone(), here(true)));
        let bytes: Vec<u8> = (0..round)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 33) as u8
            })
            .collect();
        ours.write_all(&bytes).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut said = Vec::new();
        ours.read_to_end(&mut said).await.unwrap();
        serving.await.expect("no panic");
    }
    let (mut client, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    assert_eq!(client.call("health", json!({})).await["ok"], true);
}
