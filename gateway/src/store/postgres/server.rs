//! A real PostgreSQL for tests: own data directory, own unix socket, gone with the test.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::Config;

use super::{Postgres, Promise, Reach, Rules};

/// The newest PostgreSQL that Debian has installed.
fn programs() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = installed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let newest = versions.filter(|version| *version >= 15).max();
    let newest = newest.expect(
        "these tests need PostgreSQL 15 or newer and do not run without it: `apt-get install postgresql`",
    );
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

/// Who the server runs as: it refuses to be root.
fn user() -> Option<(u32, u32)> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|about| {
        use std::os::unix::fs::MetadataExt;
        about.uid() == 0
    });
    root.then(|| {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = users.lines().find(|line| line.starts_with("postgres:")).unwrap();
        let mut numbers = line.split(':').skip(2).map(|number| number.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    })
}

/// The way to a server on this machine.
pub(super) fn near(config: Config) -> Reach {
    Reach::new(config, None).unwrap()
}

/// A running server.
pub(crate) struct Server {
    home: tempfile::TempDir,
    process: Option<Child>,
    databases: u32,
    /// Also on the loopback interface, over TLS and with a password only.
    port: Option<u16>,
}

impl Server {
    fn nothing() -> Self {
        // Not below TMPDIR, which may be closed to the server's user, and a socket's path is short.
        let home = tempfile::Builder::new().prefix("creel-pg").tempdir_in("/tmp").unwrap();
        if let Some((uid, gid)) = user() {
            chown(home.path(), Some(uid), Some(gid)).unwrap();
        }
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { home, process: None, databases: 0, port: None }
    }

    pub(crate) fn start() -> Self {
        let mut server = Self::nothing();
        let mut made = server.program("initdb");
        made.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=creel", "-D"]);
        let made = made.arg(server.data()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.run();
        server
    }

    /// A standby of this server, which follows it as closely as this server's settings say.
    pub(crate) fn standby(&self) -> Self {
        let mut standby = Self::nothing();
        let mut copied = standby.program("pg_basebackup");
        copied.args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf", "--username=creel", "-h"]);
        let copied = copied.arg(self.socket()).arg("-D").arg(standby.data()).output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        standby.run();
        standby
    }

    /// Starts it anew, also on the loopback interface: with a certificate for `localhost` of an authority of its own, which
    /// is returned in PEM, and for who knows the password.
    pub(crate) fn listen(&mut self, password: &str) -> (u16, Vec<u8>) {
        self.tell("postgres", &format!("ALTER ROLE creel PASSWORD '{password}'"));
        self.kill();
        let data = self.data();
        let rules = "local all all trust\nhostssl all all all scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        let openssl = |args: &str| {
            let mut command = Command::new("openssl");
            command.args(args.split(' ')).current_dir(&data);
            if let Some((uid, gid)) = user() {
                command.uid(uid).gid(gid);
            }
            let made = command.output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        let ec = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {ec} -keyout ca.key -out ca.crt -days 2 -subj /CN=ca"));
        openssl(&format!("req {ec} -keyout server.key -out server.csr -subj /CN=localhost"));
        std::fs::write(data.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
        openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
        );
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        self.port = Some(port);
        self.run();
        (port, std::fs::read(data.join("ca.crt")).unwrap())
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(programs().join(name));
        command.current_dir(self.home.path()).env_clear().stdin(Stdio::null());
        if let Some((uid, gid)) = user() {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The folder of its socket.
    pub(crate) fn socket(&self) -> &Path {
        self.home.path()
    }

    /// Starts it, again after [`Self::kill`], and waits until it answers.
    pub(crate) fn run(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let mut command = self.program("postgres");
            command.arg("-D").arg(self.data()).arg("-k").arg(self.socket());
            command.args(["-c", "shared_buffers=16MB", "-c", "max_connections=30"]);
            match self.port {
                None => command.args(["-c", "listen_addresses="]),
                Some(port) => {
                    let ssl = ["-c", "ssl=on", "-c", "listen_addresses=localhost"];
                    command.args(ssl).arg("-p").arg(port.to_string())
                }
            };
            let log = std::fs::File::create(self.home.path().join("log")).unwrap();
            let mut process = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
            while Instant::now() < deadline {
                if self.answers() {
                    self.process = Some(process);
                    return;
                }
                // The one before may not be gone entirely.
                if process.try_wait().unwrap().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            let _over = process.kill();
            let _status = process.wait();
        }
        panic!("{}", std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default());
    }

    fn answers(&self) -> bool {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        rt.block_on(self.config("postgres").connect(tokio_postgres::NoTls)).is_ok()
    }

    /// Ends it as a crash does: its memory is gone, and what it has not written with it.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", process.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        process.kill().unwrap();
        let mut kill = Command::new("kill");
        let _gone = kill.arg("-9").args(children.split_whitespace()).stderr(Stdio::null()).status();
        process.wait().unwrap();
    }

    /// How to reach one of its databases.
    pub(crate) fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host_path(self.socket()).user("creel").dbname(database);
        if let Some(port) = self.port {
            config.port(port);
        }
        config.connect_timeout(Duration::from_secs(5));
        config
    }

    /// A new empty database.
    pub(crate) fn database(&mut self) -> Config {
        self.databases += 1;
        let name = format!("creel{}", self.databases);
        self.tell("postgres", &format!("CREATE DATABASE {name}"));
        self.config(&name)
    }

    /// Runs SQL as the server's owner.
    pub(crate) fn tell(&self, database: &str, sql: &str) {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        rt.block_on(async {
            let (client, connection) = self.config(database).connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(sql).await.unwrap();
        });
    }

    /// Every column of Creel's tables, as `table.column`.
    pub(crate) fn names_of_columns(&self, database: &Config) -> Vec<String> {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        rt.block_on(async {
            let (client, connection) = database.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'creel'";
            client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
        })
    }

    /// A store in a new database.
    pub(crate) fn store(&mut self) -> Postgres {
        Postgres::open(near(self.database()), Promise::NoLoss, Rules::KEPT).unwrap()
    }

    /// A store in the one database of who needs an empty one again and again: making one takes long.
    pub(crate) fn emptied(&self) -> Postgres {
        self.tell("postgres", "DROP SCHEMA IF EXISTS creel CASCADE");
        Postgres::open(near(self.config("postgres")), Promise::NoLoss, Rules::KEPT).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}
