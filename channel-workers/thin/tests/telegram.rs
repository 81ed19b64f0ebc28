//! The Telegram worker over a real link, with a scripted gateway, against the fake Bot API over loopback HTTP.

#[cfg(test)]
mod rig;

use creel_ipc::ErrorClass;
use creel_ipc::msg::channel::{ChannelState, ChatKind};
use fake_telegram::{Fake, Fault, Inject, TOKEN};
use rig::{Rig, Stand, direct, send};
use serde_json::json;

fn hello(text: &str) -> Inject {
    Inject { text: text.to_owned(), ..Inject::default() }
}

#[tokio::test]
async fn a_message_comes_in_and_its_answer_goes_out() {
    let fake = Fake::start().await.unwrap();
    let mut rig = Rig::telegram(&fake).await;
    fake.inject(hello("good morning")).unwrap();
    let inbound = rig.store().await;
    assert_eq!((inbound.text.as_str(), inbound.chat.kind), ("good morning", ChatKind::Direct));
    fake.confirmed(TOKEN).await;

    let sent = rig.send(&send("k1", "**Good** morning, _Ada_ & co <3")).await.unwrap();
    let said = fake.sent();
    assert_eq!(said[0].text, "Good morning, Ada & co <3");
    assert_eq!(said[0].entities[0], json!({"type": "bold", "offset": 0, "length": 4}));
    assert_eq!(sent.message_ids, [said[0].message_id.unwrap().to_string()]);
}

#[tokio::test]
async fn a_key_is_said_once_however_often_it_is_asked_for() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    fake.fault_next("sendMessage", Fault::Slow(50));
    let rig = Rig::telegram(&fake).await;
    let (order, second) = (send("k", "once"), send("k", "once"));
    let (a, b) = tokio::join!(rig.send(&order), rig.send(&second));
    let c = rig.send(&send("k", "once")).await;
    assert_eq!(a.unwrap(), b.unwrap());
    assert_eq!(c.unwrap().message_ids.len(), 1);
    assert_eq!(fake.sent().len(), 1);
}

#[tokio::test]
async fn a_lost_response_is_an_unknown_outcome_and_never_sent_again() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let rig = Rig::telegram(&fake).await;
    for (n, fault) in [Fault::LostResponse, Fault::ErrorAfter, Fault::Garbage].into_iter().enumerate() {
        fake.fault_next("sendMessage", fault);
        let order = send(&format!("k{n}"), &format!("message {n}"));
        let error = rig.send(&order).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::UnknownOutcome, "{fault:?}: {error}");
        let again = rig.send(&order).await.unwrap_err();
        assert_eq!(again.class(), ErrorClass::UnknownOutcome);
        assert_eq!(fake.sent().len(), n + 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_pause_that_the_platform_asks_for_is_kept() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let rig = Rig::telegram(&fake).await;
    fake.fault_next("sendMessage", Fault::RetryAfter(1));
    let error = rig.send(&send("k", "x")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::RetryAfter);
    assert_eq!(error.data.unwrap().retry_after_ms, Some(1000));
    // Until then the platform is not even asked.
    let error = rig.send(&send("k", "x")).await.unwrap_err();
    assert_eq!((error.class(), fake.calls("sendMessage")), (ErrorClass::RetryAfter, 1));
    rig.send_when_allowed(&send("k", "x")).await;
    assert_eq!(
        (fake.sent().len(), fake.calls("sendMessage")),
        (1, 2),
        "it was asked once more, and not too early"
    );
}

