//! A: a worker ends.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::json;

use crate::home::{Home, send};

const ONE: &str = "{gateway: {port: PORT}}";
/// No isolation: a process can then be hit by its own signals, and can have children.
const BARE: &str = "{gateway: {port: PORT}, sandbox: {mode: 'off'}}";

/// Agents beside `main`, and waits that are over soon.
fn quick(agents: &str) -> String {
    format!(
        "{{gateway: {{port: PORT}}, supervisor: {{backoff: {{initialMs: 1, maxMs: 20}}}}, agents: {{list: [{{id: 'main'}}, {agents}]}}}}"
    )
}

/// What the supervisor said about the end of a unit that came back without a wait.
fn came_back_at_once(home: &Home, unit: &str) -> bool {
    let log = home.log("supervisor");
    let end = log
        .lines()
        .rfind(|line| line.contains(&format!("{unit} ended")) || line.contains(&format!("{unit} was")));
    end.is_some_and(|line| !line.contains("Next attempt"))
}

#[test]
fn fault_01_exit_zero() {
    let config = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'exit'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:main"]);
    // Not a second old: it waits.
    let row = home.wait_state("agent:exit", "backoff");
    assert_eq!((&row["lastExit"]["cause"], &row["lastExit"]["code"]), (&json!("clean"), &json!(0)), "{row}");
    assert!(row["nextAttemptMs"].is_u64(), "{row}");
    // Older: it comes back at once, and that is no crash.
    home.settle("agent:main");
    home.order("agent:main", "exit");
    let row = home.ended("agent:main", 1, "clean");
    assert_eq!(row["restarts"], 1, "{row}");
    assert!(came_back_at_once(&home, "agent:main"));
    // What runs once is done.
    let run = json!({"run": "once", "agent": "main", "argv": ["sh", "-c", "echo ran >> once"]});
    assert_eq!(home.gateway("tool.run", run)["code"], 0);
    home.until("the end of the run", |home| home.unit("tool:once").is_none().then_some(()));
    assert_eq!(std::fs::read_to_string(home.path("home/workspace/once")).unwrap(), "ran\n");
}

#[test]
fn fault_02_panic() {
    let mut home = Home::up(ONE, &["gateway", "egress", "agent:main"]);
    home.settle("agent:main");
    let port = home.port;
    let asked = std::thread::spawn(move || ask(port));
    // The next one would be asked by it, else.
    home.wait_log("agent:main", "test.ask is not answered");
    home.order("agent:main", "panic");
    let row = home.ended("agent:main", 1, "failed");
    assert_eq!(row["lastExit"]["code"], 101, "{row}");
    home.wait_unit("agent:main", "with its last words", |row| {
        row["lastExit"]["detail"].as_str().is_some_and(|detail| !detail.is_empty())
    });
    assert!(home.log("agent:main").contains("panicked at"), "{}", home.log("agent:main"));
    assert!(came_back_at_once(&home, "agent:main"));
    // Who waited for an answer knows.
    let answer = asked.join().unwrap();
    assert!(answer.contains("closed"), "{answer}");
    // Its last lines stay to be read.
    let lines =
        home.control("control.logs", json!({"unit": "agent:main", "lines": 256})).unwrap().to_string();
    assert!(lines.contains("before the panic 299") && lines.contains("before the panic 060"), "{lines}");
}

fn ask(port: u16) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(crate::home::SOON)).unwrap();
    writeln!(stream, "{}", json!({"method": "ask", "params": {"unit": "agent:main"}})).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn fault_03_signal_and_abort() {
    for (how, signal) in [("segv", 11), ("abort", 6)] {
        let mut home = Home::up(BARE, &["gateway", "agent:main"]);
        home.settle("agent:main");
        let pid = home.unit_pid("agent:main");
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        home.order("agent:main", how);
        let row = home.ended("agent:main", 1, "signal");
        assert_eq!(row["lastExit"]["signal"], signal, "{row}");
        assert!(came_back_at_once(&home, "agent:main"));
    }
}

#[test]
fn fault_03_the_first_process_of_a_namespace_too() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    home.settle("agent:main");
    home.order("agent:main", "abort");
    home.ended("agent:main", 1, "signal");
}

#[test]
fn fault_04_killed_from_outside() {
    let mut home = Home::up(ONE, &["gateway", "egress", "agent:main"]);
    home.settle("agent:main");
    let before = home.pids();
    send(before["agent:main"], Signal::KILL);
    let row = home.ended("agent:main", 1, "signal");
    assert_eq!((&row["lastExit"]["signal"], &row["restarts"]), (&json!(9), &json!(1)), "{row}");
    assert!(came_back_at_once(&home, "agent:main"));
    home.wait_state("agent:main", "running");
    let after = home.pids();
    assert_eq!((before["gateway"], before["egress"]), (after["gateway"], after["egress"]));
}

