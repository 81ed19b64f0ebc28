//! The units of a configuration, and what a change does to them.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use creel_config::found::{Found, OllamaAnswer, discovered_providers};
use creel_config::{Config, Env, Loader, Overrides, Paths, Plan, UnitChange};

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn config(text: &str) -> Config {
    let files: BTreeMap<PathBuf, String> = BTreeMap::new();
    Loader::new(&files, &Env::new()).text(text.to_owned(), Path::new("creel.json")).unwrap().config
}

fn paths() -> Paths {
    let overrides = Overrides { home: Some("/home/kim/.creel".into()), ..Overrides::default() };
    Paths::compose(&overrides, Some("/home/kim".into()), None).unwrap()
}

fn plan(text: &str) -> Plan {
    config(text).plan(&paths(), &Found::default())
}

const TWO_OF_EACH: &str = r##"{
  agents: { list: [{ id: "main", model: "anthropic/x" }, { id: "work", workspace: "~/work", model: "local/y" }] },
  models: { providers: { anthropic: { apiKey: "k1" }, local: { baseUrl: "http://127.0.0.1:9999/v1" } } },
  channels: {
    telegram: { accounts: { home: { botToken: "1:h" }, work: { botToken: "1:w", apiRoot: "http://127.0.0.1:8081" } } },
    irc: { host: "irc.example.org", nick: "creel", groups: { "#a": {} } },
  },
  egress: { allow: ["api.github.com"], allowPrivate: ["192.168.1.2:8443"] },
}"##;

/// What a change does, one line for each unit that is not kept.
fn changes(old: &str, new: &str) -> Vec<String> {
    Plan::diff(&plan(old), &plan(new))
        .into_iter()
        .filter_map(|change| match change {
            UnitChange::Start { unit } => Some(format!("start {unit}")),
            UnitChange::Stop { unit } => Some(format!("stop {unit}")),
            UnitChange::Restart { unit, reason } => Some(format!("restart {unit}: {reason}")),
            UnitChange::Notify { unit } => Some(format!("notify {unit}")),
            UnitChange::Keep { .. } => None,
        })
        .collect()
}

fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(TWO_OF_EACH.contains(from), "{from} is not in the sample");
    changes(TWO_OF_EACH, &TWO_OF_EACH.replacen(from, to, 1))
}