#[tokio::test]
async fn a_closed_door_is_transient_and_nothing_was_sent() {
    let fake = Fake::start().await.unwrap();
    let mut rig = Rig::telegram(&fake).await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    drop(fake);
    rig.status_when(|status| status.error.as_ref().is_some_and(|e| e.class() == ErrorClass::Transient)).await;
    let error = rig.send(&send("k", "x")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
}

#[tokio::test]
async fn long_messages_go_out_in_parts_and_resume_after_the_last() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let mut rig = Rig::telegram(&fake).await;
    let text: String =
        (0..40).map(|n| format!("Paragraph {n}: {}\n\n", "näïve 😀 words ".repeat(20))).collect();
    fake.fault_next("sendMessage", Fault::Slow(0));
    fake.fault_next("sendMessage", Fault::RetryAfter(1));
    let error = rig.send(&send("k", &text)).await.unwrap_err();
    assert_eq!(error.data.unwrap().parts_sent, Some(1));
    assert_eq!(rig.part().await.parts_sent, 1);
    let sent = rig.send_when_allowed(&send("k", &text)).await;
    let said = fake.sent();
    assert!(said.len() > 2 && sent.message_ids.len() == said.len());
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let whole: Vec<&str> = said.iter().map(|sent| sent.text.as_str()).collect();
    assert_eq!(squeezed(&whole.join(" ")), squeezed(&text));
}

#[tokio::test]
async fn the_offset_waits_until_the_message_is_stored() {
    let fake = Fake::start().await.unwrap();
    let mut rig = Rig::telegram(&fake).await;
    fake.inject(hello("keep me")).unwrap();
    let (_unanswered, inbound) = rig.inbound().await;
    assert_eq!(fake.unconfirmed(TOKEN), 1);
    // The worker dies before the answer.
    rig.kill().await;
    assert_eq!(fake.unconfirmed(TOKEN), 1);
    let mut rig = Rig::telegram(&fake).await;
    let again = rig.store().await;
    assert_eq!(again.ext_id, inbound.ext_id);
    fake.confirmed(TOKEN).await;
}

#[tokio::test]
async fn a_gateway_that_cannot_store_is_asked_again_and_the_order_stays() {
    let fake = Fake::start().await.unwrap();
    for text in ["one", "two", "three"] {
        fake.inject(hello(text)).unwrap();
    }
    let mut rig = Rig::telegram(&fake).await;
    let (id, inbound) = rig.inbound().await;
    assert_eq!(inbound.text, "one");
    rig.refuse(id, ErrorClass::Transient).await;
    assert_eq!(fake.unconfirmed(TOKEN), 3);
    for text in ["one", "two", "three"] {
        assert_eq!(rig.store().await.text, text);
    }
    fake.confirmed(TOKEN).await;
}

#[tokio::test]
async fn a_new_gateway_gets_what_the_old_one_did_not_answer() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let mut rig = Rig::telegram(&fake).await;
    fake.inject(hello("in flight")).unwrap();
    let (_unanswered, inbound) = rig.inbound().await;
    fake.fault_next("sendMessage", Fault::Slow(200));
    let order = send("k", "on its way");
    rig.ask_and_forget(&order).await;
    fake.called("sendMessage", 1).await;
    let mut rig = rig.take_over().await;
    let (sent, stored) = tokio::join!(rig.link.call::<creel_ipc::msg::channel::SendMessage>(&order), async {
        let (id, again) = rig::inbound(&mut rig.seen).await;
        rig::answer_stored(&rig.link, id).await;
        again
    });
    assert_eq!(stored.ext_id, inbound.ext_id);
    assert_eq!(sent.unwrap().message_ids.len(), 1);
    assert_eq!(fake.sent().len(), 1);
    fake.confirmed(TOKEN).await;
}

#[tokio::test]
async fn a_second_poller_is_a_conflict_and_a_webhook_is_removed() {
    let fake = Fake::start().await.unwrap();
    let mut rig = Rig::telegram(&fake).await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    rig::post(&fake, &format!("/bot{TOKEN}/getUpdates"), &json!({})).await;
    let status = rig.status_when(|status| status.error.is_some()).await;
    assert_eq!(status.error.unwrap().class(), ErrorClass::Conflict);
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    rig.kill().await;

    rig::post(&fake, &format!("/bot{TOKEN}/setWebhook"), &json!({"url": "https://example.org"})).await;
    fake.inject(hello("kept")).unwrap();
    let mut rig = Rig::telegram(&fake).await;
    assert_eq!(rig.store().await.text, "kept");
}

