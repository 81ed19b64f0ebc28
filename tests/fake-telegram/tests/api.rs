//! The fake keeps the rules of the real Bot API that clients trip over.

#[cfg(test)]
mod web;

use fake_telegram::{Fake, Fault, Inject, InjectFile, Odds, TOKEN};
use serde_json::{Value, json};
use web::{api, ids, raw};

fn text(text: &str) -> Inject {
    Inject { text: text.to_owned(), ..Inject::default() }
}

#[tokio::test]
async fn updates_come_again_until_their_offset_is_passed() {
    let fake = Fake::start().await.unwrap();
    let at = fake.address();
    let first = fake.inject(text("one")).unwrap().update_id;
    fake.inject(text("two")).unwrap();
    for _ in 0..2 {
        assert_eq!(ids(&api(at, "getUpdates", json!({})).await), [first, first + 1]);
    }
    assert_eq!(ids(&api(at, "getUpdates", json!({"offset": first + 1, "limit": 1})).await), [first + 1]);
    assert_eq!(fake.unconfirmed(TOKEN), 1);
    fake.inject(text("three")).unwrap();
    // A negative offset forgets all but the last.
    assert_eq!(ids(&api(at, "getUpdates", json!({"offset": -1})).await), [first + 2]);
    fake.advance(25 * 3600);
    assert_eq!(ids(&api(at, "getUpdates", json!({})).await), [0_i64; 0]);
}

#[tokio::test]
async fn a_long_poll_waits_and_a_younger_one_ends_it() {
    let fake = Fake::start().await.unwrap();
    let at = fake.address();
    let waiting = tokio::spawn(api(at, "getUpdates", json!({"timeout": 30})));
    fake.called("getUpdates", 1).await;
    let younger = tokio::spawn(api(at, "getUpdates", json!({"timeout": 30})));
    let ended = waiting.await.unwrap();
    assert_eq!(ended["error_code"], 409);
    assert!(ended["description"].as_str().unwrap().contains("terminated by other getUpdates"));
    let injected = fake.inject(text("hi")).unwrap();
    assert_eq!(ids(&younger.await.unwrap()), [injected.update_id]);
    api(at, "setWebhook", json!({"url": "https://example.org"})).await;
    let refused = api(at, "getUpdates", json!({})).await;
    assert!(refused["description"].as_str().unwrap().contains("webhook is active"), "{refused}");
    api(at, "deleteWebhook", json!({"drop_pending_updates": false})).await;
    assert_eq!(ids(&api(at, "getUpdates", json!({})).await), [injected.update_id]);
}

#[tokio::test]
async fn lengths_are_counted_in_utf16_units_behind_the_markup() {
    let fake = Fake::start().await.unwrap();
    let at = fake.address();
    fake.chat(1, &json!({})).unwrap();
    let say =
        |text: String| api(at, "sendMessage", json!({"chat_id": 1, "text": text, "parse_mode": "HTML"}));
    assert_eq!(say(format!("<b>{}</b>&lt;", "x".repeat(4095))).await["ok"], true);
    assert_eq!(say("😀".repeat(2048)).await["ok"], true);
    let long = say("😀".repeat(2049)).await;
    assert_eq!(long["description"], "Bad Request: message is too long");
    assert_eq!(say("<b> </b>".to_owned()).await["description"], "Bad Request: message text is empty");
    assert_eq!(say("<b>x".to_owned()).await["error_code"], 400);
    assert_eq!(fake.sent()[0].entities[0], json!({"type": "bold", "offset": 0, "length": 4095}));
}

