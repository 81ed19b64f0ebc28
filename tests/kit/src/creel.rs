//! A running Creel, seen from outside.

use std::fs::File;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use creel_ipc::msg::supervisor::Units;
use creel_ipc::msg::unit::{UnitState, UnitStatus};
use nix::sys::signal::Signal;

use crate::deadline::{PATIENCE, until};
use crate::home::{CliOutput, TestHome};
use crate::http;
use crate::process::{self, Process, Stat};

/// A running `creel up`. A test ends it with [`Creel::stop`]; dropped without that it is killed, and everything that
/// it logged is printed, because then the test has failed.
#[derive(Debug)]
pub struct Creel {
    home: TestHome,
    child: Child,
    process: Process,
    over: AtomicBool,
}

impl Creel {
    pub(crate) fn launch(home: TestHome) -> Result<Self> {
        let said = File::options().create(true).append(true).open(home.scratch().join("up.log"))?;
        let mut command = home.command("creel");
        command.arg("up").stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let child = process::start(&mut command)?;
        let process = Process::of(child.id()).context("creel up ended before it could be looked at")?;
        Ok(Self { home, child, process, over: AtomicBool::new(false) })
    }

    pub(crate) async fn start(home: TestHome) -> Result<Self> {
        let mut creel = Self::launch(home)?;
        creel.wait_ready().await?;
        Ok(creel)
    }

    /// Waits until `GET /ready` says yes.
    ///
    /// # Errors
    /// When the supervisor ends, or it takes too long; with the reason that `/ready` gave last.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let mut last = String::from("nobody listens");
        let port = self.home.port();
        let ready = until("/ready says yes", PATIENCE, async || {
            if let Some(status) = self.child.try_wait()? {
                bail!("creel up ended with {status}: {}", self.said());
            }
            if let Ok(answer) = http::get(port, "/ready", &[]).await {
                if answer.status == 200 {
                    return Ok(Some(()));
                }
                last = answer.text;
            }
            Ok(None)
        });
        ready.await.with_context(|| format!("last answer of /ready: {last}"))
    }

    /// Its home.
    pub fn home(&self) -> &TestHome {
        &self.home
    }

    /// The supervisor.
    pub fn supervisor(&self) -> Process {
        self.process
    }

    /// What the supervisor printed so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.home.scratch().join("up.log")).unwrap_or_default()
    }

    /// Everything that runs below the supervisor, and itself.
    pub fn processes(&self) -> Vec<Stat> {
        process::tree(self.process.pid)
    }

    /// `creel ARGS` in this home.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub async fn cli(&self, args: &[&str]) -> Result<CliOutput> {
        self.home.cli(args).await
    }

    /// `creel status --json`.
    ///
    /// # Errors
    /// When it fails.
    pub async fn status(&self) -> Result<Units> {
        let output = self.cli(&["status", "--json"]).await?;
        // Its exit code says whether all is well.
        serde_json::from_str(&output.stdout).with_context(|| format!("this is no status: {output:?}"))
    }

    /// The row of one unit.
    ///
    /// # Errors
    /// When there is none.
    pub async fn unit(&self, name: &str) -> Result<UnitStatus> {
        let units = self.status().await?.units;
        let names: Vec<_> = units.iter().map(|unit| unit.name.clone()).collect();
        units
            .into_iter()
            .find(|unit| unit.name == name)
            .with_context(|| format!("there is no unit {name}, only {}", names.join(", ")))
    }

    /// The process of one unit.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn process(&self, unit: &str) -> Result<Process> {
        let pid = self.unit(unit).await?.pid.with_context(|| format!("{unit} does not run"))?;
        Process::of(pid).with_context(|| format!("{unit} is gone"))
    }

    /// Sends a signal to a unit and says which process that was.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&self, unit: &str, signal: Signal) -> Result<Process> {
        let process = self.process(unit).await?;
        process.signal(signal)?;
        Ok(process)
    }

    /// Waits until a unit runs and is ready in another process than `not`.
    ///
    /// # Errors
    /// When that does not happen.
    pub async fn wait_replaced(&self, unit: &str, not: Process) -> Result<UnitStatus> {
        until(&format!("{unit} runs again"), PATIENCE, async || {
            let Ok(status) = self.unit(unit).await else { return Ok(None) };
            let other = status.pid.and_then(Process::of).is_some_and(|process| process != not);
            Ok((other && status.state == UnitState::Running).then_some(status))
        })
        .await
    }

    /// `creel gateway call METHOD --params JSON`.
    ///
    /// # Errors
    /// When it fails.
    pub async fn gateway_call(&self, method: &str, params: &serde_json::Value) -> Result<serde_json::Value> {
        self.cli(&["gateway", "call", method, "--params", &params.to_string()]).await?.json()
    }

    /// Stops it in order and checks that nothing of it is left.
    ///
    /// # Errors
    /// When it does not end by itself, ends badly, or leaves a process behind.
    pub async fn stop(self) -> Result<()> {
        self.process.signal(Signal::SIGTERM)?;
        let status = self.ended(PATIENCE).await?;
        ensure!(status.success(), "creel up ended with {status} when it was asked to stop");
        Ok(())
    }

    /// Kills the supervisor with SIGKILL and says what had been running.
    ///
    /// # Errors
    /// When that cannot be done.
    pub async fn kill_supervisor(mut self) -> Result<Vec<Stat>> {
        let before = self.processes();
        self.process.signal(Signal::SIGKILL)?;
        until("a killed supervisor is gone", PATIENCE, async || Ok(self.child.try_wait()?)).await?;
        self.forget();
        Ok(before)
    }

    /// The supervisor was killed by other means: from now on this handle is worth nothing, and that is as it should be.
    pub fn forget(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Waits for the end of the supervisor and everything below it.
    ///
    /// # Errors
    /// When it does not end, or something of it lives on.
    pub async fn ended(mut self, patience: Duration) -> Result<ExitStatus> {
        let before = self.processes();
        let status = until("creel up ends", patience, async || Ok(self.child.try_wait()?)).await?;
        let left = left_of(&before, patience).await;
        ensure!(left.is_empty(), "creel up ended and left behind: {}", process::show(&left));
        self.forget();
        Ok(status)
    }
}

