//! A home of its own for each test: nothing of the machine's user, environment or other homes comes in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::creel::Creel;
use crate::island::{self, Island};
use crate::{binaries, config, process};

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliOutput {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl std::fmt::Display for CliOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.stdout, self.stderr)
    }
}

impl CliOutput {
    fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its stdout, if it went well.
    ///
    /// # Errors
    /// When its exit code is not 0.
    pub fn success(&self) -> Result<&str> {
        ensure!(self.code == Some(0), "the command failed with {:?}: {self}", self.code);
        Ok(&self.stdout)
    }

    /// Its stdout as JSON, if it went well.
    ///
    /// # Errors
    /// When its exit code is not 0 or its stdout no JSON.
    pub fn json(&self) -> Result<Value> {
        let text = self.success()?;
        serde_json::from_str(text).with_context(|| format!("this is no JSON: {text}"))
    }
}

#[derive(Debug)]
struct Inner {
    folder: tempfile::TempDir,
    port: u16,
    env: BTreeMap<String, String>,
    binaries: PathBuf,
    /// The network namespace that everything of it runs in, where that is not ours.
    network: Option<PathBuf>,
}

/// A folder that is `CREEL_HOME`, `CREEL_RUNTIME_DIR` and `HOME` at once. It goes when the last handle goes.
#[derive(Debug, Clone)]
pub struct TestHome {
    inner: Arc<Inner>,
}

impl TestHome {
    /// A home with the configuration that all tests share.
    ///
    /// # Errors
    /// When the binaries are missing or the folder cannot be made.
    pub fn new() -> Result<Self> {
        Self::with_env([])
    }

    /// The same with further environment for every process.
    ///
    /// # Errors
    /// See [`TestHome::new`].
    pub fn with_env<const N: usize>(more: [(&str, &str); N]) -> Result<Self> {
        let binaries = binaries::folder()?;
        // Short, because a socket's path has to fit into 107 bytes.
        let folder = tempfile::Builder::new().prefix("creel-").rand_bytes(6).tempdir_in("/tmp")?;
        let port = free_port()?;
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let mut env: BTreeMap<String, String> = [
            ("CREEL_HOME", path("home")),
            ("CREEL_RUNTIME_DIR", path("run")),
            ("HOME", path("user")),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("LANG", "C.UTF-8".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        env.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for name in ["home", "user"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let home = Self { inner: Arc::new(Inner { folder, port, env, binaries, network: None }) };
        home.write_config(&config::base(port))?;
        Ok(home)
    }

    /// A home on a host of its own, as far as the network goes. Its gateway's port is not reached from here.
    ///
    /// # Errors
    /// See [`TestHome::new`].
    pub fn on(island: &Island) -> Result<Self> {
        let mut home = Self::new()?;
        let inner = Arc::get_mut(&mut home.inner).context("somebody else holds a home that is new")?;
        inner.network = Some(island.network());
        Ok(home)
    }

    /// A home with programs of its own, which a test may replace.
    ///
    /// # Errors
    /// See [`TestHome::new`].
    pub fn installed() -> Result<Self> {
        let mut home = Self::new()?;
        let inner = Arc::get_mut(&mut home.inner).context("somebody else holds a home that is new")?;
        let own = inner.folder.path().join("bin");
        std::fs::create_dir(&own)?;
        for name in binaries::NAMES {
            // They are large: a link will do until one is replaced.
            let (from, to) = (inner.binaries.join(name), own.join(name));
            std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop))?;
        }
        inner.binaries = own;
        Ok(home)
    }

    /// Puts another file of the same content in the place of one of its programs, as a package manager does.
    ///
    /// # Errors
    /// When it cannot be written, or these are not the home's own programs.
    pub fn replace_program(&self, name: &str) -> Result<()> {
        let folder = &self.inner.binaries;
        ensure!(folder.starts_with(self.scratch()), "the programs in {} are not ours", folder.display());
        let beside = folder.join(format!("{name}.new"));
        std::fs::copy(folder.join(name), &beside)?;
        Ok(std::fs::rename(beside, folder.join(name))?)
    }

    /// `CREEL_HOME`.
    pub fn path(&self) -> PathBuf {
        self.inner.folder.path().join("home")
    }

    /// A folder beside it, for whatever a test needs.
    pub fn scratch(&self) -> &Path {
        self.inner.folder.path()
    }

    /// The port of the gateway.
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// The folder of the binaries.
    pub fn binaries(&self) -> &Path {
        &self.inner.binaries
    }

    /// The control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.inner.folder.path().join("run/control.sock")
    }

