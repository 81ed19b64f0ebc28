//! The real programs under strace: which system calls they want and do not get. What the profiles deny and a program wants
//! all the same is on a reviewed list with the reason why it does without; anything else is a profile that is too tight.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use creel_kit::{Creel, TelegramHome, deadline};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;

use crate::with;

const STRACE: &str = "/usr/bin/strace";
const CHAT: i64 = 7;
const UNITS: [(&str, &str); 4] = [
    ("gateway", "creel-gateway"),
    ("egress", "creel-egress"),
    ("agent:main", "creel-agent"),
    ("channel:telegram:default", "creel-channel"),
];

/// By role: a call, and why the program does without. `*`: every role. `selftest`: what every unit tries once, before it works.
#[derive(Deserialize)]
struct Refused(BTreeMap<String, BTreeMap<String, String>>);

/// The self-test begins with executing this.
const SELFTEST: &str = "execve(\"/proc/self/no-such-program\"";

fn profiles(file: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../supervisor/profiles").join(file);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Every call that the profile denies to anybody, at least sometimes.
fn denied_calls() -> Result<BTreeSet<String>> {
    fn collect(value: &Value, calls: &mut BTreeSet<String>) {
        match value {
            Value::Array(all) => all.iter().for_each(|inner| collect(inner, calls)),
            Value::Object(fields) => {
                calls.extend(fields.get("call").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|inner| collect(inner, calls));
            }
            _ => {}
        }
    }
    let mut calls = BTreeSet::new();
    collect(&serde_json::from_str(&profiles("seccomp.json")?)?, &mut calls);
    Ok(calls)
}

/// strace on the nursery, from which all units are forked: they are traced from their first instruction on.
struct Trace {
    strace: Child,
    folder: std::path::PathBuf,
}

impl Trace {
    async fn on(creel: &Creel, folder: &Path) -> Result<Self> {
        std::fs::create_dir(folder)?;
        let mut calls: Vec<_> = denied_calls()?.into_iter().map(|call| format!("?{call}")).collect();
        calls.push("execve".to_owned());
        let nursery = creel.processes().into_iter().find(|stat| is_nursery(stat.process.pid));
        let nursery = nursery.context("there is no nursery")?.process.pid.to_string();
        let strace = Command::new(STRACE)
            .args(["-f", "-ff", "-qq", "-e", "signal=none", "-e"])
            .arg(format!("trace={}", calls.join(",")))
            .arg("-o")
            .arg(folder.join("calls"))
            .args(["-p", &nursery])
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{STRACE} cannot be started"))?;
        let trace = Self { strace, folder: folder.to_owned() };
        creel_kit::until("strace follows the nursery", deadline::PATIENCE, async || {
            let status = std::fs::read_to_string(format!("/proc/{nursery}/status")).unwrap_or_default();
            let traced = status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"));
            Ok(traced.then_some(()))
        })
        .await?;
        Ok(trace)
    }

    /// The calls that a unit's threads were refused, after it became its program.
    fn refused(&self, program: &str, selftest: &BTreeSet<&str>) -> Result<BTreeMap<String, String>> {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let tid = entry.file_name().to_string_lossy().rsplit('.').next().unwrap_or_default().to_owned();
            files.insert(tid, std::fs::read_to_string(entry.path())?);
        }
        let begun = format!("/{program}\"");
        let is_begin =
            |line: &str| line.starts_with("execve(") && line.contains(&begun) && line.ends_with("= 0");
        let mut todo: Vec<(&str, usize)> = files
            .iter()
            .filter_map(|(tid, text)| Some((tid.as_str(), text.lines().position(is_begin)? + 1)))
            .collect();
        ensure!(!todo.is_empty(), "{program} was not seen by strace");
        let mut refused = BTreeMap::new();
        while let Some((tid, skip)) = todo.pop() {
            let Some(text) = files.get(tid) else { continue };
            let mut tried = BTreeSet::new();
            let mut tests = false;
            for line in text.lines().skip(skip) {
                let Some((call, _)) = line.split_once('(') else { continue };
                tests |= line.starts_with(SELFTEST);
                if line.contains("= -1 EPERM") || line.contains("= -1 ENOSYS") {
                    // Wanted a second time, it is not the self-test that wants it.
                    let attempt = line.split(" = -1").next().unwrap_or_default().trim_end();
                    if tests && selftest.contains(call) && tried.insert(attempt) {
                        continue;
                    }
                    refused.entry(call.to_owned()).or_insert_with(|| line.to_owned());
                } else if call.starts_with("clone") && line.contains("CLONE_THREAD") {
                    let thread = line.rsplit("= ").next().unwrap_or_default().trim();
                    todo.extend(files.get_key_value(thread).map(|(tid, _)| (tid.as_str(), 0)));
                }
            }
        }
        Ok(refused)
    }
}

fn is_nursery(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"\0__nursery\0"))
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It lets go of whom it follows.
        let _ = kill(Pid::from_raw(self.strace.id().cast_signed()), Signal::SIGINT);
        let _ = self.strace.wait();
    }
}

#[tokio::test]
async fn no_program_wants_a_call_that_its_profile_denies() -> Result<()> {
    ensure!(
        Path::new(STRACE).is_file(),
        "strace is missing: `cargo xtask test` installs it, or apt-get install strace."
    );
    if !nix::unistd::geteuid().is_root() {
        println!("NOT TESTED: following units of other users needs root");
        return Ok(());
    }
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |creel: &Creel| {
        let trace = Trace::on(creel, &home.home.scratch().join("strace")).await?;
        for (unit, _) in UNITS {
            let killed = creel.kill(unit, Signal::SIGKILL).await?;
            creel.wait_replaced(unit, killed).await?;
        }
        // A life, though a short one: an answer in pieces, file tools, a command, a second start.
        home.say(CHAT, "slow 300 some words")?;
        home.wait_said(CHAT, 1).await?;
        home.say(CHAT, "tool echo x >> ran.txt; wc -l < ran.txt")?;
        home.wait_said(CHAT, 2).await?;
        let killed = creel.kill("gateway", Signal::SIGKILL).await?;
        creel.wait_replaced("gateway", killed).await?;
        home.say(CHAT, "echo again")?;
        home.wait_said(CHAT, 3).await?;

        let Refused(list) = serde_json::from_str(&profiles("refused.json")?)?;
        let selftest =
            list.get("selftest").into_iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
        let mut faults = Vec::new();
        for (unit, program) in UNITS {
            let role = unit.split(':').next().unwrap_or(unit);
            let known = |call: &str| {
                ["*", role].iter().any(|role| list.get(*role).is_some_and(|calls| calls.contains_key(call)))
            };
            let refused = trace.refused(program, &selftest)?;
            ensure!(
                refused.contains_key("clone3"),
                "{program}: not even the first thread was seen: {refused:?}"
            );
            faults.extend(
                refused.iter().filter(|(call, _)| !known(call)).map(|(_, line)| format!("{role}: {line}")),
            );
            let idle = list
                .get(role)
                .into_iter()
                .flat_map(BTreeMap::keys)
                .filter(|call| !refused.contains_key(*call));
            faults.extend(
                idle.map(|call| format!("{role}: {call} is on the list of refused.json and was not wanted")),
            );
        }
        ensure!(
            faults.is_empty(),
            "Programs want calls that their profiles deny. Allow them, or put them with a reason into \
             supervisor/profiles/refused.json:\n{}",
            faults.join("\n")
        );
        Ok(())
    })
    .await
}
