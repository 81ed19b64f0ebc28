//! Precedence, folders, and what agents and accounts inherit.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use creel_config::disk::Disk;
use creel_config::session::DmScope;
use creel_config::{Config, Env, Loader, Overrides, Paths, Show};

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn config_with(env: &Env, text: &str) -> Config {
    let files: BTreeMap<PathBuf, String> = BTreeMap::new();
    Loader::new(&files, env).text(text.to_owned(), Path::new("creel.json")).unwrap().config
}

fn config(text: &str) -> Config {
    config_with(&Env::new(), text)
}

#[test]
fn flags_over_environment_over_file_over_defaults() {
    let port = |flag: Option<u16>, variables: &[(&str, &str)], text: &str| {
        let mut config = config(text);
        let flags = Overrides { port: flag, ..Overrides::default() };
        flags.over(Overrides::from_env(&env(variables)).unwrap()).apply(&mut config);
        config.gateway.port
    };
    let file = "{ gateway: { port: 3 } }";
    assert_eq!(port(None, &[], ""), 18789);
    assert_eq!(port(None, &[], file), 3);
    assert_eq!(port(None, &[("OPENCLAW_GATEWAY_PORT", "2")], file), 2);
    assert_eq!(port(None, &[("OPENCLAW_GATEWAY_PORT", "2"), ("CREEL_GATEWAY_PORT", "4")], file), 4);
    assert_eq!(port(None, &[("CREEL_GATEWAY_PORT", "")], file), 3);
    assert_eq!(port(Some(1), &[("CREEL_GATEWAY_PORT", "4")], file), 1);
    let error = Overrides::from_env(&env(&[("CREEL_GATEWAY_PORT", "http")])).unwrap_err();
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn a_token_of_the_environment_wins_and_is_not_printed() {
    let mut config =
        config("{ gateway: { auth: { mode: \"password\", password: \"p\", token: \"file\" } } }");
    let overrides = Overrides::from_env(&env(&[("OPENCLAW_GATEWAY_TOKEN", "hunter2")])).unwrap();
    assert!(!format!("{overrides:?}").contains("hunter2"));
    overrides.apply(&mut config);
    assert_eq!(config.gateway.auth.token.unwrap().expose(), "hunter2");
    assert_eq!(config.gateway.auth.mode.word(), "token");
}

#[test]
fn folders_of_a_home() {
    let user = || Some(PathBuf::from("/home/kim"));
    let paths = Paths::compose(&Overrides::default(), user(), Some("/run/user/1000".into())).unwrap();
    assert_eq!(paths.config, Path::new("/home/kim/.creel/creel.json"));
    assert_eq!(paths.control(), Path::new("/run/user/1000/creel/control.sock"));
    assert_eq!(paths.token(), Path::new("/home/kim/.creel/state/gateway.token"));
    assert_eq!(paths.log("agent:main"), Path::new("/home/kim/.creel/logs/agent:main.log"));

    let elsewhere = Overrides { home: Some("/srv/creel".into()), ..Overrides::default() };
    let paths = Paths::compose(&elsewhere, user(), Some("/run/user/1000".into())).unwrap();
    assert_eq!(
        paths.lock(),
        Path::new("/srv/creel/run/creel.lock"),
        "two homes of one user never share a lock"
    );
    let config = config(
        r#"{ agents: { list: [{ id: "main" }, { id: "a" }, { id: "b", workspace: "~/b" }, { id: "c", workspace: "c" }] } }"#,
    );
    let workspaces: Vec<_> =
        config.agents().iter().map(|agent| paths.workspace(agent).display().to_string()).collect();
    assert_eq!(workspaces, ["/srv/creel/workspace", "/srv/creel/workspace-a", "/home/kim/b", "/srv/creel/c"]);
    assert!(
        Paths::compose(&Overrides::default(), None, None).unwrap_err().to_string().contains("CREEL_HOME")
    );
}

#[test]
fn workspaces_that_show_creels_own_files_are_refused() {
    let paths = Paths::compose(&Overrides::default(), Some("/home/kim".into()), None).unwrap();
    let files: BTreeMap<PathBuf, String> = BTreeMap::new();
    let env = Env::new();
    let loader = Loader::new(&files, &env).within(&paths);
    let load = |workspace: &str| {
        let text = format!("{{ agents: {{ list: [{{ id: \"main\", workspace: {workspace:?} }}] }} }}");
        loader.text(text, Path::new("creel.json"))
    };
    for bad in ["/", "~", "~/.creel", "~/.creel/state", "state/x", "logs", "/home"] {
        assert!(load(bad).is_err(), "{bad}");
    }
    insta::assert_snapshot!(load("~").unwrap_err().to_string());
    for good in ["~/work", "workspace", "/srv/x"] {
        assert!(load(good).is_ok(), "{good}");
    }
    let shared = loader
        .text(
            "{ agents: { list: [{ id: \"a\", workspace: \"w\" }, { id: \"b\", workspace: \"w\" }] } }".into(),
            Path::new("creel.json"),
        )
        .unwrap();
    assert_eq!(shared.warnings.len(), 1);
}

#[test]
fn a_missing_file_is_the_default_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let env = Env::new();
    let loaded = Loader::new(&Disk, &env).file(&folder.path().join("creel.json")).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.files.is_empty() && loaded.warnings.is_empty());
    assert_eq!(loaded.config, config("{}"));
    let unreadable = Loader::new(&Disk, &env).file(folder.path()).unwrap_err();
    assert!(unreadable.to_string().contains("cannot be read"), "{unreadable}");
}