#[test]
fn a_plan_names_every_unit_and_no_secret() {
    let shown = serde_json::to_string_pretty(&plan(TWO_OF_EACH)).unwrap();
    for secret in ["1:h", "1:w", "k1"] {
        assert!(!shown.contains(secret), "{secret} is in the plan");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn no_file_is_one_agent_on_the_demo_provider() {
    let plan = plan("");
    let names: Vec<_> = plan.units.iter().map(|unit| unit.name.to_string()).collect();
    assert_eq!(names, ["gateway", "egress", "agent:main"]);
    assert!(plan.units.iter().all(|unit| unit.egress.is_empty()));
    let config = config("");
    let main = config.agent("main").unwrap();
    assert_eq!(config.model_chain(&main, &Found::default())[0].to_string(), "demo/demo");
    assert_eq!(
        config.providers(&Found::default()).keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["demo"]
    );
}

#[test]
fn nothing_changed_keeps_every_unit() {
    let (old, new) = (plan(TWO_OF_EACH), plan(TWO_OF_EACH));
    let diff = Plan::diff(&old, &new);
    assert_eq!(diff.len(), new.units.len());
    assert!(diff.iter().all(|change| matches!(change, UnitChange::Keep { .. })), "{diff:?}");
}

#[test]
fn what_the_gateway_alone_decides_touches_no_unit() {
    let hot = [
        ("egress:", "bindings: [{ agentId: \"work\", match: { channel: \"irc\" } }],\n  egress:"),
        ("nick: \"creel\"", "nick: \"creel\", allowFrom: [\"alice\"], dmPolicy: \"allowlist\""),
        ("\"#a\": {}", "\"#a\": { requireMention: false }, \"#b\": {}"),
        ("egress:", "logging: { level: \"debug\" },\n  egress:"),
        ("egress:", "session: { reset: { mode: \"daily\" } },\n  egress:"),
        ("egress:", "messages: { queue: { mode: \"followup\" } },\n  egress:"),
        ("botToken: \"1:h\"", "botToken: \"1:h\", mentionPatterns: [\"bot\"], streaming: \"partial\""),
        ("id: \"main\"", "id: \"main\", identity: { emoji: \"🦊\" }, tools: { deny: [\"exec\"] }"),
        ("model: \"anthropic/x\"", "model: \"anthropic/z\""),
        ("id: \"main\"", "id: \"main\", sandbox: { workspaceAccess: \"ro\" }"),
        ("egress:", "gateway: { auth: { token: \"new\" } },\n  egress:"),
    ];
    for (from, to) in hot {
        assert_eq!(changed(from, to), ["notify gateway"], "{to}");
    }
}

#[test]
fn a_change_of_one_unit_touches_that_unit() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "botToken: \"1:h\"",
            "botToken: \"1:new\"",
            &["notify gateway", "restart channel:telegram:home: its connection settings changed"],
        ),
        (
            "nick: \"creel\"",
            "nick: \"reel\"",
            &["notify gateway", "restart channel:irc:default: its connection settings changed"],
        ),
        (
            "home: { botToken: \"1:h\" }",
            "home: { botToken: \"1:h\", enabled: false }",
            &["stop channel:telegram:home", "notify gateway", "notify egress"],
        ),
        (
            "home: { botToken: \"1:h\" }",
            "home: { botToken: \"1:h\" }, more: { botToken: \"1:m\" }",
            &["notify gateway", "notify egress", "start channel:telegram:more"],
        ),
        ("~/work", "~/play", &["notify gateway", "restart agent:work: its workspace moved"]),
        (
            "apiKey: \"k1\"",
            "apiKey: \"k2\"",
            &[
                "notify gateway",
                "restart agent:main: its model providers changed",
                "restart agent:work: its model providers changed",
            ],
        ),
        (
            ", { id: \"work\", workspace: \"~/work\", model: \"local/y\" }",
            "",
            &["stop agent:work", "notify gateway", "notify egress"],
        ),
        ("[\"api.github.com\"]", "[\"api.github.com\", \"crates.io\"]", &["notify gateway", "notify egress"]),
        (
            "egress:",
            "gateway: { port: 19000 }, egress:",
            &["restart gateway: gateway.port changed from 18789 to 19000"],
        ),
        (
            "egress:",
            "gateway: { bind: \"lan\" }, egress:",
            &["restart gateway: gateway.bind changed from loopback to lan"],
        ),
        ("egress:", "store: { path: \"/data/creel.db\" }, egress:", &["restart gateway: the database moved"]),
    ];
    for (from, to, expected) in cases {
        assert_eq!(&changed(from, to), expected, "{to}");
    }
}

#[test]
fn isolation_and_limits_restart_the_workers() {
    let off = changed("egress:", "sandbox: { mode: \"off\" }, egress:");
    assert_eq!(off.iter().filter(|line| line.contains("sandbox.mode changed to off")).count(), 5, "{off:?}");
    let limits = changed("egress:", "supervisor: { workerMemory: \"2g\" }, egress:");
    assert_eq!(limits.iter().filter(|line| line.contains("its limits changed")).count(), 5, "{limits:?}");
    let restarts = changed("egress:", "supervisor: { brake: { crashes: 9 } }, egress:");
    assert_eq!(restarts, ["notify gateway"], "the supervisor takes its own rules up in place");
    let commands = changed("egress:", "sandbox: { disk: \"2g\", inodes: 9 }, egress:");
    assert_eq!(commands, ["notify gateway"], "the next command has them");
}

#[test]
fn a_diff_leads_from_any_plan_to_any_other() {
    let all = [
        "",
        TWO_OF_EACH,
        r#"{ agents: { list: [{ id: "solo" }] }, channels: { irc: { host: "h.example", nick: "n" } } }"#,
    ];
    for old in all {
        for new in all {
            let (old, new) = (plan(old), plan(new));
            let mut running: Vec<_> = old.units.iter().map(|unit| unit.name.clone()).collect();
            for change in Plan::diff(&old, &new) {
                match change {
                    UnitChange::Start { unit } => {
                        assert!(!running.contains(&unit));
                        running.push(unit);
                    }
                    UnitChange::Stop { unit } => running.retain(|name| *name != unit),
                    other => assert!(running.contains(other.unit())),
                }
            }
            let mut wanted: Vec<_> = new.units.iter().map(|unit| unit.name.clone()).collect();
            running.sort();
            wanted.sort();
            assert_eq!(running, wanted);
        }
    }
}