#[tokio::test]
async fn a_refused_token_stops_the_account_without_a_storm() {
    let fake = Fake::start().await.unwrap();
    fake.revoke(TOKEN);
    let mut rig = Rig::telegram(&fake).await;
    let status = rig.status_when(|status| status.state == ChannelState::Stopped).await;
    assert_eq!(status.error.unwrap().class(), ErrorClass::AuthFatal);
    let error = rig.send(&send("k", "x")).await.unwrap_err();
    assert_eq!((error.class(), fake.calls("getMe")), (ErrorClass::AuthFatal, 1));
    // A new token heals it without a restart.
    rig.reconfigure(rig::telegram_settings(&fake, "2000:other")).await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
}

#[tokio::test]
async fn a_wrong_setting_is_said_with_its_key() {
    let fake = Fake::start().await.unwrap();
    let cases = [
        (json!({}), "botToken"),
        (json!({"botToken": "x"}), "botToken"),
        (json!({"botToken": TOKEN, "apiRoot": "api.telegram.org"}), "apiRoot"),
        (json!({"botToken": TOKEN, "apiRoot": "http://h/bot1:x"}), "apiRoot"),
        (json!({"botToken": TOKEN, "pollTimeoutSeconds": 51}), "pollTimeoutSeconds"),
    ];
    for (settings, key) in cases {
        let mut rig = Rig::telegram_with(settings, Stand::default()).await;
        let status = rig.status_when(|status| status.state == ChannelState::Stopped).await;
        let error = status.error.unwrap();
        assert_eq!(error.class(), ErrorClass::ConfigFatal);
        assert!(error.message.contains(&format!("`{key}`")), "{error}");
    }
    drop(fake);
}

#[tokio::test]
async fn topics_keep_to_themselves_and_the_general_one_is_not_named() {
    let fake = Fake::start().await.unwrap();
    let mut rig = Rig::telegram(&fake).await;
    let forum = |thread| Inject {
        chat: -1001,
        forum: true,
        thread: Some(thread),
        mention: true,
        text: "hi".to_owned(),
        ..Inject::default()
    };
    fake.inject(forum(77)).unwrap();
    let inbound = rig.store().await;
    assert!(inbound.mentioned);
    assert_eq!(inbound.chat.thread.as_deref(), Some("77"));
    fake.inject(forum(1)).unwrap();
    assert_eq!(rig.store().await.chat.thread.as_deref(), Some("1"));
    for thread in ["77", "1"] {
        let mut order = send(&format!("k{thread}"), "there");
        order.route.chat_id = "-1001".to_owned();
        order.route.thread = Some(thread.to_owned());
        order.route.reply_to = Some(inbound.message_id.clone());
        rig.send(&order).await.unwrap();
    }
    let said = fake.sent();
    assert_eq!((said[0].thread, said[1].thread), (Some(77), None));
    assert!(said[0].reply_to.is_some());
    let mut typing = direct();
    typing.chat_id = "-1001".to_owned();
    typing.thread = Some("1".to_owned());
    rig.typing(typing, true).await;
    let said = fake.sent_when(|said| said.len() > 3).await;
    assert!(said[2..].iter().all(|sent| sent.method == "sendChatAction" && sent.thread == Some(1)));
}

#[tokio::test]
async fn typing_ends_when_it_is_hidden() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let rig = Rig::telegram(&fake).await;
    rig.typing(direct(), true).await;
    fake.sent_when(|said| said.len() > 1).await;
    rig.typing(direct(), false).await;
    rig.send(&send("k", "done")).await.unwrap();
    let after = fake.sent().iter().filter(|sent| sent.method == "sendChatAction").count();
    rig.send(&send("k2", "quiet")).await.unwrap();
    let later = fake.sent().iter().filter(|sent| sent.method == "sendChatAction").count();
    assert!(later <= after + 1, "{after} {later}");
}

