//! A real PostgreSQL of Debian for one test: own data directory, own unix socket, gone with the test.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::process;

/// For a server to start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Postgres {
    /// Makes a server and starts it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> Result<Self> {
        // Not below TMPDIR, which may be closed to the server's user, and a socket's path is short.
        let folder = tempfile::Builder::new().prefix("creel-db").tempdir_in("/tmp")?;
        if let Some((uid, gid)) = user()? {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        let mut server = Self { folder, process: None };
        let mut made = server.program("initdb")?;
        made.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=creel", "-D"]);
        let made = made.arg(server.data()).output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.run()?;
        Ok(server)
    }

    /// The folder of its socket.
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// The keys of a configuration whose state is here, for a host of this name.
    pub fn config(&self, host: &str, lease_seconds: u32) -> Value {
        at(self.socket(), host, lease_seconds)
    }

    /// Starts it, again after [`Self::kill`], and waits until it answers.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub fn run(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut command = self.program("postgres")?;
            command.arg("-D").arg(self.data()).arg("-k").arg(self.socket());
            command.args([
                "-c",
                "shared_buffers=16MB",
                "-c",
                "max_connections=30",
                "-c",
                "listen_addresses=",
            ]);
            let log = std::fs::File::create(self.folder.path().join("log"))?;
            let mut process = process::start(command.stdout(Stdio::null()).stderr(log))?;
            while Instant::now() < deadline {
                if self.query("SELECT 1").is_ok() {
                    self.process = Some(process);
                    return Ok(());
                }
                // The one before may not be gone entirely.
                if process.try_wait()?.is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            process.kill()?;
            process.wait()?;
        }
        bail!("{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
    }

    /// Ends it as a crash does: nothing more is written, and its memory is gone with all of its processes.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        kill(Pid::from_raw(i32::try_from(process.id())?), Signal::SIGQUIT)?;
        process.wait()?;
        Ok(())
    }

    /// What a query says: rows on lines, columns divided by `|`.
    ///
    /// # Errors
    /// What the server says.
    pub fn query(&self, sql: &str) -> Result<String> {
        let mut asked = self.program("psql")?;
        asked.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--username=creel", "-h"]);
        let said = asked.arg(self.socket()).args(["postgres", "-c", sql]).output()?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(programs()?.join(name));
        command.current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        if let Some((uid, gid)) = user()? {
            command.uid(uid).gid(gid);
        }
        Ok(command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _over = self.kill();
    }
}

/// The keys of a configuration whose state is at the socket in a folder, for a host of this name.
pub fn at(socket: &Path, host: &str, lease_seconds: u32) -> Value {
    json!({
        "store": {"kind": "postgres", "postgres": {"host": socket, "database": "postgres", "user": "creel"}},
        "cluster": {"host": host, "leaseSeconds": lease_seconds},
    })
}

/// The newest that Debian has installed.
fn programs() -> Result<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = installed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let newest = versions.filter(|version| *version >= 15).max();
    let missing =
        "this test needs PostgreSQL 15 or newer and does not run without it: `apt-get install postgresql`";
    Ok(PathBuf::from(format!("/usr/lib/postgresql/{}/bin", newest.context(missing)?)))
}

/// Who the server runs as: it refuses to be root.
fn user() -> Result<Option<(u32, u32)>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let user = nix::unistd::User::from_name("postgres")?.context("the user postgres is missing")?;
    Ok(Some((user.uid.as_raw(), user.gid.as_raw())))
}