#[test]
fn keys_in_the_environment_are_providers() {
    let found = discovered_providers(&env(&[("OPENAI_API_KEY", "o"), ("ANTHROPIC_API_KEY", "a")]), None);
    let ids: Vec<_> = found.providers.iter().map(|p| p.id.to_string()).collect();
    assert_eq!(ids, ["anthropic", "openai"]);
    let config = config("");
    let main = config.agent("main").unwrap();
    assert_eq!(config.model_chain(&main, &found)[0].provider.as_str(), "anthropic");
    assert_eq!(config.providers(&found)["anthropic".parse_id()].key.as_ref().unwrap().expose(), "a");

    let plan = config.plan(&paths(), &found);
    let hosts: Vec<_> =
        plan.units[2].egress.iter().map(|h| (h.host.as_str(), h.port, h.tls, h.private)).collect();
    assert_eq!(hosts, [("api.anthropic.com", 443, true, false), ("api.openai.com", 443, true, false)]);
    assert!(!format!("{found:?}{plan:?}").contains("\"a\""));
}

trait ParseId {
    fn parse_id(&self) -> &creel_config::scalar::Id;
}

impl ParseId for str {
    fn parse_id(&self) -> &creel_config::scalar::Id {
        Box::leak(Box::new(creel_config::scalar::Id::new(self).unwrap()))
    }
}

#[test]
fn ollama_is_where_it_is_said_or_found_to_be() {
    let cases = [
        ("127.0.0.1:11434", "127.0.0.1", 11434),
        ("0.0.0.0", "127.0.0.1", 11434),
        ("http://gpu.lan:1234", "gpu.lan", 1234),
        ("gpu.lan", "gpu.lan", 11434),
        ("[::1]:11434", "::1", 11434),
        ("::1", "::1", 11434),
    ];
    for (written, host, port) in cases {
        let found = discovered_providers(&env(&[("OLLAMA_HOST", written)]), None);
        let url = found.providers[0].url.clone().unwrap();
        assert_eq!((url.endpoint().host.as_str(), url.endpoint().port), (host, port), "{written}");
    }

    let answer = OllamaAnswer { at: "127.0.0.1:11434".into(), models: vec!["qwen3:8b".into()] };
    let found = discovered_providers(&Env::new(), Some(&answer));
    let local = config("");
    let main = local.agent("main").unwrap();
    assert_eq!(local.model_chain(&main, &found)[0].to_string(), "ollama/qwen3:8b");
    assert_eq!(local.plan(&paths(), &found).units[2].egress.len(), 1);
    assert!(local.plan(&paths(), &found).units[2].egress[0].private);

    // A service that merely happens to run here is no reason to let every agent reach it.
    let cloud = config(r#"{ agents: { defaults: { model: "anthropic/x" } } }"#);
    let hosts = &cloud.plan(&paths(), &found).units[2].egress;
    assert_eq!(hosts.iter().map(|h| h.host.as_str()).collect::<Vec<_>>(), ["api.anthropic.com"]);
}

#[test]
fn a_key_of_the_environment_serves_a_provider_of_the_file() {
    let found = discovered_providers(&env(&[("OPENROUTER_API_KEY", "r")]), None);
    let config = config(r#"{ agents: { defaults: { model: "openrouter/meta/llama" } } }"#);
    let providers = config.providers(&found);
    assert_eq!(providers["openrouter".parse_id()].key.as_ref().unwrap().expose(), "r");
    let main = config.agent("main").unwrap();
    assert_eq!(config.model_chain(&main, &found)[0].model, "meta/llama");
}

#[test]
fn a_loader_without_secrets_plans_the_same_units() {
    let files: BTreeMap<PathBuf, String> = BTreeMap::new();
    let bare = Loader::without_secrets(&files, &Env::new())
        .text(TWO_OF_EACH.into(), Path::new("creel.json"))
        .unwrap();
    assert!(
        !serde_json::to_string(&creel_config::shape::Shape::show(&bare.config, creel_config::Show::Revealed))
            .unwrap()
            .contains("1:h")
    );
    let (bare, full) = (bare.config.plan(&paths(), &Found::default()), plan(TWO_OF_EACH));
    assert_eq!(serde_json::to_value(&bare).unwrap(), serde_json::to_value(&full).unwrap());
}

#[test]
fn unit_names_are_read_as_they_are_written() {
    for unit in plan(TWO_OF_EACH).units {
        assert_eq!(unit.name.to_string().parse(), Ok(unit.name));
    }
    for wrong in ["", "agent", "agent:", "agent:Main", "agent:a:b", "channel:irc", "gateway:1", "tool:1"] {
        assert!(wrong.parse::<creel_config::UnitName>().is_err(), "{wrong}");
    }
}
