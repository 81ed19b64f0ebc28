//! E: the system around it. Rows that need a machine of their own are in `tests/faults_vm`.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command};

use rustix::process::Signal;
use serde_json::json;

use crate::home::{Home, is_alive, send, sent_away};

const ONE: &str = "{gateway: {port: PORT}}";

fn refused(home: &Home) -> (Option<i32>, String) {
    let output = home.command().output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn fault_45_two_supervisors() {
    let home = Home::up(ONE, &["gateway", "egress", "agent:main"]);
    let before = home.pids();
    let (code, said) = refused(&home);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains(&format!("pid {}", home.pid())), "{said}");
    // In another runtime folder it is still the same home.
    let elsewhere = home.command().env("CREEL_RUNTIME_DIR", home.path("other")).output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(75), "{elsewhere:?}");
    assert_eq!(home.pids(), before);
}

#[test]
fn fault_46_stale_files() {
    let mut home = Home::new(ONE);
    let stranger = Stranger::start();
    std::fs::create_dir(home.path("run")).unwrap();
    drop(UnixListener::bind(home.path("run/control.sock")).unwrap());
    // The number in the lock file is somebody's, but not a supervisor's.
    std::fs::write(home.path("run/creel.lock"), stranger.pid().to_string()).unwrap();
    std::fs::create_dir_all(home.path("home/state")).unwrap();
    std::fs::write(home.path("home/state/supervisor.lock"), stranger.pid().to_string()).unwrap();
    home.start();
    home.wait_state("agent:main", "running");
    assert!(is_alive(stranger.pid()));
}

/// A process that is none of ours.
struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        Self(Command::new("sleep").arg("4747").spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn fault_47_a_number_that_was_used_before() {
    let mut home = Home::up(ONE, &["gateway", "egress", "agent:main"]);
    let old = home.pids();
    home.signal(Signal::KILL);
    home.wait_exit();
    home.wait_gone(old.clone().into_values());
    // Everything on disk that names a process names a stranger now.
    let stranger = Stranger::start();
    let mut renamed = 0;
    for folder in ["run", "home/state"] {
        for entry in std::fs::read_dir(home.path(folder)).unwrap().flatten() {
            let Ok(mut text) = std::fs::read_to_string(entry.path()) else { continue };
            let before = text.clone();
            for pid in old.values().chain([&home.last_pid]) {
                text = text.replace(&pid.to_string(), &stranger.pid().to_string());
            }
            if text != before {
                std::fs::write(entry.path(), text).unwrap();
                renamed += 1;
            }
        }
    }
    assert!(renamed > 0, "nothing on disk names a process");
    home.start();
    home.wait_state("agent:main", "running");
    send(home.unit_pid("agent:main"), Signal::KILL);
    home.ended("agent:main", 1, "signal");
    home.signal(Signal::TERM);
    assert_eq!(home.wait_exit().code(), Some(0));
    assert!(is_alive(stranger.pid()));
}

#[test]
fn fault_52_all_workers_crash_together() {
    let agents: Vec<String> = (0..30).map(|n| format!("{{id: 'a{n}'}}")).collect();
    let config = format!(
        "{{gateway: {{port: PORT}}, sandbox: {{mode: 'off'}}, supervisor: {{backoff: {{initialMs: 4000, maxMs: 8000}}}}, agents: {{list: [{}]}}}}",
        agents.join(", ")
    );
    let mut home = Home::up(&config, &["gateway"]);
    let rows = |home: &Home, state: &str| -> Vec<serde_json::Value> {
        let status = home.status();
        let rows = status["units"].as_array().unwrap().iter();
        rows.filter(|row| row["kind"] == "agent" && row["state"] == state).cloned().collect()
    };
    home.until("thirty agents", |home| (rows(home, "running").len() == 30).then_some(()));
    let gateway = home.unit_pid("gateway");
    for round in 1..=2 {
        for row in rows(&home, "running") {
            home.order(row["name"].as_str().unwrap(), "crash");
        }
        // Not all at the same moment again: each waits a little longer or shorter than the others.
        let mut due = std::collections::BTreeSet::new();
        home.until("that each was seen to wait, or is back", |home| {
            due.extend(rows(home, "backoff").iter().filter_map(|row| row["nextAttemptMs"].as_u64()));
            let back = |row: &&serde_json::Value| row["incarnation"] == round + 1;
            (rows(home, "running").iter().filter(back).count() == 30).then_some(())
        });
        assert!(round == 1 || due.len() > 5, "{due:?}");
    }
    // The gateway stayed up and was told of each.
    assert_eq!(home.unit_pid("gateway"), gateway);
    assert_eq!(home.log("gateway").matches("gone agent:").count(), 60);
    home.nobody_left();
}

#[test]
fn fault_53_the_port_is_taken() {
    let home = Home::new(ONE);
    let _other = TcpListener::bind(("127.0.0.1", home.port)).unwrap();
    let (code, said) = refused(&home);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{}", home.port)) && said.contains("gateway.port"), "{said}");
    assert!(said.contains(&format!("(pid {}", std::process::id())), "{said}");
}

#[test]
fn fault_54_garbage_on_the_control_socket() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    let before = home.pids();
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 100], {
        let mut big = vec![b'x'; 3 << 20];
        big.push(b'\n');
        big
    }] {
        let mut bad = home.knock();
        let sent = bad.write_all(&garbage).and_then(|()| bad.write_all(b"\n"));
        // Sent away, in the middle of it or after it.
        assert!(sent.is_err() || sent_away(&mut bad));
    }
    assert!(home.control("no.such.method", json!({})).unwrap_err().contains("no.such.method"));
    assert_eq!(home.pids(), before);
    home.nobody_left();
}

