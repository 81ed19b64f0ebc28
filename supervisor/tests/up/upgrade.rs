//! Another program in place of the supervisor's, while everything runs on.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::home::{Home, SOON, send};

const TWO: &str = "{gateway: {port: PORT}, channels: {telegram: {accounts: {a: {botToken: '1:a'}}}}}";

/// The new program under a name that decides what it does.
fn heir(home: &Home, name: &str) -> PathBuf {
    let built = std::env::current_exe().unwrap();
    let built = built.parent().unwrap().parent().unwrap().join("examples/test-heir");
    let path = home.path(name);
    std::fs::copy(built, &path).unwrap();
    path
}

/// Asks for an upgrade and waits for its end.
fn upgrade(home: &mut Home, params: Value) -> Value {
    home.control("control.upgrade", params).unwrap();
    home.until("the end of the upgrade", |home| {
        let state = home.control("control.upgradeStatus", json!({})).ok()?;
        ["done", "refused", "rolled_back"].contains(&state["phase"].as_str()?).then_some(state)
    })
}

pub(crate) fn to(home: &mut Home, name: &str) -> Value {
    let binary = heir(home, name);
    upgrade(home, json!({"binary": binary, "noRoll": true}))
}

fn program(pid: u32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

#[test]
fn every_process_is_the_same_after_an_upgrade_and_after_another() {
    let mut home = Home::up(TWO, &["gateway", "egress", "agent:main", "channel:telegram:a"]);
    let (own, before) = (home.pid(), home.pids());
    for name in ["one", "two"] {
        let state = to(&mut home, name);
        assert_eq!((&state["phase"], &state["kept"]), (&json!("done"), &json!(4)), "{state}");
        assert!(program(own).ends_with(name), "{:?}", program(own));
        assert_eq!(home.pids(), before);
    }
    // What it took over works: a fall is seen, the gateway is heard, the control socket and the lock are held.
    send(before["agent:main"], Signal::KILL);
    let unit =
        home.wait_unit("agent:main", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    assert_eq!((&unit["restarts"], &unit["lastExit"]["cause"]), (&json!(1), &json!("signal")));
    let run = json!({"run": "r", "agent": "main", "argv": ["echo", "hello"]});
    assert_eq!(home.gateway("tool.run", run)["stdout"], "hello\n");
    let second = home.command().output().unwrap();
    assert_eq!(second.status.code(), Some(75), "{second:?}");
    send(home.unit_pid("gateway"), Signal::KILL);
    home.wait_unit("gateway", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    home.signal(Signal::TERM);
    assert!(home.wait_exit().success());
}

#[test]
fn a_hundred_workers_are_kept() {
    let accounts: Vec<String> = (0..99).map(|n| format!("a{n}: {{botToken: '{n}:x'}}")).collect();
    let config = format!(
        "{{gateway: {{port: PORT}}, channels: {{telegram: {{accounts: {{{}}}}}}}}}",
        accounts.join(", ")
    );
    let mut home = Home::up(&config, &["gateway", "agent:main"]);
    home.until("all of them", |home| {
        let status = home.status();
        status["units"].as_array().unwrap().iter().all(|unit| unit["state"] == "running").then_some(())
    });
    let before = home.pids();
    assert_eq!(before.len(), 102);
    let state = to(&mut home, "one");
    println!("{} us from the last act of the old program to the first of the new one", state["execMicros"]);
    assert_eq!((&state["phase"], &state["kept"]), (&json!("done"), &json!(102)), "{state}");
    assert_eq!(home.pids(), before);
    let restarts: Vec<Value> =
        home.status()["units"].as_array().unwrap().iter().map(|unit| unit["restarts"].clone()).collect();
    assert!(restarts.iter().all(|restarts| *restarts == json!(0)), "{restarts:?}");
}

#[test]
fn fault_40_a_bad_new_program_changes_nothing() {
    let mut home = Home::up(TWO, &["gateway", "egress", "agent:main", "channel:telegram:a"]);
    let (own, before, program_before) = (home.pid(), home.pids(), program(home.pid()));
    let text = home.path("text");
    std::fs::write(&text, "no program").unwrap();
    let refused = |home: &mut Home, binary: PathBuf, words: &str| {
        let state = upgrade(home, json!({"binary": binary}));
        assert_eq!(state["phase"], "refused", "{state}");
        let problem = state["problem"].as_str().unwrap();
        assert!(problem.contains(words) && problem.contains("Nothing was changed"), "{problem}");
    };
    let error = home.control("control.upgrade", json!({"binary": "/nowhere"})).unwrap_err();
    assert!(error.contains("/nowhere") && error.contains("cannot be opened"), "{error}");
    refused(&mut home, text, "cannot be run");
    let refuses = heir(&home, "refuses");
    refused(&mut home, refuses, "exit status: 1");
    refused(&mut home, "/bin/true".into(), "nothing that this version understands");
    assert_eq!((home.pids(), program(own)), (before.clone(), program_before.clone()));
    // One that passes the check and fails later is undone.
    for (name, why) in [
        ("ends", "as its name says"),
        ("breaks", "it broke"),
        ("strays", "control socket /nowhere"),
        ("hangs", "did not confirm within 10 s"),
    ] {
        let state = to(&mut home, name);
        assert_eq!((&state["phase"], &state["kept"]), (&json!("rolled_back"), &json!(4)), "{state}");
        assert!(state["problem"].as_str().unwrap().contains(why), "{state}");
        assert_eq!((home.pids(), program(own)), (before.clone(), program_before.clone()));
    }
    let run = json!({"run": "r", "agent": "main", "argv": ["echo", "hello"]});
    assert_eq!(home.gateway("tool.run", run)["stdout"], "hello\n");
    send(before["agent:main"], Signal::KILL);
    home.wait_unit("agent:main", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
}

#[test]
fn fault_40_a_program_that_never_answers_is_given_up() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    let before = home.pids();
    let binary = heir(&home, "silent");
    let state = upgrade(&mut home, json!({"binary": binary}));
    assert_eq!(state["phase"], "refused", "{state}");
    assert!(state["problem"].as_str().unwrap().contains("did not answer"), "{state}");
    assert_eq!(home.pids(), before);
}

#[test]
fn fault_40_what_dies_in_an_upgrade_is_told_at_the_next_start() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    let before = home.pids();
    let binary = heir(&home, "dies");
    home.control("control.upgrade", json!({"binary": binary})).unwrap();
    assert!(!home.wait_exit().success());
    home.wait_gone(before.into_values());
    home.start();
    home.wait_log("supervisor", "ended in the middle of an upgrade");
    home.wait_state("agent:main", "running");
}

#[test]
fn fault_41_an_exit_in_the_gap_is_seen_by_the_next_program() {
    let mut home = Home::up(TWO, &["gateway", "egress", "agent:main", "channel:telegram:a"]);
    let (own, before) = (home.pid(), home.pids());
    let binary = heir(&home, "hangs");
    home.control("control.upgrade", json!({"binary": binary})).unwrap();
    home.until("the new program", |_| program(own).ends_with("hangs").then_some(()));
    // It hangs: nobody can see this before the old one is back.
    send(before["agent:main"], Signal::KILL);
    home.until("the zombie", |_| (crate::home::zombies(own) == 1).then_some(()));
    let unit =
        home.wait_unit("agent:main", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    assert_eq!((&unit["restarts"], &unit["lastExit"]["cause"]), (&json!(1), &json!("signal")), "{unit}");
    let mut after = home.pids();
    assert_ne!(after.remove("agent:main"), before.get("agent:main").copied());
    assert!(after.iter().all(|(name, pid)| before[name] == *pid), "{before:?} {after:?}");
    home.until("no zombie", |_| (crate::home::zombies(own) == 0).then_some(()));
}

#[test]
fn fault_57_a_replaced_and_a_deleted_program_run_on_and_the_new_one_takes_over_at_its_path() {
    let mut home = Home::new(TWO);
    home.install();
    home.start();
    for unit in ["gateway", "egress", "agent:main", "channel:telegram:a"] {
        home.wait_state(unit, "running");
    }
    let (own, before, path) = (home.pid(), home.pids(), home.path("creel"));
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(home.path("libexec/creel-channel")).unwrap();
    // The launcher stage is the deleted program itself; a unit whose own program is gone says so.
    send(before["agent:main"], Signal::KILL);
    home.wait_unit("agent:main", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    send(before["channel:telegram:a"], Signal::KILL);
    home.wait_unit("channel:telegram:a", "not launched", |unit| {
        unit["state"] == "backoff" && unit["lastExit"]["cause"] == "launch_failed"
    });
    assert_eq!(home.pids()["gateway"], before["gateway"]);
    let refused = home.control("control.upgrade", json!({})).unwrap_err();
    assert!(refused.contains("cannot be opened"), "{refused}");
    for name in ["creel-channel", "creel-gateway"] {
        let beside = home.path("libexec/new");
        std::fs::copy(home.path("libexec/creel-agent"), &beside).unwrap();
        std::fs::rename(beside, home.path("libexec").join(name)).unwrap();
    }
    heir(&home, "creel");
    let before = home.pids();
    let state = upgrade(&mut home, json!({"noRoll": true}));
    assert_eq!(state["phase"], "done", "{state}");
    assert_eq!(program(own), path);
    let left = state["left"].as_array().unwrap();
    assert!(
        matches!(left.as_slice(), [one] if one.as_str().unwrap().starts_with("gateway runs its old")),
        "{left:?}"
    );
    let after = home.pids();
    assert!(before.iter().all(|(name, pid)| after[name] == *pid), "{before:?} {after:?}");
    let state = upgrade(&mut home, json!({}));
    assert_eq!((&state["rolled"], &state["left"]), (&json!(["gateway"]), &json!([])), "{state}");
    let after = home.pids();
    let moved: Vec<&String> = before.keys().filter(|name| after[*name] != before[*name]).collect();
    assert_eq!(moved, ["gateway"]);
}

#[test]
fn a_new_program_that_does_not_get_up_is_named_and_takes_no_other_unit_down() {
    let mut home = Home::new(TWO);
    home.install();
    home.start();
    for unit in ["gateway", "egress", "agent:main", "channel:telegram:a"] {
        home.wait_state(unit, "running");
    }
    let before = home.pids();
    let replace = |home: &Home, name: &str, with: PathBuf| {
        let beside = home.path("libexec/new");
        std::fs::copy(with, &beside).unwrap();
        std::fs::rename(beside, home.path("libexec").join(name)).unwrap();
    };
    replace(&home, "creel-agent", home.path("libexec/creel-agent"));
    let binary = heir(&home, "one");
    replace(&home, "creel-gateway", "/bin/false".into());
    let state = upgrade(&mut home, json!({"binary": binary}));
    let problem = state["problem"].as_str().unwrap();
    assert!(state["phase"] == "refused" && problem.contains("its gateway cannot go on"), "{state}");
    assert_eq!(home.pids(), before);
    // One that passes its rehearsal and is of no use later.
    replace(&home, "creel-gateway", "/bin/true".into());
    let told =
        home.cli(&["upgrade", "--json", "--binary"]).arg(binary).stdout(Stdio::piped()).output().unwrap();
    assert_eq!(told.status.code(), Some(4), "done, but not everybody was moved: {told:?}");
    let progress = String::from_utf8_lossy(&told.stderr);
    assert!(
        progress.contains("looks at a copy of the state") && progress.contains("It is over."),
        "{progress}"
    );
    let state: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&state["phase"], &state["rolled"]), (&json!("done"), &json!([])), "{state}");
    let left: Vec<&str> = state["left"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(
        matches!(left.as_slice(), [first, second]
            if first.starts_with("gateway does not get ready") && second.starts_with("agent:main runs its old")),
        "{left:?}"
    );
    let after = home.pids();
    for unit in ["egress", "agent:main", "channel:telegram:a"] {
        assert_eq!(after[unit], before[unit]);
    }
}

#[test]
fn no_line_is_lost_or_torn_and_a_follower_goes_on() {
    let mut home = Home::up(
        "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'counts'}]}}",
        &["gateway", "agent:main", "agent:counts"],
    );
    let mut follower = UnixStream::connect(home.path("run/control.sock")).unwrap();
    follower.set_read_timeout(Some(SOON)).unwrap();
    let ask = json!({"unit": "agent:counts", "follow": true, "lines": 1});
    writeln!(follower, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "control.logs", "params": ask}))
        .unwrap();
    let reader = std::thread::spawn(move || {
        let mut seen: Vec<u64> = Vec::new();
        for line in BufReader::new(follower).lines() {
            let Ok(line) = line else { break };
            let message: Value = serde_json::from_str(&line).unwrap();
            let lines = if message["id"].is_null() { &message["params"] } else { &message["result"] };
            for line in lines["lines"].as_array().unwrap() {
                let text = line["text"].as_str().unwrap();
                assert!(!text.contains("too fast"), "{text}");
                seen.extend(text.strip_prefix("count ").map(|n| n.parse::<u64>().unwrap()));
            }
        }
        seen
    });
    home.wait_log("agent:counts", "count 000100");
    for name in ["one", "two", "three"] {
        assert_eq!(to(&mut home, name)["phase"], "done");
    }
    let last = counted(&home.log("agent:counts")).len() + 200;
    home.wait_log("agent:counts", &format!("count {last:06}"));
    let counted = counted(&home.log("agent:counts"));
    assert!(counted.iter().enumerate().all(|(at, n)| *n == at as u64), "a line is missing or torn");
    home.signal(Signal::TERM);
    let mut seen = reader.join().unwrap();
    seen.dedup();
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "the follower missed a line");
    assert!(
        seen.last().is_some_and(|n| *n >= last as u64),
        "the follower was left: {:?} {last}",
        seen.last()
    );
}

