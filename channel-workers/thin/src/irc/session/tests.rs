use creel_ipc::Secret;
use proptest::prelude::*;
use std::time::Duration;

use super::*;

fn settings() -> IrcSettings {
    IrcSettings {
        host: "irc.example".to_owned(),
        port: 6667,
        tls: false,
        nick: "Creel".to_owned(),
        username: "creel".to_owned(),
        realname: "Creel".to_owned(),
        channels: vec![("#Room".to_owned(), None), ("#locked".to_owned(), Some("sesame".to_owned()))],
        password: None,
        sasl: None,
        nickserv: None,
        connect: Duration::from_secs(1),
        burst: 4,
        every: Duration::from_secs(2),
    }
}

fn session(settings: IrcSettings) -> Session {
    Session::new(Arc::new(settings), Arc::new(Serial::new()))
}

fn take(session: &mut Session, line: &str) -> Vec<Effect> {
    session.take(&Line::read(line.as_bytes()).unwrap(), 5)
}

fn sends(session: &mut Session, line: &str) -> Vec<String> {
    let lines = take(session, line).into_iter().filter_map(|effect| match effect {
        Effect::Send(line) | Effect::Reply(line) => Some(line),
        _ => None,
    });
    lines.collect()
}

fn joined() -> Session {
    let mut session = session(settings());
    for line in [
        ":irc 001 Creel :Welcome",
        ":irc 005 Creel CASEMAPPING=rfc1459 CHANTYPES=#& :are supported",
        ":irc 376 Creel :End",
        ":Creel!~creel@host.example JOIN #Room",
    ] {
        take(&mut session, line);
    }
    session
}

fn inbound(session: &mut Session, line: &str) -> Inbound {
    match take(session, line).remove(0) {
        Effect::Inbound(inbound) => *inbound,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_goes_through_sasl_before_the_capabilities_end() {
    let mut session = session(IrcSettings {
        sasl: Some(("ada".to_owned(), Secret::new("pw"))),
        password: Some(Secret::new("server")),
        ..settings()
    });
    assert_eq!(session.begin(), ["CAP LS 302", "PASS :server", "NICK Creel", "USER creel 0 * :Creel"]);
    assert!(take(&mut session, ":irc CAP * LS * :multi-prefix sasl=PLAIN,EXTERNAL").is_empty());
    assert_eq!(
        sends(&mut session, ":irc CAP * LS :server-time account-tag"),
        ["CAP REQ :account-tag server-time sasl"]
    );
    assert_eq!(sends(&mut session, ":irc CAP * ACK :account-tag server-time sasl"), ["AUTHENTICATE PLAIN"]);
    assert_eq!(sends(&mut session, "AUTHENTICATE +"), ["AUTHENTICATE AGFkYQBwdw=="]);
    assert_eq!(sends(&mut session, ":irc 903 Creel :ok"), ["CAP END"]);
    let Effect::End(error) = take(&mut session, ":irc 904 Creel :SASL authentication failed").remove(0)
    else {
        panic!()
    };
    assert_eq!(error.class(), ErrorClass::AuthFatal);
}

#[test]
fn a_long_login_goes_in_pieces() {
    // 300 bytes are 400 in base64: a whole piece, and an empty one behind it.
    let password = "x".repeat(300 - 2 - 3);
    let session =
        session(IrcSettings { sasl: Some(("ada".to_owned(), Secret::new(password))), ..settings() });
    let lines = session.credentials();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1], Effect::Send("AUTHENTICATE +".to_owned()));
}

#[test]
fn a_taken_nick_gets_a_suffix_and_is_asked_for_again_later() {
    let mut session = session(settings());
    assert_eq!(sends(&mut session, ":irc 433 * Creel :in use"), ["NICK Creel_"]);
    assert_eq!(sends(&mut session, ":irc 432 * Creel_ :too long"), ["NICK Cree2"]);
    take(&mut session, ":irc 001 Cree2 :Welcome");
    assert_eq!(session.reclaim().unwrap(), "NICK Creel");
    assert!(take(&mut session, ":irc 433 Cree2 Creel :in use").is_empty());
    assert_eq!(take(&mut session, ":Cree2!~creel@h NICK :Creel"), [Effect::Named("Creel".to_owned())]);
    assert_eq!(session.reclaim(), None);
}

#[test]
fn the_channels_are_joined_with_their_keys_after_the_greeting() {
    let mut session = session(IrcSettings { nickserv: Some(Secret::new("pw")), ..settings() });
    assert_eq!(sends(&mut session, ":irc 001 Creel :Welcome"), ["PRIVMSG NickServ :IDENTIFY pw"]);
    assert_eq!(
        sends(&mut session, ":irc 422 Creel :No message of the day"),
        ["WHOIS Creel", "JOIN #Room", "JOIN #locked sesame", "PING :creel-ready"]
    );
    assert_eq!(take(&mut session, ":irc PONG irc :creel-ready"), [Effect::Ready]);
}

#[test]
fn the_own_prefix_is_learned() {
    let mut session = session(settings());
    assert_eq!(session.prefix_length(), "Creel!~creel@".len() + 63);
    take(&mut session, ":irc 001 Creel :Welcome");
    take(&mut session, ":irc 311 Creel Creel ~creel host.example * :Creel");
    assert_eq!(session.prefix_length(), "Creel!~creel@host.example".len());
    take(&mut session, ":Creel!~creel@another.host.example JOIN #room");
    assert_eq!(session.prefix_length(), "Creel!~creel@another.host.example".len());
    take(&mut session, ":Creel!~creel@another.host.example NICK Longer_One");
    assert_eq!(session.prefix_length(), "Longer_One!~creel@another.host.example".len());
}

