use proptest::prelude::*;
use serde_json::json;

use super::*;

fn me() -> Me {
    Me { id: 42, username: "creel_bot".to_owned() }
}

fn group(message: Value) -> Value {
    let mut whole = json!({
        "message_id": 7, "date": 1_700_000_000, "chat": {"id": -100, "type": "supergroup", "title": "Team"},
        "from": {"id": 5, "first_name": "Ada", "last_name": "L", "username": "ada", "is_bot": false}
    });
    for (key, value) in message.as_object().unwrap() {
        whole[key] = value.clone();
    }
    json!({"update_id": 1, "message": whole})
}

fn inbound(message: Value) -> Inbound {
    read(&group(message), &me(), false).unwrap().inbound
}

#[test]
fn a_group_message_is_read() {
    let inbound = inbound(json!({"text": "hello"}));
    assert_eq!(inbound.ext_id, "-100:7");
    assert_eq!((inbound.chat.id.as_str(), inbound.chat.kind), ("-100", ChatKind::Group));
    assert_eq!(inbound.chat.title.as_deref(), Some("Team"));
    assert_eq!((inbound.sender.id.as_str(), inbound.sender.name.as_deref()), ("5", Some("Ada L")));
    assert_eq!((inbound.at_ms, inbound.mentioned), (1_700_000_000_000, false));
}

#[test]
fn mentions_are_found_by_utf16_offsets() {
    let mention = |text: &str, kind: &str, offset: usize, length: usize| {
        inbound(json!({"text": text, "entities": [{"type": kind, "offset": offset, "length": length}]}))
            .mentioned
    };
    assert!(mention("😀 hi @Creel_Bot!", "mention", 6, 10));
    assert!(!mention("😀 hi @creel_bot2", "mention", 6, 11));
    assert!(mention("/ask@creel_bot x", "bot_command", 0, 14));
    assert!(!mention("/ask x", "bot_command", 0, 4));
    // Inside a surrogate pair, and behind the end.
    assert!(!mention("😀@creel_bot", "mention", 1, 10));
    assert!(!mention("@creel_bot", "mention", 5, 4000));
    let named = json!({"text": "Creel, hi", "entities": [{"type": "text_mention", "offset": 0, "length": 5, "user": {"id": 42}}]});
    assert!(inbound(named).mentioned);
    let caption = json!({"photo": [{"file_id": "a", "width": 1, "height": 1}], "caption": "@creel_bot look",
        "caption_entities": [{"type": "mention", "offset": 0, "length": 10}]});
    assert!(inbound(caption).mentioned);
}

#[test]
fn a_reply_to_the_bot_mentions_it_but_the_opening_of_a_topic_does_not() {
    let reply = json!({"text": "yes", "reply_to_message": {"message_id": 3, "from": {"id": 42, "username": "creel_bot"}, "text": "sure?"}});
    let read = inbound(reply);
    assert!(read.mentioned);
    let quote = read.quote.unwrap();
    assert_eq!(
        (quote.message_id.as_str(), quote.text.as_deref(), quote.sender.as_deref()),
        ("3", Some("sure?"), Some("creel_bot"))
    );
    let opened = json!({"text": "x", "is_topic_message": true, "message_thread_id": 3,
        "reply_to_message": {"message_id": 3, "from": {"id": 42}, "forum_topic_created": {"name": "t"}}});
    let read = inbound(opened);
    assert!(!read.mentioned && read.quote.is_none());
    assert_eq!(read.chat.thread.as_deref(), Some("3"));
}

#[test]
fn topics_are_told_from_chains_of_replies() {
    let thread = |message: Value| inbound(message).chat.thread;
    assert_eq!(thread(json!({"text": "x", "message_thread_id": 9})), None);
    let forum = json!({"id": -100, "type": "supergroup", "is_forum": true});
    assert_eq!(thread(json!({"text": "x", "chat": forum})).as_deref(), Some("1"));
}

#[test]
fn channels_and_anonymous_administrators_speak_as_a_chat() {
    let read =
        inbound(json!({"text": "x", "sender_chat": {"id": -100, "title": "Team", "type": "supergroup"}}));
    assert_eq!((read.sender.id.as_str(), read.sender.name.as_deref()), ("-100", Some("Team")));
}

#[test]
fn changed_messages_are_new_ones_only_when_wanted() {
    let mut update = group(json!({"text": "x", "edit_date": 1_700_000_009}));
    update["edited_message"] = update["message"].take();
    assert!(read(&update, &me(), false).is_err());
    assert_eq!(read(&update, &me(), true).unwrap().inbound.ext_id, "-100:7:edit:1700000009");
}

#[test]
fn the_largest_photo_is_taken() {
    let sizes = json!([{"file_id": "s", "width": 90, "height": 60}, {"file_id": "l", "width": 900, "height": 600, "file_size": 5}, {"file_id": "m", "width": 300, "height": 200}]);
    let message = read(&group(json!({"photo": sizes})), &me(), false).unwrap();
    assert_eq!(message.files.len(), 1);
    assert_eq!((message.files[0].id.as_str(), message.files[0].bytes), ("l", Some(5)));
}

#[test]
fn updates_from_the_future_are_passed_over() {
    for update in [
        json!(null),
        json!([]),
        json!({"update_id": 1}),
        json!({"update_id": 1, "telepathy": {"thought": "?"}}),
        json!({"update_id": 1, "message": 5}),
        json!({"update_id": 1, "message": {"text": "no chat", "message_id": 1}}),
        json!({"update_id": 1, "message": {"chat": {"id": 1}, "text": "no id"}}),
        group(json!({"hologram": {"file_id": "h"}})),
        group(json!({"text": "own", "from": {"id": 42}})),
    ] {
        assert!(read(&update, &me(), true).is_err(), "{update}");
    }
    // Members of another type do not matter.
    let odd = json!({"text": "x", "entities": {"0": 1}, "reply_to_message": "no", "photo": "no", "date": "today", "from": []});
    assert_eq!(inbound(odd).text, "x");
}

fn any_json() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "message",
        "chat",
        "id",
        "message_id",
        "text",
        "entities",
        "type",
        "offset",
        "length",
        "from",
        "photo",
        "width",
        "file_id",
        "reply_to_message",
        "quote",
        "date",
    ]);
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((keys.clone(), inner), 0..8)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_update_breaks_the_reader(update in any_json()) {
        let _either = read(&update, &me(), true);
    }
}
