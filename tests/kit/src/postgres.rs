//! A real PostgreSQL of Debian for one test: own data directory, own unix socket, gone with the test.

use std::net::Ipv4Addr;
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
    /// Addresses that it listens at, beside its socket.
    addresses: String,
}

impl Postgres {
    /// Makes a server and starts it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start.
    pub fn start() -> Result<Self> {
        let mut server = Self::nothing()?;
        let mut made = server.program("initdb")?;
        made.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=creel", "-D"]);
        to_end(made.arg(server.data()))?;
        server.run()?;
        Ok(server)
    }

    /// Starts it anew, also at these addresses, where only TLS is spoken. Returns the certificate (PEM) of its authority.
    ///
    /// # Errors
    /// When there is no `openssl`, or it does not start.
    pub fn listen(&mut self, addresses: &[Ipv4Addr]) -> Result<String> {
        self.kill()?;
        let names: Vec<String> = addresses.iter().map(|address| format!("IP:{address}")).collect();
        std::fs::write(self.data().join("names"), format!("subjectAltName={}\n", names.join(",")))?;
        let ec = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for words in [
            format!("req -x509 {ec} -keyout ca.key -out ca.crt -days 2 -subj /CN=ca"),
            format!("req {ec} -keyout server.key -out server.csr -subj /CN=server"),
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt"
                .to_owned(),
        ] {
            let mut openssl = Command::new("openssl");
            openssl.current_dir(self.data()).args(words.split(' '));
            if let Some((uid, gid)) = user()? {
                openssl.uid(uid).gid(gid);
            }
            to_end(&mut openssl)?;
        }
        std::fs::write(self.data().join("pg_hba.conf"), "local all all trust\nhostssl all all all trust\n")?;
        let plain: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
        self.addresses = plain.join(",");
        self.run()?;
        Ok(std::fs::read_to_string(self.data().join("ca.crt"))?)
    }

    /// A standby of a server whose socket is in this folder, which follows it that way.
    ///
    /// # Errors
    /// When it cannot be copied or does not start.
    pub fn standby_of(socket: &Path) -> Result<Self> {
        let mut standby = Self::nothing()?;
        standby.follow(socket)?;
        Ok(standby)
    }

    /// Forgets what it has, and follows the server whose socket is in this folder.
    ///
    /// # Errors
    /// When that cannot be copied, or it does not start.
    pub fn follow(&mut self, socket: &Path) -> Result<()> {
        self.kill()?;
        if self.data().exists() {
            std::fs::remove_dir_all(self.data())?;
        }
        let mut copied = self.program("pg_basebackup")?;
        copied.args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf", "--username=creel", "-h"]);
        to_end(copied.arg(socket).arg("-D").arg(self.data()))?;
        self.run()
    }

    /// A standby takes over: it waits for no standby of its own, and takes writes.
    ///
    /// # Errors
    /// What the server says.
    pub fn promote(&self) -> Result<()> {
        self.query("ALTER SYSTEM RESET synchronous_standby_names")?;
        self.query("SELECT pg_reload_conf()")?;
        self.query("SELECT pg_promote()").map(drop)
    }

    /// From now on nothing is committed that a standby has not.
    ///
    /// # Errors
    /// What the server says.
    pub fn wait_for_a_standby(&self) -> Result<()> {
        self.query("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'")?;
        self.query("SELECT pg_reload_conf()").map(drop)
    }

    fn nothing() -> Result<Self> {
        // Not below TMPDIR, which may be closed to the server's user, and a socket's path is short.
        let folder = tempfile::Builder::new().prefix("creel-db").tempdir_in("/tmp")?;
        if let Some((uid, gid)) = user()? {
            chown(folder.path(), Some(uid), Some(gid))?;
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        Ok(Self { folder, process: None, addresses: String::new() })
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
            command.args(["-c", "shared_buffers=16MB", "-c", "max_connections=30"]);
            command.arg("-c").arg(format!("listen_addresses={}", self.addresses));
            if !self.addresses.is_empty() {
                command.args(["-c", "ssl=on"]);
            }
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
        to_end(asked.arg(self.socket()).args(["postgres", "-c", sql]))
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

/// Runs one of its programs, and says what that says.
fn to_end(command: &mut Command) -> Result<String> {
    let started = process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let said = started.wait_with_output()?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
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