#[test]
fn fault_55_the_runtime_folder_is_wiped() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    let before = home.pids();
    std::fs::remove_dir_all(home.path("run")).unwrap();
    home.until("the socket again", |home| UnixStream::connect(home.path("run/control.sock")).ok());
    assert_eq!(home.status()["supervisorPid"], home.pid());
    assert_eq!(home.pids(), before);
    // The lock is held all the same.
    assert_eq!(refused(&home).0, Some(75));
    let mode = |path: &str| std::fs::metadata(home.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("run/control.sock")), (0o700, 0o600));
}

#[test]
fn fault_57_the_program_is_replaced_while_it_runs() {
    let mut home = Home::new("{gateway: {port: PORT}, supervisor: {backoff: {initialMs: 1, maxMs: 50}}}");
    let own = home.path("bin");
    std::fs::create_dir(&own).unwrap();
    std::fs::copy(&home.creel, own.join("creel")).unwrap();
    home.creel = own.join("creel");
    home.start();
    home.wait_state("agent:main", "running");
    let before = home.pids();
    // The supervisor's own program goes and another comes: the stage is still the one that runs.
    std::fs::remove_file(&home.creel).unwrap();
    std::fs::write(&home.creel, "#!/bin/false\n").unwrap();
    send(before["agent:main"], Signal::KILL);
    home.wait_unit("agent:main", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    // A worker's program goes: who runs does not notice, who falls is not launched and says why.
    let program = home.path("libexec/creel-agent");
    let kept = home.path("kept");
    std::fs::rename(&program, &kept).unwrap();
    assert_eq!(home.unit("agent:main").unwrap()["state"], "running");
    send(home.unit_pid("agent:main"), Signal::KILL);
    home.wait_unit("agent:main", "not launched", |row| row["lastExit"]["cause"] == "launch_failed");
    std::fs::rename(kept, program).unwrap();
    home.wait_state("agent:main", "running");
    let after = home.pids();
    assert_eq!((before["gateway"], before["egress"]), (after["gateway"], after["egress"]));
}
