//! Bounded workspaces: what commands may put into them, and how it gets there.

use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};

use crate::home::Home;

fn up() -> Home {
    let config = "{gateway: {port: PORT}, sandbox: {disk: '8m', inodes: 100}}";
    Home::up(config, &["gateway", "agent:main"])
}

fn sh(run: &str, script: &str) -> Value {
    json!({"run": run, "agent": "main", "argv": ["sh", "-c", script]})
}

#[test]
fn what_a_command_changed_is_there_when_its_end_is_told() {
    let home = up();
    let workspace = home.path("home/workspace");
    let first = home.gateway("tool.run", sh("d1", "mkdir a; echo 1 > a/x; echo 2 > y; echo h > ~/kept"));
    assert_eq!((&first["code"], &first["message"]), (&json!(0), &Value::Null), "{first}");
    assert_eq!(std::fs::read_to_string(workspace.join("a/x")).unwrap(), "1\n");
    let owner = |name: &str| std::fs::metadata(workspace.join(name)).unwrap();
    assert_eq!((owner("y").uid(), owner("y").gid()), (owner("").uid(), owner("").gid()));
    let script = "cat ~/kept; rm -r a; mkdir a; echo more >> y; cat y; rm -f nothing; mkdir .git; cd .git; mkdir hooks; \
                  echo x > hooks/post-checkout";
    let second = home.gateway("tool.run", sh("d2", script));
    assert_eq!(second["stdout"], "h\n2\nmore\n", "{second}");
    assert!(!workspace.join("a/x").exists() && workspace.join("a").is_dir(), "{second}");
    assert_eq!(std::fs::read_to_string(workspace.join("y")).unwrap(), "2\nmore\n");
    // What the host would obey is looked for after the changes came over.
    assert!(
        second["message"].as_str().is_some_and(|told| told.contains(".git/hooks/post-checkout")),
        "{second}"
    );
    assert!(!workspace.join(".git/hooks/post-checkout").exists());
}

#[test]
fn a_full_workspace_is_denied_with_the_name_of_the_key_and_can_be_emptied() {
    let home = up();
    let workspace = home.path("home/workspace");
    let fill = home.gateway("tool.run", sh("f1", "head -c 20000000 /dev/zero > big; echo $?"));
    let denials = fill["denials"].to_string();
    assert!(denials.contains("sandbox.disk") && denials.contains("8388608"), "{fill}");
    let kept = std::fs::metadata(workspace.join("big")).unwrap().len();
    assert!(kept > 4 << 20 && kept <= 8 << 20, "{kept}");
    let more = home.gateway("tool.run", sh("f2", "head -c 4000000 /dev/zero > more"));
    assert!(more["denials"].to_string().contains("sandbox.disk"), "{more}");
    let emptied = home.gateway("tool.run", sh("f3", "rm big more"));
    assert_eq!(emptied["code"], 0, "{emptied}");
    assert!(!workspace.join("big").exists());
    let script = "i=0; while [ $i -lt 300 ] && touch f$i; do i=$((i+1)); done; echo $i";
    let many = home.gateway("tool.run", sh("f4", script));
    assert!(many["denials"].to_string().contains("sandbox.inodes"), "{many}");
    assert!(std::fs::read_dir(&workspace).unwrap().count() <= 100);
}

#[test]
fn commands_that_write_one_workspace_take_turns() {
    let home = up();
    let port = home.port;
    let runs: Vec<_> = (0..4)
        .map(|n| {
            let script = "n=$(cat n 2>/dev/null || echo 0); sleep 0.05; echo $((n+1)) > n";
            let asked = sh(&format!("t{n}"), script);
            std::thread::spawn(move || crate::tools::ask(port, &asked))
        })
        .collect();
    for run in runs {
        assert_eq!(run.join().unwrap()["code"], 0);
    }
    assert_eq!(std::fs::read_to_string(home.path("home/workspace/n")).unwrap(), "4\n");
}

/// Waits until the shell of a run has started a program, and so has done what comes before it.
fn until_it_sleeps(home: &mut Home, run: &str) {
    home.wait_state(run, "running");
    home.until("the change", |home| {
        let first = home.unit(run)?["pid"].as_u64()?.to_string();
        let child = |pid: &str| {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            children.split_whitespace().next().map(str::to_owned)
        };
        child(&child(&first)?).map(drop)
    });
}

#[test]
fn what_was_changed_before_a_kill_comes_over_too() {
    let mut home = up();
    let port = home.port;
    let waiting =
        std::thread::spawn(move || crate::tools::ask(port, &sh("k1", "echo half > half; sleep 1000")));
    until_it_sleeps(&mut home, "tool:k1");
    assert!(!home.path("home/workspace/half").exists());
    home.gateway("tool.kill", json!({"run": "k1"}));
    assert_eq!(waiting.join().unwrap()["cause"], "killed");
    assert_eq!(std::fs::read_to_string(home.path("home/workspace/half")).unwrap(), "half\n");
}

#[test]
fn behind_a_process_in_the_background_nobody_waits_and_an_upgrade_keeps_its_changes() {
    let mut home = up();
    let start = json!({"command": sh("b1", "echo long > long; sleep 1000"), "terminal": false});
    let started = home.gateway("process.start", start);
    assert_eq!(started["process"], "b1", "{started}");
    until_it_sleeps(&mut home, "tool:b1");
    let refused = home.gateway("tool.run", sh("b2", "true"))["error"].to_string();
    assert!(refused.contains("b1") && refused.contains("sandbox.disk"), "{refused}");
    let state = crate::upgrade::to(&mut home, "one");
    assert_eq!(state["phase"], "done", "{state}");
    assert!(!home.path("home/workspace/long").exists());
    home.gateway("process.kill", json!({"process": "b1", "agent": "main"}));
    let kept = home.until("the commit", |home| {
        let next = home.gateway("tool.run", sh("b3", "cat long"));
        next["error"].is_null().then_some(next)
    });
    assert_eq!(kept["stdout"], "long\n", "{kept}");
}
