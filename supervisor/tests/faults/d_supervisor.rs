//! D: the supervisor itself. Rows 40 and 41 belong to the upgrade; the turns of row 35 are in `tests/tests/faults.rs`.

use std::io::Write;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::json;

use crate::home::{Home, Memory, is_alive, send};

const ONE: &str = "{gateway: {port: PORT}}";
const ALL: &str = "{gateway: {port: PORT}, channels: {telegram: {accounts: {a: {botToken: '1:a'}}}}}";

#[test]
fn fault_35_killed() {
    let mut home = Home::up(ALL, &["gateway", "egress", "agent:main", "channel:telegram:a"]);
    let port = home.port;
    let running = std::thread::spawn(move || run_tool(port, "sleep 4735"));
    home.wait_state("tool:r", "running");
    let pids = home.pids();
    assert_eq!(pids.len(), 5, "{pids:?}");
    home.signal(Signal::KILL);
    home.wait_exit();
    home.wait_gone(pids.into_values());
    home.until("no process of this home", |home| home.processes().is_empty().then_some(()));
    running.join().unwrap();
    // Its socket and its lock file are still there, and the next one starts.
    assert!(home.path("run/control.sock").exists());
    home.start();
    for unit in ["gateway", "egress", "agent:main", "channel:telegram:a"] {
        home.wait_state(unit, "running");
    }
    home.nobody_left();
}

fn run_tool(port: u16, script: &str) {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let run = json!({"run": "r", "agent": "main", "argv": ["sh", "-c", script]});
    writeln!(stream, "{}", json!({"method": "tool.run", "params": run})).unwrap();
    let _reset = stream.read_to_end(&mut Vec::new());
}

#[test]
fn fault_35_killed_while_workers_are_deaf() {
    let config = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'deaf'}]}}";
    let mut home = Home::up(config, &["gateway", "egress", "agent:main", "agent:deaf"]);
    let pids = home.pids();
    // One does not hear SIGTERM, one is stopped, one hangs: none of them sees the end of its link.
    send(pids["agent:main"], Signal::STOP);
    home.order("gateway", "hang");
    home.signal(Signal::KILL);
    home.wait_exit();
    home.wait_gone(pids.into_values());
}

#[test]
fn fault_36_aborts() {
    let mut home = Home::up(ONE, &["gateway", "egress", "agent:main"]);
    let pids = home.pids();
    home.signal(Signal::ABORT);
    let status = home.wait_exit();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{status}");
    home.wait_gone(pids.into_values());
    home.start();
    home.wait_state("agent:main", "running");
}

#[test]
fn fault_36_a_broken_task_ends_the_whole_process() {
    let status = std::process::Command::new(crate::home::example("broken-task")).status().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{status}");
}

#[test]
fn fault_37_ordered_stop() {
    let mut home = Home::up(ALL, &["gateway", "egress", "agent:main", "channel:telegram:a"]);
    let pids = home.pids();
    home.signal(Signal::TERM);
    assert_eq!(home.wait_exit().code(), Some(0));
    assert!(pids.values().all(|pid| !is_alive(*pid)));
    let log = home.log("supervisor");
    let order =
        ["channel:telegram:a ended", "gateway ended", "agent:main ended", "egress ended", "has stopped"];
    let at = order.map(|text| log.find(text).unwrap_or_else(|| panic!("no {text:?} in:\n{log}")));
    assert!(at.is_sorted(), "{log}");
}

#[test]
fn fault_37_a_second_signal_is_not_patient() {
    let config = "{gateway: {port: PORT}, supervisor: {stopSeconds: 600}, agents: {list: [{id: 'deaf'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:deaf"]);
    home.signal(Signal::TERM);
    home.wait_log("agent:deaf", "SIGTERM");
    home.signal(Signal::TERM);
    assert_eq!(home.wait_exit().code(), Some(0));
    assert_eq!(home.processes(), Vec::<u32>::new());
}

#[test]
fn fault_38_wrong_configuration_at_reload() {
    let before = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'old'}]}}";
    let mut home = Home::up(before, &["gateway", "egress", "agent:main", "agent:old"]);
    let pids = home.pids();
    home.configure("{gateway: {port: PORT}, agnets: {}}");
    for _ in 0..2 {
        // By signal and by command line, which says so.
        home.signal(Signal::HUP);
        let output = home.cli(&["reload"]).output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("agnets"), "{output:?}");
    }
    assert!(home.status()["configError"].as_str().unwrap().contains("agnets"));
    assert_eq!(home.pids(), pids);
    // A port that is taken is found before anything is changed, too.
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let other = taken.local_addr().unwrap().port().to_string();
    home.configure(&before.replace("PORT", &other));
    assert!(home.control("config.reload", json!({})).unwrap_err().contains(&other));
    assert_eq!(home.pids(), pids);
    home.configure(&before.replace("old", "new"));
    home.signal(Signal::HUP);
    home.wait_state("agent:new", "running");
    home.until("the end of agent:old", |home| home.unit("agent:old").is_none().then_some(()));
    assert!(home.status()["configError"].is_null());
    let after = home.pids();
    assert!(["gateway", "egress", "agent:main"].iter().all(|unit| pids[*unit] == after[*unit]));
}

