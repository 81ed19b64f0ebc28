//! What workers are told.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use creel_config::found::{Found, discovered_providers};
use creel_config::{Config, Env, Loader, Overrides, Paths};

fn config(text: &str) -> Config {
    let files: BTreeMap<PathBuf, String> = BTreeMap::new();
    Loader::new(&files, &Env::new()).text(text.to_owned(), Path::new("creel.json")).unwrap().config
}

fn paths() -> Paths {
    Paths::compose(&Overrides::default(), Some("/home/kim".into()), None).unwrap()
}

const SAMPLE: &str = r##"{
  agents: {
    defaults: { model: { primary: "local/big", fallbacks: ["anthropic/claude"] }, thinkingDefault: "low" },
    list: [{ id: "main", tools: { deny: ["browser"] }, sandbox: { wallSeconds: 5 } }, { id: "mute", tools: { allow: [] } }],
  },
  models: { providers: {
    anthropic: { apiKey: "k" },
    local: { baseUrl: "http://192.168.1.5:8000/v1/", headers: { "x-team": "t" }, models: [{ id: "big", contextWindow: 9000, input: ["text", "image"] }] },
  } },
  channels: { irc: { host: "irc.example.org", nick: "creel", sasl: { account: "a", password: "s3" }, streaming: "partial", textChunkLimit: 300, groups: { "*": {} } } },
  logging: { level: "warn" },
}"##;

#[test]
fn an_agent_is_told_its_models_providers_and_tools() {
    let told = config(SAMPLE).agent_config("main", &paths(), &Found::default()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&told).unwrap());
    assert!(config(SAMPLE).agent_config("nobody", &paths(), &Found::default()).is_none());
}

#[test]
fn an_empty_list_of_tools_means_none() {
    let told = config(SAMPLE).agent_config("mute", &paths(), &Found::default()).unwrap();
    assert!(told.tools.allow.is_empty());
    assert_eq!(told.tools.deny, ["*"]);
}

#[test]
fn who_may_run_no_commands_is_not_offered_exec() {
    let may = |defaults: &str, own: &str| {
        let text = format!(
            "{{ agents: {{ defaults: {{ tools: {{ exec: {defaults} }} }}, list: [{{ id: 'main', tools: {{ exec: {own} }} }}] }} }}"
        );
        let tools = config(&text).agent_config("main", &paths(), &Found::default()).unwrap().tools;
        assert!(tools.allows("read"));
        tools.allows("exec")
    };
    assert!(may("{}", "{}") && may("{ security: 'full' }", "{}"));
    assert!(!may("{ security: 'deny' }", "{}") && !may("{}", "{ security: 'deny' }"));
    assert!(may("{ security: 'deny' }", "{ security: 'full' }"), "what an agent says itself holds");
}

#[test]
fn an_account_is_told_its_own_settings_and_no_policy() {
    let told = config(SAMPLE).channel_config("irc", "default").unwrap();
    assert!(!format!("{told:?}").contains("s3"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&told).unwrap());
    assert!(config(SAMPLE).channel_config("irc", "other").is_none());
}

#[test]
fn without_a_file_the_agent_is_told_the_demo_or_what_was_found() {
    let told = config("").agent_config("main", &paths(), &Found::default()).unwrap();
    assert_eq!((told.models[0].provider.as_str(), told.models[0].id.as_str()), ("demo", "demo"));
    assert_eq!(told.providers["demo"].api, "demo");
    let env: Env = [("ANTHROPIC_API_KEY".to_owned(), "k".to_owned())].into();
    let told = config("").agent_config("main", &paths(), &discovered_providers(&env, None)).unwrap();
    assert_eq!(told.models[0].provider, "anthropic");
    assert_eq!(told.providers["anthropic"].api_key.as_ref().unwrap().expose(), "k");
}

#[test]
fn every_model_of_the_chain_has_its_provider() {
    for text in ["", SAMPLE, r#"{ agents: { defaults: { model: "openrouter/x" } } }"#] {
        let told = config(text).agent_config("main", &paths(), &Found::default()).unwrap();
        assert!(!told.models.is_empty());
        for model in &told.models {
            assert!(told.providers.contains_key(&model.provider), "{} in {text}", model.provider);
        }
    }
}