/// What of these, or of anything else that lost its parent below us, still lives after at most so long.
pub async fn left_of(before: &[Stat], patience: Duration) -> Vec<Stat> {
    let left = || {
        let mut left = process::orphans();
        let known: Vec<_> = left.iter().map(|stat| stat.process).collect();
        left.extend(before.iter().filter(|s| s.process.is_alive() && !known.contains(&s.process)).cloned());
        left
    };
    let gone = until("all are gone", patience, async || Ok(left().is_empty().then_some(()))).await;
    if gone.is_ok() { Vec::new() } else { left() }
}

impl Drop for Creel {
    fn drop(&mut self) {
        if self.over.load(Ordering::Relaxed) {
            let _ = self.child.try_wait();
            return;
        }
        let below = self.processes();
        for stat in &below {
            let _ = stat.process.signal(Signal::SIGKILL);
        }
        let _ = self.child.wait();
        for stat in process::orphans() {
            if below.iter().any(|other| other.process == stat.process) {
                let _ = stat.process.signal(Signal::SIGKILL);
            }
        }
        print(&format!("=== creel up in {}\n{}", self.home.scratch().display(), self.said()));
        let logs = std::fs::read_dir(self.home.path().join("logs")).into_iter().flatten().flatten();
        for log in logs {
            let text = std::fs::read_to_string(log.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            print(&format!("=== {}\n{}", log.file_name().to_string_lossy(), last.join("\n")));
        }
    }
}

#[expect(clippy::print_stderr, reason = "the runner shows a failed test's output")]
fn print(text: &str) {
    eprintln!("{text}");
}
