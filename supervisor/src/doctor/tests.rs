use std::path::PathBuf;

use creel_launch::{Isolation, Level, Measured};

use super::facts::{Cgroups, Door, Entry, Port, Running};
use super::*;
use crate::cgroup::Controllers;

fn well() -> Facts {
    let entry = |path: &str, mode| Entry { path: path.into(), found: Some((mode, 1000)) };
    Facts {
        uid: 1000,
        version: "0.1.0",
        running: Some(Running { pid: 7, version: "0.1.0".into(), level: "L3".into(), down: Vec::new() }),
        socket: "/home/creel/run/control.sock".into(),
        door: Door::Answers,
        services: vec![("/etc/systemd/system/creel.service".into(), true)],
        port: 18789,
        holder: Port::Taken { uid: Some(1000) },
        folders: vec![entry("/home/creel", 0o755), entry("/home/creel/state", 0o700)],
        secrets: vec![entry("/home/creel/state/gateway.token", 0o600)],
        config: ("/home/creel/creel.json".into(), Ok(())),
        missing: Vec::new(),
        versions: vec![("/usr/libexec/creel/creel-agent".into(), Some("0.1.0".into()))],
        logs: ("/home/creel/logs".into(), Ok(())),
        disk: Some((10 << 30, Some(90))),
        databases: Vec::new(),
        clock: (1_795_237_785_083, Some(1_795_237_785_000)),
        users: None,
        max_user_namespaces: Some(15_000),
        unprivileged_clone: None,
        apparmor_restricts: None,
        cgroups: Cgroups::Theirs("/sys/fs/cgroup/x/units".into(), all()),
        measured: Measured {
            level: Level::L2,
            isolation: Some(isolation()),
            denied: 12,
            reasons: vec!["L3: no delegated cgroup.".into()],
            remedies: Vec::new(),
        },
    }
}

fn all() -> Controllers {
    Controllers { memory: true, pids: true, cpu: true }
}

fn isolation() -> Isolation {
    serde_json::from_value(serde_json::json!({
        "level": "L2", "namespaces": [], "landlock_abi": 7, "seccomp_programs": 2, "no_new_privs": true, "caps_empty": true,
        "uid": 1000, "gid": 1000, "gaps": [],
    }))
    .unwrap()
}

fn of(name: &str, facts: &Facts) -> Check {
    examine(facts).into_iter().find(|check| check.name == name).unwrap()
}

#[test]
fn nothing_is_wrong_with_a_home_that_is_well() {
    for check in examine(&well()) {
        assert_eq!((check.verdict, &check.remedy), (Verdict::Ok, &None), "{check:?}");
    }
}

