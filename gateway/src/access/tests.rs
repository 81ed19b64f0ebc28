use std::path::Path;

use proptest::prelude::*;

use super::*;

fn verdict(telegram: &str, message: &Inbound, paired: bool) -> Verdict {
    let text = format!("{{ channels: {{ telegram: {{ botToken: \"1:x\", {telegram} }} }} }}");
    let settings = Settings::of_text(&text, Path::new("/nonexistent/creel"));
    let view = settings.config.channels.account("telegram", "default").unwrap();
    judge(&settings, view.common, "main", message, paired)
}

fn message(kind: ChatKind, chat: &str, text: &str) -> Inbound {
    Inbound {
        ext_id: "1".into(),
        message_id: "1".into(),
        chat: Chat {
            id: chat.into(),
            kind,
            title: None,
            thread: None,
            parent: None,
            guild: None,
            team: None,
        },
        sender: Sender {
            id: "42".into(),
            name: None,
            username: Some("Alice".into()),
            roles: Vec::new(),
            is_bot: false,
        },
        text: text.into(),
        mentioned: false,
        quote: None,
        attachments: Vec::new(),
        at_ms: 0,
        cursor: None,
    }
}

fn direct() -> Inbound {
    message(ChatKind::Direct, "42", "hi")
}

fn group(text: &str) -> Inbound {
    message(ChatKind::Group, "-100", text)
}

fn ignored(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Ignore(_))
}

#[test]
fn each_policy_of_direct_messages() {
    assert_eq!(verdict("", &direct(), false), Verdict::Pair);
    assert_eq!(verdict("", &direct(), true), Verdict::Answer);
    assert_eq!(verdict("allowFrom: [42]", &direct(), false), Verdict::Answer);
    assert_eq!(verdict("allowFrom: [\"@alice\"]", &direct(), false), Verdict::Answer);
    assert_eq!(verdict("dmPolicy: \"allowlist\", allowFrom: [42]", &direct(), false), Verdict::Answer);
    assert!(ignored(verdict("dmPolicy: \"allowlist\", allowFrom: [43]", &direct(), true)));
    assert_eq!(verdict("dmPolicy: \"open\", allowFrom: [\"*\"]", &direct(), false), Verdict::Answer);
    assert!(ignored(verdict("dmPolicy: \"disabled\", allowFrom: [42]", &direct(), true)));
}

#[test]
fn bots_are_never_answered() {
    let mut bot = direct();
    bot.sender.is_bot = true;
    assert!(ignored(verdict("dmPolicy: \"open\", allowFrom: [\"*\"]", &bot, true)));
    let mut bot = group("hi");
    (bot.sender.is_bot, bot.mentioned) = (true, true);
    assert!(ignored(verdict("groupPolicy: \"open\"", &bot, false)));
}

#[test]
fn each_policy_of_groups() {
    let mut asked = group("hi");
    asked.mentioned = true;
    assert!(ignored(verdict("", &asked, true)), "nothing is listed, so no group is answered");
    assert_eq!(verdict("groups: { \"-100\": {} }", &asked, false), Verdict::Answer);
    assert_eq!(verdict("groups: { \"*\": {} }", &asked, false), Verdict::Answer);
    assert!(ignored(verdict("groups: { \"-1\": {} }", &asked, false)));
    assert!(ignored(verdict("groups: { \"-100\": { enabled: false }, \"*\": {} }", &asked, false)));
    assert_eq!(verdict("groupPolicy: \"open\"", &asked, false), Verdict::Answer);
    assert!(ignored(verdict(
        "groupPolicy: \"open\", groups: { \"-100\": { enabled: false } }",
        &asked,
        false
    )));
    assert!(ignored(verdict("groupPolicy: \"disabled\", groups: { \"-100\": {} }", &asked, false)));
    assert!(ignored(verdict("groupPolicy: \"open\", groupAllowFrom: [7]", &asked, false)));
    assert_eq!(verdict("groupPolicy: \"open\", groupAllowFrom: [42]", &asked, false), Verdict::Answer);
    let own = "groupPolicy: \"open\", groupAllowFrom: [7], groups: { \"-100\": { allowFrom: [42] } }";
    assert_eq!(verdict(own, &asked, false), Verdict::Answer, "the group's own list wins");
}

#[test]
fn a_thread_belongs_to_its_parent() {
    let mut asked = message(ChatKind::Channel, "thread", "hi");
    asked.mentioned = true;
    asked.chat.parent = Some("room".into());
    assert_eq!(verdict("groups: { room: {} }", &asked, false), Verdict::Answer);
}

#[test]
fn a_group_is_answered_when_it_asks() {
    let open = "groupPolicy: \"open\"";
    assert_eq!(verdict(open, &group("hi"), false), Verdict::Context);
    assert_eq!(
        verdict(&format!("{open}, groups: {{ \"-100\": {{ requireMention: false }} }}"), &group("hi"), false),
        Verdict::Answer
    );
    let patterns = format!("{open}, mentionPatterns: [\"\\\\bcreel\\\\b\"]");
    assert_eq!(verdict(&patterns, &group("hey CREEL, listen"), false), Verdict::Answer);
    assert_eq!(verdict(&patterns, &group("creeling"), false), Verdict::Context);
    let mut quoted = group("hi");
    quoted.mentioned = true;
    assert_eq!(verdict(open, &quoted, false), Verdict::Answer);
}

#[test]
fn what_a_stranger_is_told() {
    insta::assert_snapshot!(pairing_text("telegram", "ABCD2345"), @"I do not know you yet, so I cannot answer. Your pairing code is `ABCD2345`. Ask the person who runs this assistant to enter `creel pairing approve telegram ABCD2345` within an hour.");
}

proptest! {
    #[test]
    fn codes_have_eight_letters_that_cannot_be_taken_for_one_another(random: [u8; 8]) {
        let code = code(random);
        prop_assert_eq!(code.len(), 8);
        prop_assert!(code.bytes().all(|byte| ALPHABET.contains(&byte)));
        prop_assert!(!code.contains(['0', 'O', '1', 'I']));
    }
}