#[tokio::test]
async fn a_draft_becomes_the_first_part() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let rig = Rig::telegram(&fake).await;
    rig.draft("turn", "Thinking").await;
    fake.sent_when(|said| said.len() == 1).await;
    rig.draft("turn", "Thinking **hard").await;
    fake.sent_when(|said| said.len() == 2).await;
    let mut order = send("k", &format!("Thinking **hard** is fun. {}", "And long. ".repeat(500)));
    order.draft = Some("turn".to_owned());
    // The answer to the last edit is lost; it can be repeated without harm.
    fake.fault_next("editMessageText", Fault::LostResponse);
    let sent = rig.send(&order).await.unwrap();
    let said = fake.sent();
    let methods: Vec<&str> = said.iter().map(|sent| sent.method.as_str()).collect();
    assert_eq!(methods, ["sendMessage", "editMessageText", "editMessageText", "sendMessage"]);
    assert_eq!(sent.message_ids[0], said[0].message_id.unwrap().to_string());
    assert!(said[2].text.starts_with("Thinking hard is fun."));
    // A version that comes late does not begin a new message.
    rig.draft("turn", "Thinking **hard** is").await;
    rig.send(&send("k2", "behind it")).await.unwrap();
    assert_eq!(fake.sent().len(), 5);
}

#[tokio::test]
async fn a_refused_markup_goes_out_as_plain_text() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let rig = Rig::telegram(&fake).await;
    fake.fault_next("sendMessage", Fault::BadMarkup);
    rig.send(&send("k", "**a** < b")).await.unwrap();
    let said = fake.sent();
    assert_eq!((said.len(), said[0].text.as_str()), (1, "a < b"));
    assert!(said[0].entities.is_empty());
}

#[tokio::test]
async fn a_poll_that_is_never_answered_does_not_make_the_account_deaf() {
    let fake = Fake::start().await.unwrap();
    fake.fault_next("getUpdates", Fault::HalfOpen);
    fake.fault_next("getUpdates", Fault::ErrorBefore);
    fake.fault_next("getUpdates", Fault::Garbage);
    fake.fault_next("getUpdates", Fault::RetryAfter(1));
    fake.inject(hello("still there?")).unwrap();
    let mut rig = Rig::telegram(&fake).await;
    assert_eq!(rig.store().await.text, "still there?");
}

#[tokio::test]
async fn unknown_updates_are_confirmed_and_do_not_stop_the_others() {
    let fake = Fake::start().await.unwrap();
    fake.inject(Inject { update: Some(json!({"message": {"from": "the future"}})), ..Inject::default() })
        .unwrap();
    fake.inject(Inject { merge: Some(json!({"entities": 7, "quote": []})), ..hello("odd") }).unwrap();
    let mut rig = Rig::telegram(&fake).await;
    assert_eq!(rig.store().await.text, "odd");
    fake.confirmed(TOKEN).await;
}

#[tokio::test]
async fn a_moved_group_is_followed() {
    let fake = Fake::start().await.unwrap();
    fake.chat(-5, &json!({"type": "group", "migrated_to": -1005})).unwrap();
    fake.chat(-1005, &json!({"type": "supergroup"})).unwrap();
    let rig = Rig::telegram(&fake).await;
    for key in ["a", "b"] {
        let mut order = send(key, "still here");
        order.route.chat_id = "-5".to_owned();
        rig.send(&order).await.unwrap();
    }
    assert!(fake.sent().iter().all(|sent| sent.chat_id == -1005));
    // The second message knew the way already.
    assert_eq!(fake.calls("sendMessage"), 3);
}

#[tokio::test]
async fn a_blocked_bot_is_a_bad_request() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({"blocked": true})).unwrap();
    let rig = Rig::telegram(&fake).await;
    let error = rig.send(&send("k", "x")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadRequest);
    assert!(error.message.contains("blocked"), "{error}");
}
