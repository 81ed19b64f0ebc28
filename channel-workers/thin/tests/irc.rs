//! The IRC worker over a real link, with a scripted gateway, against a real ngircd on loopback.

#[cfg(test)]
mod ircd;
#[cfg(test)]
mod rig;

use creel_channel::Surroundings;
use creel_ipc::ErrorClass;
use creel_ipc::msg::channel::{ChannelState, ChatKind, SendParams};
use ircd::{Person, Server};
use rig::{Rig, send};
use serde_json::{Value, json};

fn settings(server: &Server) -> Value {
    json!({"host": "127.0.0.1", "port": server.port, "tls": false, "nick": "creel", "channels": ["#room"], "floodDelayMs": 0})
}

async fn connected(server: &Server) -> Rig {
    let mut rig = Rig::irc(settings(server), Surroundings::default()).await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    rig
}

fn to(key: &str, target: &str, text: &str) -> SendParams {
    let mut params = send(key, text);
    params.route.chat_id = target.to_owned();
    params.route.kind = if target.starts_with('#') { ChatKind::Group } else { ChatKind::Direct };
    params
}

#[tokio::test]
async fn it_joins_and_hears_its_name_in_the_channel() {
    let server = Server::start().await;
    let mut ada = Person::connect(&server, "Ada").await;
    ada.join("#room").await;
    let mut rig = connected(&server).await;
    ada.see_in("#room", "creel").await;
    ada.say("PRIVMSG #room :just talking").await;
    ada.say("PRIVMSG #Room :Creel, what is the time?").await;
    let first = rig.store().await;
    let second = rig.store().await;
    assert!(!first.mentioned && second.mentioned);
    assert_eq!((second.chat.id.as_str(), second.chat.kind), ("#room", ChatKind::Group));
    assert_eq!((second.sender.id.as_str(), second.sender.name.as_deref()), ("ada", Some("Ada")));
    assert!(first.ext_id != second.ext_id);

    let mut answer = to("k", "#room", "It is **late**.");
    answer.route.addressee = Some("Ada".to_owned());
    assert_eq!(rig.send(&answer).await.unwrap().message_ids.len(), 1);
    assert_eq!(ada.hear_message("#room").await, ("creel".to_owned(), "Ada: It is late.".to_owned()));
}

#[tokio::test]
async fn direct_messages_go_both_ways_and_an_absent_person_is_said() {
    let server = Server::start().await;
    let mut ada = Person::connect(&server, "Ada").await;
    let mut rig = connected(&server).await;
    ada.say("PRIVMSG creel :hello").await;
    let inbound = rig.store().await;
    assert_eq!((inbound.chat.id.as_str(), inbound.chat.kind), ("ada", ChatKind::Direct));
    rig.send(&to("k", &inbound.chat.id, "Hi\nthere\r\nQUIT :injected")).await.unwrap();
    let said =
        [ada.hear_message("Ada").await.1, ada.hear_message("Ada").await.1, ada.hear_message("Ada").await.1];
    assert_eq!(said, ["Hi", "there", "QUIT :injected"]);
    let error = rig.send(&to("k2", "nobody", "x")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadRequest);
    assert!(error.message.contains("nobody"), "{error}");
    ada.say("PRIVMSG creel :\u{1}VERSION\u{1}").await;
    assert!(ada.hear(|line| line.contains("NOTICE")).await.contains("Creel"));
}

#[tokio::test]
async fn a_long_text_arrives_in_whole_lines_without_a_broken_character() {
    let server = Server::start().await;
    let mut ada = Person::connect(&server, "ada").await;
    ada.join("#room").await;
    let mut rig = connected(&server).await;
    ada.see_in("#room", "creel").await;
    let words = "naïve 🦀 中文字 👩‍👩‍👧 word ".repeat(60);
    let sent = rig.send(&to("k", "#room", &format!("{words}\n\nend"))).await.unwrap();
    let mut heard = Vec::new();
    while heard.last().is_none_or(|line| line != "end") {
        heard.push(ada.hear_message("#room").await.1);
    }
    assert_eq!(heard.len(), sent.message_ids.len());
    assert!(heard.len() > 4);
    heard.pop();
    assert_eq!(heard.join(" "), words.trim_end());
    // The server cuts at 512; lines that were far below would mean that its prefix was guessed too long.
    assert!(heard[0].len() > 400, "{}", heard[0].len());
    for n in 1..=u32::try_from(sent.message_ids.len()).unwrap() {
        assert_eq!(rig.part().await.parts_sent, n);
    }
}

#[tokio::test]
async fn a_taken_nick_gets_a_suffix() {
    let server = Server::start().await;
    let mut other = Person::connect(&server, "creel").await;
    other.join("#room").await;
    let mut rig = Rig::irc(settings(&server), Surroundings::default()).await;
    let status = rig.status_when(|status| status.state == ChannelState::Connected).await;
    assert_eq!(status.self_name.as_deref(), Some("creel_"));
    other.see_in("#room", "creel_").await;
    other.say("PRIVMSG #room :creel: not you").await;
    other.say("PRIVMSG #room :creel_: you").await;
    assert!(!rig.store().await.mentioned);
    assert!(rig.store().await.mentioned);
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let mut server = Server::start().await;
    let mut rig = connected(&server).await;
    server.stop();
    rig.status_when(|status| status.error.as_ref().is_some_and(|e| e.class() == ErrorClass::Transient)).await;
    let error = rig.send(&to("k", "#room", "anybody?")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    server.start_again().await;
    let mut ada = Person::connect(&server, "ada").await;
    ada.join("#room").await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    ada.see_in("#room", "creel").await;
    rig.send(&to("k", "#room", "back")).await.unwrap();
    assert_eq!(ada.hear_message("#room").await.1, "back");
}

#[tokio::test]
async fn a_kick_is_not_the_end() {
    let server = Server::start().await;
    let mut ada = Person::connect(&server, "ada").await;
    ada.join("#room").await;
    let rig = connected(&server).await;
    ada.see_in("#room", "creel").await;
    ada.say("KICK #room creel :out").await;
    ada.hear(|line| line.contains("KICK #room creel")).await;
    ada.see_in("#room", "creel").await;
    rig.send(&to("k", "#room", "again here")).await.unwrap();
    assert_eq!(ada.hear_message("#room").await.1, "again here");
}

#[tokio::test]
async fn tls_is_spoken_when_the_certificate_is_trusted_and_not_otherwise() {
    let server = Server::start().await;
    let mut settings = settings(&server);
    settings["tls"] = true.into();
    settings["port"] = server.tls_port.into();
    let mut rig = Rig::irc(settings.clone(), Surroundings::default()).await;
    let status = rig.status_when(|status| status.error.is_some()).await;
    assert!(
        status.error.unwrap().message.contains("TLS"),
        "the certificate of the tests is not to be trusted"
    );
    let around =
        Surroundings { roots: vec![include_bytes!("tls/ca.der").to_vec()], ..Surroundings::default() };
    let mut rig = Rig::irc(settings, around).await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
}
