//! The IRC worker against a server that a test plays line by line, for what a good server never does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[cfg(test)]
mod rig;

use std::time::Duration;

use creel_channel::{IrcPace, Surroundings};
use creel_ipc::ErrorClass;
use creel_ipc::msg::channel::{ChannelState, SendParams};
use rig::{Rig, send};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

struct Server {
    listener: TcpListener,
}

struct Client(BufReader<TcpStream>);

impl Server {
    async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn settings(&self) -> Value {
        let port = self.listener.local_addr().unwrap().port();
        json!({"host": "127.0.0.1", "port": port, "tls": false, "nick": "creel", "channels": ["#room"], "floodDelayMs": 0})
    }

    /// Takes the next client in.
    async fn welcome(&self) -> Client {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut client = Client(BufReader::new(stream));
        client.hear("USER").await;
        client.say(":irc 001 creel :Welcome").await;
        client.say(":irc 376 creel :End").await;
        client.hear("JOIN #room").await;
        client.say(":creel!~creel@host JOIN #room").await;
        let ping = client.hear("PING").await;
        client.say(&format!(":irc PONG irc {}", ping.trim_start_matches("PING "))).await;
        client
    }
}

impl Client {
    async fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_secs(30), self.0.read_line(&mut line)).await;
            assert!(read.expect("nothing more is said").unwrap() > 0, "the client hung up before {begin}");
            if line.starts_with(begin) {
                return line.trim_end().to_owned();
            }
        }
    }
}

fn to_room(key: &str, text: &str) -> SendParams {
    let mut params = send(key, text);
    params.route.chat_id = "#room".to_owned();
    params
}

#[tokio::test]
async fn what_the_server_did_not_confirm_is_an_unknown_outcome_and_is_not_said_again() {
    let server = Server::start().await;
    let mut rig = Rig::irc(server.settings(), Surroundings::default()).await;
    let mut client = server.welcome().await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    let order = to_room("k", "did it arrive?");
    let (error, ()) = tokio::join!(rig.send(&order), async {
        client.hear("PRIVMSG #room :did it arrive?").await;
        client.hear("PING").await;
        // The line came; the answer to the ping never will.
        drop(client);
    });
    assert_eq!(error.unwrap_err().class(), ErrorClass::UnknownOutcome);
    let mut client = server.welcome().await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    assert_eq!(rig.send(&order).await.unwrap_err().class(), ErrorClass::UnknownOutcome);
    let next = to_room("k2", "the next");
    let (sent, line) = tokio::join!(rig.send(&next), async {
        let line = client.hear("PRIVMSG").await;
        let ping = client.hear("PING").await;
        client.say(&format!(":irc PONG irc {}", ping.trim_start_matches("PING "))).await;
        line
    });
    sent.unwrap();
    assert_eq!(line, "PRIVMSG #room :the next");
}

#[tokio::test]
async fn long_messages_are_confirmed_in_pieces_and_a_break_keeps_what_was_confirmed() {
    let server = Server::start().await;
    let mut rig = Rig::irc(server.settings(), Surroundings::default()).await;
    let mut client = server.welcome().await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    let text = (1..=12).map(|n| format!("line {n}\n")).collect::<String>();
    let order = to_room("k", &text);
    let (error, ()) = tokio::join!(rig.send(&order), async {
        client.hear("PRIVMSG #room :line 8").await;
        let ping = client.hear("PING").await;
        client.say(&format!(":irc PONG irc {}", ping.trim_start_matches("PING "))).await;
        client.hear("PRIVMSG #room :line 9").await;
        drop(client);
    });
    let error = error.unwrap_err();
    assert_eq!((error.class(), error.data.unwrap().parts_sent), (ErrorClass::UnknownOutcome, Some(8)));
}

#[tokio::test]
async fn a_ban_stops_the_account_and_a_full_server_is_left_alone() {
    let server = Server::start().await;
    let mut rig = Rig::irc(server.settings(), Surroundings::default()).await;
    let mut client = server.welcome().await;
    client.say("ERROR :Closing Link: creel (K-Lined: go away)").await;
    let status = rig.status_when(|status| status.state == ChannelState::Stopped).await;
    let error = status.error.unwrap();
    assert_eq!(error.class(), ErrorClass::AuthFatal);
    assert!(error.message.contains("go away"), "{error}");
    assert_eq!(rig.send(&to_room("k", "x")).await.unwrap_err().class(), ErrorClass::AuthFatal);

    let server = Server::start().await;
    let mut rig = Rig::irc(server.settings(), Surroundings::default()).await;
    let mut client = server.welcome().await;
    client.say("ERROR :Trying to reconnect too fast.").await;
    let status = rig.status_when(|status| status.error.is_some()).await;
    assert_eq!(status.error.unwrap().class(), ErrorClass::RetryAfter);
}

#[tokio::test]
async fn a_message_is_stored_even_when_the_server_leaves_at_once() {
    let server = Server::start().await;
    let mut rig = Rig::irc(server.settings(), Surroundings::default()).await;
    let mut client = server.welcome().await;
    client.say("@msgid=m1 :ada!a@h PRIVMSG #room :last words").await;
    drop(client);
    let inbound = rig.store().await;
    assert_eq!((inbound.ext_id.as_str(), inbound.text.as_str()), ("m1", "last words"));
}

#[tokio::test]
async fn a_server_that_falls_silent_is_pinged_and_then_left() {
    let server = Server::start().await;
    let ms = Duration::from_millis;
    let pace = IrcPace { retry: (ms(20), ms(20)), ping: ms(100), dead: ms(400), ..IrcPace::default() };
    let mut rig = Rig::irc_at(server.settings(), Surroundings::default(), pace).await;
    let mut client = server.welcome().await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    client.hear("PING :creel-alive").await;
    let status = rig.status_when(|status| status.error.is_some()).await;
    assert!(status.error.unwrap().message.contains("dead"));
    let _client = server.welcome().await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
}

#[tokio::test]
async fn a_login_that_never_ends_is_given_up() {
    let server = Server::start().await;
    let mut settings = server.settings();
    settings["connectTimeoutSeconds"] = 1.into();
    let mut rig = Rig::irc(settings, Surroundings::default()).await;
    let (_held, _) = server.listener.accept().await.unwrap();
    let status = rig.status_when(|status| status.error.is_some()).await;
    assert!(status.error.unwrap().message.contains("login in time"));
}
