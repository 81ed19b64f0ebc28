use std::path::Path;

use creel_ipc::msg::channel::{Chat, ChatKind, Sender};
use proptest::prelude::*;

use super::*;
use crate::settings::Settings;

fn settings(text: &str) -> Settings {
    Settings::of_text(text, Path::new("/nonexistent/creel"))
}

fn chat(kind: ChatKind, id: &str) -> Chat {
    Chat { id: id.into(), kind, title: None, thread: None, parent: None, guild: None, team: None }
}

fn sender(id: &str) -> Sender {
    Sender { id: id.into(), name: None, username: None, roles: Vec::new(), is_bot: false }
}

fn key(text: &str, channel: &str, account: &str, chat: &Chat, person: &str) -> String {
    let sender = sender(person);
    session_key(&settings(text).config, "main", Origin { channel, account, chat, sender: &sender })
}

#[test]
fn session_keys_are_these() {
    let scope = |scope: &str| format!("{{ session: {{ dmScope: \"{scope}\" }} }}");
    let direct = chat(ChatKind::Direct, "42");
    let topic = Chat { thread: Some("9".into()), ..chat(ChatKind::Group, "-100") };
    let thread = Chat { thread: Some("1718.5".into()), ..chat(ChatKind::Channel, "C0FFEE") };
    let linked =
        "{ session: { dmScope: \"per-peer\", identityLinks: { alice: [\"telegram:42\", \"irc:Alice\"] } } }";
    let table = [
        (key(&scope("main"), "telegram", "default", &direct, "42"), "agent:main:main"),
        (key(&scope("per-peer"), "telegram", "default", &direct, "42"), "agent:main:direct:42"),
        (
            key(&scope("per-channel-peer"), "telegram", "default", &direct, "42"),
            "agent:main:telegram:direct:42",
        ),
        (
            key(&scope("per-account-channel-peer"), "telegram", "work", &direct, "42"),
            "agent:main:telegram:work:direct:42",
        ),
        (
            key("{}", "telegram", "default", &chat(ChatKind::Group, "-100"), "42"),
            "agent:main:telegram:group:-100",
        ),
        (key("{}", "telegram", "default", &topic, "42"), "agent:main:telegram:group:-100:topic:9"),
        (key("{}", "slack", "default", &thread, "U1"), "agent:main:slack:channel:c0ffee:thread:1718.5"),
        (
            key("{}", "irc", "default", &chat(ChatKind::Channel, "#Work"), "Alice"),
            "agent:main:irc:channel:#work",
        ),
        (key(linked, "telegram", "default", &direct, "42"), "agent:main:direct:alice"),
        (key(linked, "irc", "default", &chat(ChatKind::Direct, "alice"), "alice"), "agent:main:direct:alice"),
        (key(linked, "slack", "default", &chat(ChatKind::Direct, "42"), "42"), "agent:main:direct:42"),
        (
            key(
                "{ session: { dmScope: \"main\", mainKey: \"home\" } }",
                "telegram",
                "default",
                &direct,
                "42",
            ),
            "agent:main:home",
        ),
    ];
    for (found, expected) in table {
        assert_eq!(found, expected);
    }
}

#[test]
fn one_sender_shares_the_main_session_and_several_do_not() {
    let allow = |list: &str| {
        format!(
            "{{ channels: {{ telegram: {{ botToken: \"1:x\", dmPolicy: \"allowlist\", allowFrom: {list} }} }} }}"
        )
    };
    let direct = chat(ChatKind::Direct, "42");
    assert_eq!(key(&allow("[42]"), "telegram", "default", &direct, "42"), "agent:main:main");
    assert_eq!(
        key(&allow("[42, 43]"), "telegram", "default", &direct, "42"),
        "agent:main:telegram:direct:42"
    );
    assert_eq!(
        key("{ channels: { telegram: { botToken: \"1:x\" } } }", "telegram", "default", &direct, "42"),
        "agent:main:telegram:direct:42",
        "pairing lets several in"
    );
}

#[test]
fn clients_name_sessions_in_short() {
    let text = "{ agents: { list: [{ id: \"home\" }, { id: \"work\", default: true }] } }";
    let config = settings(text).config;
    let of = |input: &str| canonical(&config, input);
    assert_eq!(of("main").as_deref(), Some("agent:work:main"));
    assert_eq!(of(" Main ").as_deref(), Some("agent:work:main"));
    assert_eq!(of("agent:home:main").as_deref(), Some("agent:home:main"));
    assert_eq!(of("Agent:Home:Telegram:Group:-1").as_deref(), Some("agent:home:telegram:group:-1"));
    assert_eq!(of("notes").as_deref(), Some("agent:work:notes"));
    for wrong in ["", "  ", "agent:nobody:main", "agent:home", "agent:home:", "a\nb"] {
        assert_eq!(of(wrong), None, "{wrong:?}");
    }
    assert_eq!(agent_of("agent:home:main"), Some("home"));
}

