//! Tool runs.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::home::{Home, send};

fn up() -> Home {
    Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"])
}

fn sh(run: &str, script: &str) -> Value {
    json!({"run": run, "agent": "main", "argv": ["sh", "-c", script]})
}

#[test]
fn a_command_runs_in_the_workspace_without_a_network() {
    let mut home = up();
    let script = "pwd; echo err >&2; touch made; ls /sys/class/net 2>/dev/null; cat /proc/net/dev | tail -n +3 | cut -d: -f1; exit 3";
    let exit = home.gateway("tool.run", sh("r1", script));
    assert_eq!((&exit["cause"], &exit["code"]), (&json!("exited"), &json!(3)), "{exit}");
    let workspace = home.path("home/workspace").canonicalize().unwrap();
    let out = exit["stdout"].as_str().unwrap();
    assert!(out.starts_with(workspace.to_str().unwrap()) && !out.contains("eth"), "{exit}");
    assert_eq!(exit["stderr"], "err\n");
    assert!(workspace.join("made").exists());
    home.until("the output while it ran", |home| {
        let outputs = home.gateway("outputs", json!({}));
        outputs["r1"].as_str().is_some_and(|text| text.contains("err")).then_some(())
    });
    assert_eq!(home.gateway("tool.run", sh("r1", "echo never again")), exit, "the result is known");
}

#[test]
fn a_run_goes_on_when_the_gateway_dies_and_the_next_one_gets_its_result() {
    let mut home = up();
    let asked = sh("r2", "echo started >> trace; while [ ! -e go ]; do sleep 0.01; done; echo done");
    let port = home.port;
    let params = asked.clone();
    let first = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        use std::io::{Read, Write};
        writeln!(stream, "{}", json!({"method": "tool.run", "params": params})).unwrap();
        let _reset = stream.read_to_end(&mut Vec::new());
    });
    let trace = home.path("home/workspace/trace");
    home.until("the run", |_| trace.exists().then_some(()));
    let row = home.wait_state("tool:r2", "running");
    assert_eq!(row["kind"], "tool");
    send(home.unit_pid("gateway"), Signal::KILL);
    first.join().unwrap();
    home.wait_unit("gateway", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    std::fs::write(home.path("home/workspace/go"), "").unwrap();
    let exit = home.gateway("tool.run", asked);
    assert_eq!((&exit["code"], &exit["stdout"]), (&json!(0), &json!("done\n")), "{exit}");
    assert_eq!(std::fs::read_to_string(trace).unwrap(), "started\n", "it ran once");
}

#[test]
fn time_and_kill_end_a_run_with_all_it_started() {
    let mut home = up();
    let mut asked = sh("r3", "sleep 1000 & echo $$; sleep 1000");
    asked["wallMs"] = json!(300);
    let exit = home.gateway("tool.run", asked);
    assert_eq!(exit["cause"], "timed_out", "{exit}");
    assert!(exit["message"].as_str().unwrap().contains("300 ms"), "{exit}");

    let port = home.port;
    let waiting = std::thread::spawn(move || ask(port, &sh("r4", "echo here; sleep 1000")));
    home.wait_state("tool:r4", "running");
    assert_eq!(home.gateway("tool.kill", json!({"run": "r4"})), json!({}));
    assert_eq!(waiting.join().unwrap()["cause"], "killed");
    home.until("no tools", |home| home.pids().keys().all(|name| !name.starts_with("tool:")).then_some(()));
    let supervisor = home.pid();
    home.until("no zombie", |_| (crate::home::zombies(supervisor) == 0).then_some(()));
}

#[test]
fn without_isolation_a_run_still_ends_with_its_group() {
    let config = "{gateway: {port: PORT}, sandbox: {mode: 'off'}}";
    let mut home = Home::up(config, &["gateway", "agent:main"]);
    let port = home.port;
    let waiting = std::thread::spawn(move || ask(port, &sh("r9", "sleep 1000 & echo $! > child; wait")));
    let path = home.path("home/workspace/child");
    let child =
        home.until("its child", |_| std::fs::read_to_string(&path).ok()?.strip_suffix('\n')?.parse().ok());
    assert_eq!(home.gateway("tool.kill", json!({"run": "r9"})), json!({}));
    assert_eq!(waiting.join().unwrap()["cause"], "killed");
    home.wait_gone([child]);
}

pub(crate) fn ask(port: u16, params: &Value) -> Value {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    writeln!(stream, "{}", json!({"method": "tool.run", "params": params})).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_request_that_cannot_be_says_why() {
    let home = up();
    let mut foreign = sh("r5", "true");
    foreign["agent"] = json!("nobody");
    let error = home.gateway("tool.run", foreign)["error"].to_string();
    assert!(error.contains("nobody"), "{error}");
    let missing = json!({"run": "r6", "agent": "main", "argv": ["no-such-program"]});
    let exit = home.gateway("tool.run", missing);
    assert!(exit["cause"] == "launch_failed" || exit["code"] == 127, "{exit}");
    assert!(home.control("tool.run", sh("r7", "true")).unwrap_err().contains("not known here"));
}

#[test]
fn much_output_is_kept_at_both_ends() {
    let home = up();
    let exit = home.gateway("tool.run", sh("r8", "echo begin; yes | head -c 3000000; echo end"));
    let out = exit["stdout"].as_str().unwrap();
    assert!(out.starts_with("begin\n") && out.ends_with("end\n") && out.len() <= 64 * 1024, "{}", out.len());
    assert!(exit["droppedBytes"].as_u64().unwrap() > 2_900_000, "{}", exit["droppedBytes"]);
}