#[test]
fn each_trouble_is_named_with_a_remedy() {
    let entry = |mode, uid| Entry { path: "/home/creel/x".into(), found: Some((mode, uid)) };
    let running = || well().running.unwrap();
    let down = Running { down: vec!["agent:main".into()], ..running() };
    let old = Running { version: "0.0.9".into(), ..running() };
    let weak = |level: &str| Some(Running { level: level.into(), ..running() });
    let cases: Vec<(&str, Verdict, &str, Facts)> = vec![
        ("supervisor", Verdict::Warn, "not running", Facts { running: None, ..well() }),
        ("supervisor", Verdict::Fail, "agent:main", Facts { running: Some(down), ..well() }),
        ("supervisor", Verdict::Warn, "0.0.9", Facts { running: Some(old), ..well() }),
        (
            "versions",
            Verdict::Fail,
            "creel-agent is of Creel 0.0.9, /y does not tell",
            Facts {
                versions: vec![("/x/creel-agent".into(), Some("0.0.9".into())), ("/y".into(), None)],
                ..well()
            },
        ),
        (
            "versions",
            Verdict::Warn,
            "/y does not tell its version",
            Facts { versions: vec![("/y".into(), None)], ..well() },
        ),
        ("cgroups", Verdict::Warn, "none is delegated", Facts { cgroups: Cgroups::None, ..well() }),
        (
            "cgroups",
            Verdict::Warn,
            "no memory controller",
            Facts { cgroups: Cgroups::Theirs("/x".into(), Controllers { memory: false, ..all() }), ..well() },
        ),
        (
            "cgroups",
            Verdict::Warn,
            "No cgroup v2 is mounted",
            Facts { cgroups: Cgroups::Possible(Err("No cgroup v2 is mounted.".into())), ..well() },
        ),
        ("service", Verdict::Warn, "No service manager", Facts { services: Vec::new(), ..well() }),
        ("service", Verdict::Warn, "not started", Facts { services: vec![("/x".into(), false)], ..well() }),
        ("control socket", Verdict::Fail, "may not be used", Facts { door: Door::Forbidden, ..well() }),
        ("port", Verdict::Fail, "by uid 1000", Facts { running: None, ..well() }),
        ("port", Verdict::Fail, "nobody listens", Facts { holder: Port::Free, ..well() }),
        ("home", Verdict::Fail, "mode 777", Facts { folders: vec![entry(0o777, 1000)], ..well() }),
        ("home", Verdict::Fail, "uid 1001", Facts { folders: vec![entry(0o700, 1001)], ..well() }),
        ("secrets", Verdict::Fail, "mode 640", Facts { secrets: vec![entry(0o640, 1000)], ..well() }),
        (
            "secrets",
            Verdict::Warn,
            "may hold",
            Facts { config: ("/home/creel/x".into(), Ok(())), secrets: vec![entry(0o644, 1000)], ..well() },
        ),
        (
            "configuration",
            Verdict::Fail,
            "prot",
            Facts { config: (PathBuf::new(), Err("prot".into())), ..well() },
        ),
        (
            "programs",
            Verdict::Fail,
            "creel-agent",
            Facts { missing: vec!["/x/creel-agent".into()], ..well() },
        ),
        (
            "logs",
            Verdict::Fail,
            "No space",
            Facts { logs: (PathBuf::new(), Err("No space".into())), ..well() },
        ),
        ("disk", Verdict::Fail, "1 MiB", Facts { disk: Some((1 << 20, None)), ..well() }),
        ("disk", Verdict::Warn, "inodes", Facts { disk: Some((10 << 30, Some(1))), ..well() }),
        ("clock", Verdict::Fail, "before", Facts { clock: (0, None), ..well() }),
        ("clock", Verdict::Warn, "future", Facts { clock: (FIRST, Some(FIRST + 100_000)), ..well() }),
        ("user namespaces", Verdict::Warn, "switched off", Facts { max_user_namespaces: Some(0), ..well() }),
        ("user namespaces", Verdict::Warn, "root", Facts { unprivileged_clone: Some(0), ..well() }),
        (
            "user namespaces",
            Verdict::Warn,
            "AppArmor",
            Facts { apparmor_restricts: Some(1), measured: none(), ..well() },
        ),
        ("Landlock", Verdict::Fail, "no Landlock", Facts { measured: none(), ..well() }),
        ("isolation", Verdict::Warn, "L2", Facts { running: weak("L2"), ..well() }),
        ("isolation", Verdict::Warn, "L1", Facts { running: weak("L1"), ..well() }),
        ("users", Verdict::Warn, "as one user: a", Facts { users: Some(Err("a".into())), ..well() }),
        ("isolation", Verdict::Fail, "no isolation", Facts { running: None, measured: none(), ..well() }),
    ];
    for (name, verdict, words, facts) in cases {
        let check = of(name, &facts);
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.sentence.contains(words) && check.remedy.is_some(), "{words}: {check:?}");
    }
}

/// A moment after the first release.
const FIRST: i64 = 1_767_225_700_000;

fn none() -> Measured {
    Measured { level: Level::L0, isolation: None, ..well().measured }
}

#[test]
fn a_database_server_that_is_not_reached_is_a_failure() {
    let place = "/run/postgresql/.s.PGSQL.5432".to_owned();
    let there = Facts { databases: vec![(place.clone(), Ok(()))], ..well() };
    assert_eq!(of("database", &there).verdict, Verdict::Ok);
    let refused = || Err("Connection refused (os error 111)".into());
    let gone = Facts { databases: vec![(place.clone(), refused())], ..well() };
    let check = of("database", &gone);
    assert_eq!(check.verdict, Verdict::Fail);
    insta::assert_snapshot!(format!("{} {}", check.sentence, check.remedy.unwrap()), @"The database server at /run/postgresql/.s.PGSQL.5432 is not reached: Connection refused (os error 111). Start the server, or correct store.postgres.host and store.postgres.port. Meanwhile nothing is received.");
    let one_left = Facts { databases: vec![(place, refused()), ("db2:5432".into(), Ok(()))], ..well() };
    let check = of("database", &one_left);
    assert_eq!(check.verdict, Verdict::Warn);
    insta::assert_snapshot!(format!("{} {}", check.sentence, check.remedy.unwrap()), @"The database server at /run/postgresql/.s.PGSQL.5432 is not reached: Connection refused (os error 111). A server takes connections at db2:5432. Start it again, or correct store.postgres. While one server is away nobody can take over from the other.");
}