#[test]
fn direct_messages_are_told_apart_as_soon_as_there_may_be_two_senders() {
    let scope = |channels: &str| config(&format!("{{ channels: {channels} }}")).dm_scope();
    let allow =
        |ids: &str| format!("{{ telegram: {{ botToken: 'x', dmPolicy: 'allowlist', allowFrom: {ids} }} }}");
    assert_eq!(scope("{}"), DmScope::Main);
    assert_eq!(scope(&allow("[1]")), DmScope::Main);
    assert_eq!(scope(&allow("[1, 2]")), DmScope::PerChannelPeer);
    assert_eq!(scope("{ telegram: { botToken: 'x' } }"), DmScope::PerChannelPeer);
    assert_eq!(
        scope("{ telegram: { botToken: 'x', dmPolicy: 'open', allowFrom: ['*'] } }"),
        DmScope::PerChannelPeer
    );
    assert_eq!(
        config("{ session: { dmScope: 'main' }, channels: { telegram: { botToken: 'x' } } }").dm_scope(),
        DmScope::Main
    );
}

#[test]
fn accounts_inherit_what_is_shared_and_not_who_they_are() {
    let config = config(
        "{ channels: {
            defaults: { groupPolicy: 'disabled', historyLimit: 7 },
            telegram: {
                botToken: 'flat', allowFrom: [1], dmPolicy: 'allowlist', apiRoot: 'http://127.0.0.1:1', historyLimit: 3,
                accounts: { work: { botToken: 'work', groupPolicy: 'open' } },
            },
        } }",
    );
    let accounts = &config.channels.telegram.accounts;
    let ids: Vec<_> = accounts.keys().map(|id| id.as_str()).collect();
    assert_eq!(ids, ["default", "work"]);
    let work = config.channels.account("telegram", "work").unwrap();
    let shown = work.settings(Show::Revealed);
    assert_eq!(shown["botToken"], "work");
    assert_eq!(shown["apiRoot"], "http://127.0.0.1:1");
    assert_eq!((work.common.group_policy.word(), work.common.history_limit), ("open", Some(3)));
    let flat = config.channels.account("telegram", "default").unwrap();
    assert_eq!(
        (flat.common.group_policy.word(), flat.settings(Show::Revealed)["botToken"].as_str()),
        ("disabled", Some("flat"))
    );
    assert_eq!(flat.settings(Show::Redacted)["botToken"], "(secret)");
}