#[test]
fn fault_39_a_storm_of_reloads() {
    let mut home = Home::up(ONE, &["gateway", "egress", "agent:main"]);
    let pids = home.pids();
    for n in 0..50 {
        // An editor that writes in place: half of the file is there for a moment.
        home.configure("{gateway: {port: PORT}, agents: {list: [{id: 'ma");
        home.signal(Signal::HUP);
        home.configure(&format!(
            "{{gateway: {{port: PORT}}, agents: {{list: [{{id: 'main'}}, {{id: 'a{n}'}}]}}}}"
        ));
        home.signal(Signal::HUP);
    }
    home.wait_state("agent:a49", "running");
    home.until("only the last", |home| (home.status()["units"].as_array().unwrap().len() == 4).then_some(()));
    assert!(home.status()["configError"].is_null());
    let after = home.pids();
    assert!(["gateway", "egress", "agent:main"].iter().all(|unit| pids[*unit] == after[*unit]));
    home.nobody_left();
}

#[test]
fn fault_42_a_hundred_die_at_once() {
    let agents: Vec<String> = (0..100).map(|n| format!("{{id: 'a{n}'}}")).collect();
    let config = format!(
        "{{gateway: {{port: PORT}}, supervisor: {{backoff: {{initialMs: 10, maxMs: 50}}}}, sandbox: {{mode: 'off'}}, agents: {{list: [{}]}}}}",
        agents.join(", ")
    );
    let mut home = Home::up(&config, &["gateway"]);
    let all = |home: &Home, incarnation: u64| {
        let status = home.status();
        let units = status["units"].as_array().unwrap();
        let ready = |unit: &&serde_json::Value| {
            unit["kind"] == "agent" && unit["state"] == "running" && unit["incarnation"] == incarnation
        };
        units.iter().filter(ready).count() == 100
    };
    home.until("a hundred agents", |home| all(home, 1).then_some(()));
    let pids = home.pids();
    // While the supervisor is stopped every SIGCHLD becomes one.
    home.signal(Signal::STOP);
    for (_, pid) in pids.iter().filter(|(unit, _)| unit.starts_with("agent:")) {
        send(*pid, Signal::KILL);
    }
    home.signal(Signal::CONT);
    home.until("a hundred others", |home| all(home, 2).then_some(()));
    assert_eq!(home.unit_pid("gateway"), pids["gateway"]);
    home.nobody_left();
}

#[test]
fn fault_43_stray_signals() {
    let mut home = Home::up(ONE, &["gateway", "egress", "agent:main"]);
    let pids = home.pids();
    for signal in [Signal::PIPE, Signal::TSTP, Signal::TTIN, Signal::TTOU] {
        home.signal(signal);
    }
    // It neither ended nor stopped.
    assert_eq!(home.pids(), pids);
    // A program it starts has them as they should be.
    let run =
        json!({"run": "r", "agent": "main", "argv": ["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"]});
    let exit = home.gateway("tool.run", run);
    let out = exit["stdout"].as_str().unwrap();
    let mask = |line: &str| u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap();
    let masks: Vec<u64> = out.lines().map(mask).collect();
    // Those above 31 belong to the C library, or to whoever started the test.
    assert!(masks.len() == 2 && masks.iter().all(|mask| mask & 0x7fff_ffff == 0), "{exit}");
    // What a terminal sends to its foreground group reaches no unit: each is in a session of its own.
    let session = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().to_owned()
    };
    let own = session(home.pid());
    assert!(pids.values().all(|pid| session(*pid) != own), "{pids:?}");
    home.signal(Signal::INT);
    assert_eq!(home.wait_exit().code(), Some(0));
}

#[test]
fn fault_44_a_slow_client() {
    let home = Home::up(ONE, &["gateway", "agent:main"]);
    let memory = Memory::watch(home.pid());
    let mut slow: Vec<UnixStream> = Vec::new();
    for _ in 0..20 {
        let mut client = UnixStream::connect(home.path("run/control.sock")).unwrap();
        client.set_nonblocking(true).unwrap();
        for id in 0..2000 {
            let request = json!({"jsonrpc": "2.0", "id": id, "method": "units.status", "params": {}});
            if writeln!(client, "{request}").is_err() {
                break;
            }
        }
        slow.push(client);
    }
    assert_eq!(home.status()["supervisorPid"], home.pid());
    assert_eq!(home.unit("agent:main").unwrap()["incarnation"], 1);
    let grew = memory.grew();
    assert!(grew < 64 << 20, "{grew}");
}