#[test]
fn fault_05_crash_loop() {
    let mut home = Home::up(&quick("{id: 'crash'}"), &["gateway", "agent:main"]);
    let row = home.wait_state("agent:crash", "quarantined");
    assert_eq!((&row["incarnation"], &row["lastExit"]["code"]), (&json!(6), &json!(101)));
    assert!(row["lastExit"]["detail"].as_str().unwrap().contains("crashed 6 times"), "{row}");
    home.nobody_left();
    let sibling = home.unit("agent:main").unwrap();
    assert_eq!((&sibling["incarnation"], &sibling["state"]), (&json!(1), &json!("running")));
    assert_eq!(home.cli(&["restart", "agent:crash"]).status().unwrap().code(), Some(0));
    home.wait_unit("agent:crash", "once more", |row| {
        row["state"] == "quarantined" && row["incarnation"] == 12
    });
}

#[test]
fn fault_05_waits_grow_and_are_named() {
    let config = "{gateway: {port: PORT}, supervisor: {backoff: {initialMs: 400, jitter: 0}}, agents: {list: [{id: 'crash'}]}}";
    let mut home = Home::up(config, &["gateway"]);
    home.wait_unit("agent:crash", "with its third wait", |row| {
        row["incarnation"] == 3 && row["state"] == "backoff" && row["nextAttemptMs"].is_u64()
    });
    let log = home.log("supervisor");
    let waits: Vec<&str> = log.lines().filter_map(|line| line.split("Next attempt in ").nth(1)).collect();
    assert_eq!(waits, ["0.4 s.", "1.0 s.", "2.5 s."], "{log}");
    // The operator need not wait.
    home.control("unit.restart", json!({"unit": "agent:crash"})).unwrap();
    home.wait_unit("agent:crash", "at once", |row| row["incarnation"] == 4);
}

#[test]
fn fault_06_wrong_configuration() {
    let mut home = Home::up(&quick("{id: 'wrong'}"), &["gateway"]);
    let row = home.ended("agent:wrong", 1, "config");
    assert_eq!((&row["state"], &row["incarnation"]), (&json!("quarantined"), &json!(1)), "{row}");
    assert_eq!(row["lastExit"]["code"], 78, "{row}");
    let shown = home.cli(&["status"]).stdout(std::process::Stdio::piped()).output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("agent:wrong"), "{shown:?}");
    // A command, or a changed configuration.
    home.control("unit.restart", json!({"unit": "agent:wrong"})).unwrap();
    home.wait_unit("agent:wrong", "on command", |row| {
        row["incarnation"] == 2 && row["state"] == "quarantined"
    });
    home.configure(&quick("{id: 'wrong', name: 'changed'}"));
    home.control("config.reload", json!({})).unwrap();
    home.wait_unit("agent:wrong", "on change", |row| row["incarnation"] == 3);
}

#[test]
fn fault_07_exec_fails() {
    type Break = fn(&std::path::Path);
    let script = |path: &std::path::Path, text: &str| {
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    let breaks: [(&str, Break); 4] = [
        ("missing", |path| std::fs::remove_file(path).unwrap()),
        ("not executable", |path| {
            // A copy: the other programs are links to the same file.
            let copy = std::fs::read(path).unwrap();
            std::fs::remove_file(path).unwrap();
            std::fs::write(path, copy).unwrap();
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
        }),
        ("no program", |path| std::fs::write(path, "plain text").unwrap()),
        ("bad interpreter", |path| std::fs::write(path, "#!/no/such/shell\n").unwrap()),
    ];
    for (what, broken) in breaks {
        let mut home = Home::new(ONE);
        let program = home.path("libexec/creel-agent");
        if what.starts_with("no ") || what.starts_with("bad") {
            script(&program, "");
        }
        broken(&program);
        home.start();
        let row = home.wait_state("agent:main", "backoff");
        assert_eq!(row["lastExit"]["cause"], "launch_failed", "{what}: {row}");
        let detail = row["lastExit"]["detail"].as_str().unwrap();
        assert!(detail.contains("stage"), "{what}: {detail}");
        // The longest wait at once: nothing about it will have changed in a moment.
        assert!(row["nextAttemptMs"].as_u64().unwrap() > 10_000, "{what}: {row}");
        assert_eq!(row["incarnation"], 1, "{what}: {row}");
        home.wait_state("gateway", "running");
        home.nobody_left();
    }
}

#[test]
fn fault_08_cannot_be_confined() {
    let mut home = Home::new(&quick("{id: 'other'}"));
    // The folder of one agent leads out of the home: its view of the files cannot be made as it should be.
    std::fs::create_dir_all(home.path("home/agents")).unwrap();
    std::fs::create_dir(home.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(home.path("elsewhere"), home.path("home/agents/other")).unwrap();
    home.start();
    home.wait_state("agent:main", "running");
    let row = home.ended("agent:other", 1, "launch_failed");
    assert!(row["lastExit"]["detail"].as_str().unwrap().contains("symbolic link"), "{row}");
    // It never ran, not even with less.
    assert_eq!(home.log("agent:other"), "");
}

#[test]
fn fault_09_never_ready() {
    let mut home = Home::up(&quick("{id: 'mute'}"), &["gateway", "agent:main"]);
    home.wait_log("agent:mute", "hello from");
    let row = home.ended("agent:mute", 1, "start_timeout");
    assert!(row["lastExit"]["detail"].as_str().unwrap().contains("30 s"), "{row}");
    assert!(home.log("agent:mute").contains("SIGTERM"), "it was asked first");
}