#[tokio::test]
async fn topics_replies_and_edits_have_their_rules() {
    let fake = Fake::start().await.unwrap();
    let at = fake.address();
    fake.chat(-100, &json!({"is_forum": true, "topics": [7]})).unwrap();
    let say = |more: Value| {
        let mut params = json!({"chat_id": -100, "text": "x"});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        api(at, "sendMessage", params)
    };
    assert_eq!(say(json!({"message_thread_id": 7})).await["result"]["message_thread_id"], 7);
    assert_eq!(
        say(json!({"message_thread_id": 1})).await["description"],
        "Bad Request: message thread not found"
    );
    let typing =
        api(at, "sendChatAction", json!({"chat_id": -100, "message_thread_id": 1, "action": "typing"})).await;
    assert_eq!(typing["ok"], true);
    let lost = say(json!({"reply_parameters": {"message_id": 99}})).await;
    assert_eq!(lost["description"], "Bad Request: message to be replied not found");
    let lenient =
        say(json!({"reply_parameters": {"message_id": 99, "allow_sending_without_reply": true}})).await;
    let id = lenient["result"]["message_id"].clone();
    let edit =
        |text: &str| api(at, "editMessageText", json!({"chat_id": -100, "message_id": id, "text": text}));
    assert!(edit("x").await["description"].as_str().unwrap().contains("message is not modified"));
    assert_eq!(edit("y").await["result"]["text"], "y");
    assert_eq!(
        api(at, "sendMessage", json!({"chat_id": 5, "text": "x"})).await["description"],
        "Bad Request: chat not found"
    );
}

#[tokio::test]
async fn files_come_and_go() {
    let fake = Fake::start().await.unwrap();
    let at = fake.address();
    let file = InjectFile { kind: "photo".to_owned(), content: "pixels".to_owned(), ..InjectFile::default() };
    fake.inject(Inject { file: Some(file), ..text("caption") }).unwrap();
    let updates = api(at, "getUpdates", json!({})).await;
    let id = updates["result"][0]["message"]["photo"][1]["file_id"].clone();
    let told = api(at, "getFile", json!({"file_id": id})).await;
    let path = told["result"]["file_path"].as_str().unwrap();
    assert_eq!(raw(at, &format!("GET /file/bot{TOKEN}/{path} HTTP/1.1"), b"").await, b"pixels");
    let body = b"--B\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n501\r\n--B\r\nContent-Disposition: form-data; name=\"document\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nline\r\n--not it\r\n--B--\r\n";
    let head =
        format!("POST /bot{TOKEN}/sendDocument HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=B");
    raw(at, &head, body).await;
    let sent = fake.sent().remove(0).file.unwrap();
    assert_eq!((sent.name.as_str(), sent.mime.as_str(), sent.bytes), ("a.txt", "text/plain", 14));
}

#[tokio::test]
async fn repeated_updates_keep_or_change_their_id() {
    let fake = Fake::start().await.unwrap();
    let at = fake.address();
    fake.odds(Odds { duplicate_new_id: 1.0, duplicate_same_id: 1.0, ..Odds::default() });
    let first = fake.inject(text("twice")).unwrap().update_id;
    assert_eq!(ids(&api(at, "getUpdates", json!({})).await), [first, first + 1]);
    // Confirmed, and still there once more.
    assert_eq!(ids(&api(at, "getUpdates", json!({"offset": first + 2})).await), [first, first + 1]);
    assert_eq!(ids(&api(at, "getUpdates", json!({"offset": first + 2})).await), [0_i64; 0]);
}

#[tokio::test]
async fn a_lost_answer_was_carried_out_and_a_refused_token_is_told_apart() {
    let fake = Fake::start().await.unwrap();
    fake.chat(1, &json!({})).unwrap();
    fake.fault_next("sendMessage", Fault::LostResponse);
    let lost = tokio::spawn(api(fake.address(), "sendMessage", json!({"chat_id": 1, "text": "x"})));
    assert!(lost.await.is_err());
    assert_eq!((fake.sent().len(), fake.sent()[0].answered), (1, false));
    fake.revoke(TOKEN);
    assert_eq!(api(fake.address(), "getMe", json!({})).await["error_code"], 401);
    assert_eq!(web::post(fake.address(), "/botnonsense/getMe", &json!({})).await["error_code"], 404);
}