/// The numbers in a log of the unit that counts.
fn counted(log: &str) -> Vec<u64> {
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("count")).collect();
    lines.iter().map(|line| line.strip_prefix("count ").unwrap().parse().unwrap()).collect()
}

#[test]
fn a_tool_run_goes_on_and_is_answered_once() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    let script = "echo begun; echo x >> trace; while [ ! -e go ]; do sleep 0.01; done; echo ended; exit 5";
    let params = json!({"run": "r", "agent": "main", "argv": ["sh", "-c", script]});
    let port = home.port;
    let asked = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        writeln!(stream, "{}", json!({"method": "tool.run", "params": params})).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    });
    let row = home.wait_state("tool:r", "running");
    home.until("its first word", |home| (home.gateway("outputs", json!({}))["r"] == "begun\n").then_some(()));
    assert_eq!(to(&mut home, "one")["phase"], "done");
    assert_eq!(home.wait_state("tool:r", "running")["pid"], row["pid"]);
    std::fs::write(home.path("home/workspace/go"), "").unwrap();
    let exit = asked.join().unwrap();
    assert_eq!((&exit["code"], &exit["stdout"]), (&json!(5), &json!("begun\nended\n")), "{exit}");
    assert_eq!(std::fs::read_to_string(home.path("home/workspace/trace")).unwrap(), "x\n");
}

#[test]
fn what_waits_goes_on_waiting_and_what_is_set_aside_stays_so() {
    let config = "{gateway: {port: PORT}, supervisor: {backoff: {initialMs: 600000, maxMs: 600000}}, agents: {list: [{id: 'main'}, {id: 'crash'}, {id: 'wrong'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:main"]);
    home.wait_state("agent:crash", "backoff");
    home.wait_state("agent:wrong", "quarantined");
    let look = |home: &Home| -> BTreeMap<String, Value> {
        let units = home.status()["units"].as_array().unwrap().clone();
        units
            .into_iter()
            .map(|unit| {
                let row = json!([unit["state"], unit["incarnation"], unit["restarts"], unit["lastExit"]]);
                (unit["name"].as_str().unwrap().to_owned(), row)
            })
            .collect()
    };
    let (before, wait) = (look(&home), home.unit("agent:crash").unwrap()["nextAttemptMs"].clone());
    assert_eq!(to(&mut home, "one")["phase"], "done");
    assert_eq!(look(&home), before);
    let after = home.unit("agent:crash").unwrap()["nextAttemptMs"].as_u64().unwrap();
    assert!(after <= wait.as_u64().unwrap() && after > 300_000, "{after} {wait}");
}
