//! A PostgreSQL server of our own, for measuring: own data directory, own unix socket, gone at the end.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::peers::{SERVERS, install_postgres};

/// Who its databases belong to, and who connects.
pub(crate) const USER: &str = "creel";

pub(crate) struct Server {
    home: PathBuf,
    process: Option<Child>,
}

impl Server {
    /// Installs PostgreSQL where it is missing, makes a data directory on the disk of `/var/tmp`, and waits for the server.
    pub(crate) fn start() -> Result<Self> {
        install_postgres()?;
        let home = PathBuf::from(format!("/var/tmp/creel-pg-{}", std::process::id()));
        std::fs::create_dir(&home).with_context(|| format!("{} cannot be made", home.display()))?;
        let mut server = Self { home, process: None };
        if let Some((uid, gid)) = user()? {
            chown(&server.home, Some(uid), Some(gid))?;
        }
        std::fs::set_permissions(&server.home, std::fs::Permissions::from_mode(0o700))?;
        let data = server.home.join("data");
        let mut made = server.program("initdb")?;
        made.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER, "-D"]).arg(&data);
        let made = made.output()?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        let mut run = server.program("postgres")?;
        run.arg("-D").arg(&data).arg("-k").arg(&server.home).args(["-c", "listen_addresses="]);
        server.process = Some(run.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.answers()? {
            if Instant::now() > deadline {
                bail!("the PostgreSQL server in {} does not answer", server.home.display());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(server)
    }

    /// The folder of its socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.home
    }

    fn answers(&self) -> Result<bool> {
        let mut asked = self.program("pg_isready")?;
        Ok(asked.arg("-q").arg("-h").arg(&self.home).status()?.success())
    }

    fn program(&self, name: &str) -> Result<Command> {
        let newest = std::fs::read_dir(SERVERS)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .max()
            .context("no PostgreSQL is installed")?;
        let mut command = Command::new(format!("{SERVERS}/{newest}/bin/{name}"));
        command.current_dir(&self.home).stdin(Stdio::null());
        if let Some((uid, gid)) = user()? {
            command.uid(uid).gid(gid);
        }
        Ok(command)
    }
}

/// Who the server runs as: it refuses to be root.
fn user() -> Result<Option<(u32, u32)>> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut numbers = line.context("the user postgres is missing")?.split(':').skip(2).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) => Ok(Some((uid, gid))),
        _ => bail!("the user postgres has no numbers"),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Its data is not needed any more.
            let _gone = process.kill();
            let _status = process.wait();
        }
        let _absent = std::fs::remove_dir_all(&self.home);
    }
}