/// Bindings of every tier; the later in the list the more specific.
const TIERS: &[(&str, Tier)] = &[
    ("channel: \"irc\", accountId: \"*\"", Tier::Channel),
    ("channel: \"irc\", accountId: \"work\"", Tier::Account),
    ("channel: \"irc\", accountId: \"*\", teamId: \"T\"", Tier::Team),
    ("channel: \"irc\", accountId: \"*\", guildId: \"G\"", Tier::Guild),
    ("channel: \"irc\", accountId: \"*\", guildId: \"G\", roles: [\"r1\", \"r9\"]", Tier::GuildRoles),
    ("channel: \"irc\", accountId: \"*\", peer: { kind: \"channel\", id: \"*\" }", Tier::AnyPeer),
    ("channel: \"irc\", accountId: \"*\", peer: { kind: \"channel\", id: \"P\" }", Tier::ParentPeer),
    ("channel: \"irc\", accountId: \"*\", peer: { kind: \"channel\", id: \"X\" }", Tier::Peer),
];

fn guild_thread() -> (Chat, Sender) {
    let chat = Chat {
        parent: Some("P".into()),
        guild: Some("G".into()),
        team: Some("T".into()),
        ..chat(ChatKind::Channel, "X")
    };
    (chat, Sender { roles: vec!["r1".into()], ..sender("U") })
}

fn with_bindings(order: &[usize]) -> Settings {
    let agents: Vec<String> = (0..TIERS.len()).map(|n| format!("{{ id: \"a{n}\" }}")).collect();
    let bindings: Vec<String> =
        order.iter().map(|n| format!("{{ agentId: \"a{n}\", match: {{ {} }} }}", TIERS[*n].0)).collect();
    settings(&format!(
        "{{ channels: {{ irc: {{ host: \"irc.example.org\", nick: \"creel\", accounts: {{ work: {{ nick: \"w\" }} }} }} }},
            agents: {{ list: [{{ id: \"main\", default: true }}, {}] }}, bindings: [{}] }}",
        agents.join(", "),
        bindings.join(", ")
    ))
}

#[test]
fn each_tier_is_what_it_says() {
    let (chat, sender) = guild_thread();
    let origin = Origin { channel: "irc", account: "work", chat: &chat, sender: &sender };
    for (number, (_, tier)) in TIERS.iter().enumerate() {
        let settings = with_bindings(&[number]);
        assert_eq!(agent(&settings.config, origin), (format!("a{number}"), *tier));
    }
    assert_eq!(agent(&with_bindings(&[]).config, origin), ("main".into(), Tier::Default));
}

#[test]
fn every_given_part_has_to_fit() {
    let (fitting, person) = guild_thread();
    let settings = with_bindings(&[0, 1, 2, 3, 4, 5, 6, 7]);
    let of = |channel: &str, account: &str, chat: &Chat, sender: &Sender| {
        agent(&settings.config, Origin { channel, account, chat, sender }).1
    };
    assert_eq!(of("telegram", "work", &fitting, &person), Tier::Default);
    let no_roles = sender("U");
    let other = Chat { id: "Y".into(), parent: None, ..fitting.clone() };
    assert_eq!(of("irc", "home", &other, &person), Tier::AnyPeer);
    let direct = Chat { kind: ChatKind::Direct, ..other.clone() };
    assert_eq!(of("irc", "home", &direct, &person), Tier::GuildRoles);
    assert_eq!(of("irc", "home", &direct, &no_roles), Tier::Guild);
    let elsewhere = Chat { guild: Some("H".into()), ..direct.clone() };
    assert_eq!(of("irc", "home", &elsewhere, &person), Tier::Team);
    let nowhere = Chat { guild: None, team: None, ..direct };
    assert_eq!(of("irc", "work", &nowhere, &person), Tier::Account);
    assert_eq!(of("irc", "home", &nowhere, &person), Tier::Channel);
}

#[test]
fn an_account_that_is_not_named_is_the_default_one() {
    let settings = settings(
        "{ agents: { list: [{ id: \"main\" }, { id: \"work\" }] },
           bindings: [{ agentId: \"work\", match: { channel: \"irc\" } }] }",
    );
    let (chat, sender) = (chat(ChatKind::Channel, "#x"), sender("u"));
    let of = |account: &str| {
        agent(&settings.config, Origin { channel: "irc", account, chat: &chat, sender: &sender }).0
    };
    assert_eq!((of("default"), of("other")), ("work".into(), "main".into()));
}

proptest! {
    /// Whatever the order and the selection of bindings: the most specific wins, and of equals the first.
    #[test]
    fn the_most_specific_binding_wins_and_then_the_first(order in prop::collection::vec(0_usize..8, 0..12)) {
        let (chat, sender) = guild_thread();
        let settings = with_bindings(&order);
        let origin = Origin { channel: "irc", account: "work", chat: &chat, sender: &sender };
        let expected = order.iter().max().map_or("main".to_owned(), |best| format!("a{best}"));
        prop_assert_eq!(&agent(&settings.config, origin).0, &expected);
        prop_assert_eq!(agent(&settings.config, origin), agent(&settings.config, origin));
    }
}
