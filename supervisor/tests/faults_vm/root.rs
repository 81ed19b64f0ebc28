//! Rows for which a test must be root: file systems, the clock, other users, the host's memory.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use crate::ground::Ground;
use crate::home::{Home, Memory, send, test_worker};

const ONE: &str = "{gateway: {port: PORT}}";

/// Without isolation: this kernel cannot show a memory file system to another user.
const BARE: &str = "{gateway: {port: PORT}, sandbox: {mode: 'off'}}";

/// How many mount namespaces a user may have.
const MOST_NAMESPACES: &str = "/proc/sys/user/max_mnt_namespaces";

/// Runs a command of the machine.
fn sh(script: &str) -> bool {
    Command::new("sh").args(["-c", script]).status().unwrap().success()
}

/// A small file system in memory; it goes with the value.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        assert!(sh(&format!("mount -t tmpfs -o size={size},mode=0755 small {}", at.display())));
        Self(at)
    }

    fn fill(&self) {
        let full = sh(&format!("! cat /dev/zero >{}/filler 2>/dev/null", self.0.display()));
        assert!(full, "it has no end");
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        sh(&format!("umount -l {}", self.0.display()));
    }
}

#[test]
fn fault_08_the_kernel_refuses_a_stage() {
    let config = "{gateway: {port: PORT}, supervisor: {backoff: {initialMs: 50, maxMs: 300}}, agents: {list: [{id: 'main'}, {id: 'other'}]}}";
    let (mut home, _) = Ground::take().up(config, &["gateway", "egress", "agent:main", "agent:other"]);
    let before = home.pids();
    let most = std::fs::read_to_string(MOST_NAMESPACES).unwrap();
    std::fs::write(MOST_NAMESPACES, "0").unwrap();
    send(before["agent:other"], Signal::KILL);
    let row =
        home.wait_unit("agent:other", "not launched", |row| row["lastExit"]["cause"] == "launch_failed");
    std::fs::write(MOST_NAMESPACES, &most).unwrap();
    let detail = row["lastExit"]["detail"].as_str().unwrap();
    assert!(detail.contains("launch stage: ") && detail.contains("errno"), "{detail}");
    // Closed, not open: it had run once, confined, and did not run again with less.
    assert_eq!(home.log("agent:other").matches("hello from").count(), 1);
    home.wait_state("agent:other", "running");
    let after = home.pids();
    assert!(["gateway", "egress", "agent:main"].iter().all(|unit| before[*unit] == after[*unit]));
    home.nobody_left();
}

#[test]
fn fault_26_the_host_kills_the_supervisor_for_memory() {
    let ground = Ground::take();
    let (mut home, _) = ground.up(ONE, &["gateway", "egress", "agent:main"]);
    let pids = home.pids();
    // Of all processes of the machine it shall be this one.
    std::fs::write(format!("/proc/{}/oom_score_adj", home.pid()), "1000").unwrap();
    std::fs::write("/proc/sysrq-trigger", "f").unwrap();
    let status = home.wait_exit();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    home.wait_gone(pids.into_values());
    ground.place(&mut home);
    home.start();
    home.wait_state("agent:main", "running");
    home.nobody_left();
}