#[test]
fn a_message_in_a_channel_is_read() {
    let mut session = joined();
    let read = inbound(
        &mut session,
        "@time=1970-01-01T00:00:07.000Z;msgid=m1 :Ada[x]!~a@h PRIVMSG #ROOM :creel: hi \u{2}you\u{2} \u{3}04,12red",
    );
    assert_eq!((read.chat.id.as_str(), read.chat.kind), ("#room", ChatKind::Group));
    assert_eq!((read.ext_id.as_str(), read.at_ms, read.mentioned), ("m1", 7000, true));
    assert_eq!(read.text, "creel: hi you red");
    assert_eq!((read.sender.id.as_str(), read.sender.name.as_deref()), ("ada{x}", Some("Ada[x]")));
    let first = inbound(&mut session, ":ada!a@h PRIVMSG #room :one");
    let second = inbound(&mut session, ":ada!a@h PRIVMSG @#room :two");
    assert!(first.ext_id != second.ext_id && first.ext_id.starts_with("irc:") && first.at_ms == 5);
    assert_eq!(second.chat.id, "#room");
}

#[test]
fn a_direct_message_belongs_to_its_sender() {
    let read = inbound(&mut joined(), ":Ada!a@h PRIVMSG Creel :\u{1}ACTION waves\u{1}");
    assert_eq!((read.chat.id.as_str(), read.chat.kind), ("ada", ChatKind::Direct));
    assert_eq!(read.text, "* Ada waves");
}

#[test]
fn an_account_is_told_from_a_nick_of_the_same_name() {
    let mut session = joined();
    take(&mut session, ":irc CAP * LS :account-tag");
    take(&mut session, ":irc CAP * ACK :account-tag");
    assert_eq!(inbound(&mut session, "@account=Ada :ada2!a@h PRIVMSG Creel :x").sender.id, "Ada");
    assert_eq!(inbound(&mut session, ":ada!a@h PRIVMSG Creel :x").sender.id, "~ada");
}

#[test]
fn what_needs_no_answer_gets_none_and_ctcp_is_answered() {
    let mut session = joined();
    for line in [
        ":ada!a@h NOTICE Creel :hello",
        ":irc PRIVMSG Creel :from a server",
        ":Creel!~creel@h PRIVMSG #room :my own",
        ":ada!a@h PRIVMSG Creel :\u{1}DCC SEND x\u{1}",
        ":ada!a@h PRIVMSG Creel :\u{2}\u{2}",
        ":irc 999 Creel :what is it",
    ] {
        assert_eq!(take(&mut session, line), [], "{line}");
    }
    assert_eq!(
        sends(&mut session, ":ada!a@h PRIVMSG Creel :\u{1}PING 123\u{1}"),
        ["NOTICE ada :\u{1}PING 123\u{1}"]
    );
    assert!(sends(&mut session, ":ada!a@h PRIVMSG Creel :\u{1}VERSION\u{1}")[0].contains("Creel"));
    assert_eq!(sends(&mut session, "PING :abc def"), ["PONG :abc def"]);
}

#[test]
fn a_kick_leads_back_and_a_closed_channel_is_tried_later() {
    let mut session = joined();
    assert!(!session.is_missing("#room"));
    let again = |soon| Effect::Rejoin { channel: "#Room".to_owned(), soon };
    assert_eq!(take(&mut session, ":ada!a@h KICK #Room creel :out"), [again(true)]);
    assert!(session.is_missing("#ROOM"));
    assert_eq!(take(&mut session, ":irc 474 Creel #Room :banned"), [again(false)]);
    assert_eq!(
        take(&mut session, ":irc 404 Creel #Other :Cannot send"),
        [Effect::Refused { target: "#other".to_owned(), why: "Cannot send".to_owned() }]
    );
}

#[test]
fn the_end_has_a_class() {
    let class = |line| match take(&mut joined(), line).remove(0) {
        Effect::End(error) => error.class(),
        other => panic!("{other:?}"),
    };
    assert_eq!(class("ERROR :Closing Link: K-Lined"), ErrorClass::AuthFatal);
    assert_eq!(class("ERROR :Trying to reconnect too fast"), ErrorClass::RetryAfter);
    assert_eq!(class("ERROR :Server going down"), ErrorClass::Transient);
    assert_eq!(class(":irc 464 * :Bad password"), ErrorClass::AuthFatal);
}

proptest! {
    #[test]
    fn no_line_breaks_the_session(lines in prop::collection::vec(
        prop_oneof![any::<String>(), "(:[A-Za-z!@]{0,8} )?([0-9]{3}|PRIVMSG|JOIN|NICK|KICK|CAP|PONG|ERROR|AUTHENTICATE)( [A-Za-z#:*=]{0,6}){0,4}( :\\PC{0,9})?"], 0..40,
    )) {
        let mut session = session(settings());
        for line in lines {
            if let Some(line) = Line::read(line.as_bytes()) {
                session.take(&line, 0);
                let _length = session.prefix_length();
            }
        }
    }
}