#[test]
fn a_section_that_is_off_switches_its_accounts_off() {
    let config =
        config("{ channels: { telegram: { enabled: false, accounts: { a: { enabled: true }, b: {} } } } }");
    assert_eq!(config.channels.all().len(), 2);
    assert!(config.channels.enabled().is_empty());
}

#[test]
fn the_default_bot_takes_its_token_from_the_environment() {
    let config = config_with(&env(&[("TELEGRAM_BOT_TOKEN", "1:env")]), "{ channels: { telegram: {} } }");
    let account = config.channels.account("telegram", "default").unwrap();
    assert_eq!(account.settings(Show::Revealed)["botToken"], "1:env");
}

#[test]
fn agents_inherit_the_defaults() {
    let config = config(
        "{ agents: {
            defaults: {
                model: { primary: 'openai/a', fallbacks: ['openai/b'] }, timeoutSeconds: 9, thinkingDefault: 'high', workspace: '~/home',
                tools: { deny: ['x'], exec: { security: 'deny' } }, sandbox: { pids: 5, wallSeconds: 6 },
            },
            list: [{ id: 'one' }, { id: 'two', default: true, model: 'openai/c', timeoutSeconds: 8, tools: { deny: ['y'] }, sandbox: { pids: 4 } }],
        }, sandbox: { wallSeconds: 99, workspaceAccess: 'ro' } }",
    );
    let [one, two] = <[_; 2]>::try_from(config.agents()).unwrap();
    assert_eq!((one.timeout_seconds, two.timeout_seconds, one.thinking.word()), (9, 8, "high"));
    assert_eq!((one.default, two.default), (false, true));
    assert_eq!(one.model.primary.unwrap().to_string(), "openai/a");
    assert_eq!(two.model.primary.unwrap().to_string(), "openai/c");
    assert_eq!(two.model.fallbacks[0].to_string(), "openai/b");
    assert_eq!((one.tools.deny.join(","), two.tools.deny.join(",")), ("x".into(), "x,y".into()));
    assert_eq!(two.tools.exec.security.unwrap().word(), "deny");
    let policy = two.tool_policy;
    assert_eq!((policy.pids, policy.wall_seconds, policy.workspace_access.word()), (4, 6, "ro"));
    assert_eq!(
        (one.workspace, two.workspace),
        (None, Some("~/home".into())),
        "only the default agent takes the common workspace"
    );
}

#[test]
fn the_limits_of_a_workspace_are_its_agents_own_first_and_never_nothing_by_mistake() {
    let config = config(
        "{ sandbox: { disk: '1g', inodes: 9 }, agents: { defaults: { sandbox: { inodes: 8 } },
           list: [{ id: 'one', sandbox: { disk: '2g' } }, { id: 'two', sandbox: { inodes: 7 } }] } }",
    );
    let limits = config.agents().into_iter().map(|agent| (agent.tool_policy.disk, agent.tool_policy.inodes));
    assert_eq!(limits.collect::<Vec<_>>(), [(Some(2 << 30), Some(8)), (Some(1 << 30), Some(7))]);
    let none = Config::default().agents().remove(0).tool_policy;
    assert_eq!((none.disk, none.inodes), (None, None));
    for (text, told) in [
        ("{ sandbox: { disk: '1000k' } }", "at least"),
        ("{ sandbox: { disk: 0 } }", "at least"),
        ("{ sandbox: { inodes: 0 } }", "from 1 to"),
        ("{ agents: { list: [{ id: 'a', sandbox: { disk: 'much' } }] } }", "size"),
    ] {
        let (files, env) = (BTreeMap::<PathBuf, String>::new(), Env::new());
        let error = Loader::new(&files, &env).text(text.to_owned(), Path::new("creel.json")).unwrap_err();
        assert!(error.to_string().contains(told), "{text}: {error}");
    }
}