#[test]
fn fault_31_the_disk_of_the_state_is_full() {
    let (mut home, _) = Ground::take().home(BARE);
    let folder = home.path("home");
    let small = Small::mount(&folder, "8m");
    home.configure(BARE);
    home.start();
    for unit in ["gateway", "agent:main"] {
        home.wait_state(unit, "running");
    }
    let good = std::fs::read_to_string(home.path("home/state/last-good.json")).unwrap();
    small.fill();
    send(home.unit_pid("agent:main"), Signal::KILL);
    home.wait_unit("agent:main", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    // A change is applied, though the copy of it cannot be kept; the one before stays whole.
    std::fs::write(home.path("elsewhere"), "").unwrap();
    assert_eq!(home.control("config.reload", json!({})).map(|_| ()), Ok(()));
    assert_eq!(std::fs::read_to_string(home.path("home/state/last-good.json")).unwrap(), good);
    home.order("agent:main", "trespass");
    let lines = home.until("its lines from memory", |home| {
        let lines = home.control("control.logs", json!({"unit": "agent:main"})).unwrap().to_string();
        lines.contains("/etc/shadow").then_some(lines)
    });
    assert!(!lines.is_empty());
    small.free();
    send(home.unit_pid("agent:main"), Signal::KILL);
    home.ended("agent:main", 2, "signal");
    home.signal(Signal::TERM);
    assert_eq!(home.wait_exit().code(), Some(0));
    drop(home);
}

#[test]
fn fault_32_the_disk_of_the_logs_is_full() {
    let (mut home, _) = Ground::take().home(ONE);
    let folder = home.path("home/logs");
    let small = Small::mount(&folder, "1m");
    home.start();
    for unit in ["gateway", "agent:main"] {
        home.wait_state(unit, "running");
    }
    small.fill();
    let memory = Memory::watch(home.pid());
    home.order("agent:main", "trespass");
    home.until("its lines from memory", |home| {
        let lines = home.control("control.logs", json!({"unit": "agent:main"})).unwrap().to_string();
        lines.contains("/etc/shadow: ").then_some(())
    });
    assert!(memory.grew() < 8 << 20);
    // More than what is left of the last page.
    home.order("agent:main", "flood");
    home.order("agent:main", "noterm");
    home.until("lost lines", |home| {
        let events = home.control("control.events", json!({"limit": 1000})).unwrap().to_string();
        events.contains("disk_lost").then_some(())
    });
    assert_eq!(home.unit("agent:main").unwrap()["incarnation"], 1);
    small.free();
    home.until("the file goes on", |home| {
        home.order("agent:main", "trespass");
        home.log("agent:main").contains("could not be written here").then_some(())
    });
}

#[test]
fn fault_48_the_clock_jumps() {
    let config = "{gateway: {port: PORT}, supervisor: {watchdog: {seconds: 5}}, agents: {list: [{id: 'main'}, {id: 'crash'}]}}";
    let (mut home, _) = Ground::take().up(config, &["gateway", "egress", "agent:main"]);
    let before = home.pids();
    for jump in ["+1 day", "-2 days", "+1 day"] {
        let waits = home.wait_unit("agent:crash", "at rest", |row| {
            row["state"] == "backoff" || row["state"] == "quarantined"
        });
        assert!(sh(&format!("date -s '{jump}' >/dev/null")));
        // Whoever waits goes on waiting for as long as before.
        let row = home.unit("agent:crash").unwrap();
        assert!(row["incarnation"].as_u64().unwrap() <= waits["incarnation"].as_u64().unwrap() + 1, "{row}");
        // Three pings' time.
        home.order("agent:main", "trespass");
        let uptime = home.unit("gateway").unwrap()["uptimeMs"].as_u64().unwrap();
        home.wait_unit("gateway", "for six seconds more", |row| {
            row["uptimeMs"].as_u64() > Some(uptime + 6000)
        });
    }
    let after = home.pids();
    assert!(["gateway", "egress", "agent:main"].iter().all(|unit| before[*unit] == after[*unit]));
}

#[test]
fn fault_54_another_user() {
    let (home, _) = Ground::take().up(ONE, &["gateway", "agent:main"]);
    let before = home.pids();
    // As open as it can be made: what is left is who asks.
    let scratch = home.path("");
    assert!(sh(&format!("chmod 755 {0} {0}/run && chmod 666 {0}/run/control.sock", scratch.display())));
    let knock = |user: &str| {
        let knock = format!("{} knock {}/run/control.sock", test_worker().display(), scratch.display());
        let output = Command::new("runuser")
            .args(["-u", user, "--", "sh", "-c", &knock])
            .stdin(Stdio::null())
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    for _ in 0..3 {
        assert_eq!(knock("bob"), "");
    }
    assert!(knock("root").contains("supervisorPid"));
    let log = home.log("supervisor");
    assert_eq!(log.matches("A control connection was refused").count(), 1, "once a minute:\n{log}");
    assert_eq!(home.pids(), before);
}

#[test]
fn fault_56_a_read_only_cgroup_file_system() {
    let bare = |config: &str| {
        let mut home = Home::new(config);
        let script = "mount -o remount,bind,ro /sys/fs/cgroup && exec \"$@\"";
        home.prefix = ["/usr/bin/unshare", "-m", "/bin/sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        home.start();
        home
    };
    let mut home = bare(ONE);
    home.wait_state("agent:main", "running");
    let log = home.log("supervisor");
    assert!(log.contains("cgroup"), "{log}");
    assert_ne!(home.status()["level"], "L3");
    let mut strict = bare("{gateway: {port: PORT}, sandbox: {requireLimits: true}}");
    let row = strict.wait_unit("agent:main", "refused", |row| row["lastExit"]["cause"] == "launch_failed");
    assert!(row["lastExit"]["detail"].as_str().unwrap().contains("requireLimits"), "{row}");
    assert!(row["pid"].is_null(), "{row}");
}