    /// The configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.path().join("creel.json")
    }

    /// The configuration as it stands.
    ///
    /// # Errors
    /// When it is no JSON (any more).
    pub fn config(&self) -> Result<Value> {
        Ok(serde_json::from_str(&std::fs::read_to_string(self.config_path())?)?)
    }

    /// Puts keys over the configuration file.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn configure(&self, over: Value) -> Result<()> {
        let mut config = self.config()?;
        config::merge(&mut config, over);
        self.write_config(&config)
    }

    /// Replaces the configuration file at once, as a good editor does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_config(&self, config: &Value) -> Result<()> {
        self.write_config_text(&serde_json::to_string_pretty(config)?)
    }

    /// The same with any text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_config_text(&self, text: &str) -> Result<()> {
        let draft = self.path().join(".creel.json.new");
        std::fs::write(&draft, text)?;
        Ok(std::fs::rename(draft, self.config_path())?)
    }

    /// The token that the gateway made at its first start.
    ///
    /// # Errors
    /// When there is none yet.
    pub fn token(&self) -> Result<String> {
        let path = self.path().join("state/gateway.token");
        let token =
            std::fs::read_to_string(&path).with_context(|| format!("{} is missing", path.display()))?;
        Ok(token.trim().to_owned())
    }

    /// The log of a unit so far, empty when there is none.
    pub fn log(&self, unit: &str) -> String {
        std::fs::read_to_string(self.path().join(format!("logs/{unit}.log"))).unwrap_or_default()
    }

    /// A command of a binary under test in this home.
    pub fn command(&self, binary: &str) -> Command {
        let binary = self.inner.binaries.join(binary);
        let mut command = match &self.inner.network {
            None => Command::new(binary),
            Some(network) => island::inside(network, &binary),
        };
        command.env_clear().envs(&self.inner.env).current_dir(self.scratch());
        command
    }

    /// Runs `creel` with arguments to its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub async fn cli(&self, args: &[&str]) -> Result<CliOutput> {
        self.cli_within(args, Duration::from_secs(60)).await
    }

    /// The same with another deadline.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub async fn cli_within(&self, args: &[&str], patience: Duration) -> Result<CliOutput> {
        let mut command = self.command("creel");
        command.args(args);
        run_to_end(command, patience).await.with_context(|| format!("creel {}", args.join(" ")))
    }

    /// Starts `creel up` and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it ends or does not get ready.
    pub async fn start(&self) -> Result<Creel> {
        Creel::start(self.clone()).await
    }

    /// Starts `creel up` and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(&self) -> Result<Creel> {
        Creel::launch(self.clone())
    }
}

/// What a program that was killed may take to close what it printed to.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Runs a program to its end, with nothing on its stdin.
///
/// # Errors
/// When it cannot be started or does not end; then it is killed with all below it, and what it had said is told.
pub async fn run_to_end(mut command: Command, patience: Duration) -> Result<CliOutput> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = process::start(&mut command)?;
    let pid = child.id();
    let mut ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    let Ok(output) = tokio::time::timeout(patience, &mut ended).await else {
        for stat in process::tree(pid) {
            stat.process.signal(nix::sys::signal::Signal::SIGKILL)?;
        }
        let said = match tokio::time::timeout(LAST_WORDS, ended).await {
            Ok(output) => CliOutput::of(output??).to_string(),
            Err(_) => "nothing that can be read, as its output is still open".to_owned(),
        };
        bail!("it did not end within {} s; it said: {said}", patience.as_secs());
    };
    Ok(CliOutput::of(output??))
}

/// A port that is free now. Another process may take it before us; the kernel hands them out in turn, so it will not
/// be the next one that asks.
///
/// # Errors
/// When the machine has none left.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
