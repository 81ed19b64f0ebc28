//! A real ngircd on a loopback port, and a person with a plain client.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

const PROGRAM: &str = "/usr/sbin/ngircd";

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) tls_port: u16,
    home: TempDir,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    pub(crate) async fn start() -> Self {
        let (port, tls_port) = (free_port(), free_port());
        let home = tempfile::tempdir().unwrap();
        let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
        for file in ["server.pem", "server.key"] {
            std::fs::copy(tls.join(file), home.path().join(file)).unwrap();
        }
        let config = format!(
            "[Global]\nName = irc.test.example\nInfo = Test\nListen = 127.0.0.1\nPorts = {port}\nMotdPhrase = Hello\n\
             [Limits]\nMaxConnectionsIP = 0\nMaxNickLength = 16\nPingTimeout = 60\nMaxPenaltyTime = 0\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\nSyslogFacility = local0\n\
             [SSL]\nCertFile = {home}/server.pem\nKeyFile = {home}/server.key\nPorts = {tls_port}\n",
            home = home.path().display()
        );
        std::fs::write(home.path().join("ngircd.conf"), config).unwrap();
        // The server gives up root and reads its key afterwards.
        open_to_all(home.path());
        let child = launch(home.path());
        let mut server = Self { port, tls_port, home, child };
        server.up().await;
        server
    }

    async fn up(&mut self) {
        let mut attempts = 0;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            attempts += 1;
            assert!(self.child.try_wait().unwrap().is_none(), "ngircd ended at its start");
            assert!(attempts < 1000, "ngircd does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn stop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    pub(crate) async fn start_again(&mut self) {
        self.child = launch(self.home.path());
        self.up().await;
    }
}

fn launch(home: &Path) -> Child {
    assert!(
        Path::new(PROGRAM).exists(),
        "{PROGRAM} is missing: these tests talk to a real IRC server; install the Debian package `ngircd`"
    );
    let mut command = Command::new(PROGRAM);
    command.arg("-n").arg("-f").arg(home.join("ngircd.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::set_permissions(entry.unwrap().path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
}

/// Somebody with a plain client.
pub(crate) struct Person {
    lines: BufReader<OwnedReadHalf>,
    out: OwnedWriteHalf,
}

impl Person {
    pub(crate) async fn connect(server: &Server, nick: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        let (read, out) = stream.into_split();
        let mut person = Self { lines: BufReader::new(read), out };
        person.say(&format!("NICK {nick}")).await;
        person.say(&format!("USER {nick} 0 * :{nick}")).await;
        person.hear(|line| line.contains(" 376 ") || line.contains(" 422 ")).await;
        person
    }

    pub(crate) async fn say(&mut self, line: &str) {
        self.out.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn join(&mut self, channel: &str) {
        self.say(&format!("JOIN {channel}")).await;
        self.hear(|line| line.contains(" 366 ")).await;
    }

    /// The next line that is wanted, as it came over the wire, without its end.
    pub(crate) async fn hear(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let mut bytes = Vec::new();
            let read = self.lines.read_until(b'\n', &mut bytes);
            let read =
                tokio::time::timeout(Duration::from_secs(30), read).await.expect("nothing more is said");
            assert!(read.unwrap() > 0, "the server hung up");
            assert!(bytes.len() <= 512, "a line of {} bytes", bytes.len());
            let line = String::from_utf8(bytes).expect("a broken character");
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(token) = line.strip_prefix("PING ") {
                self.say(&format!("PONG {token}")).await;
            } else if wanted(line) {
                return line.to_owned();
            }
        }
    }

    /// What the next message to `target` says, and by whom.
    pub(crate) async fn hear_message(&mut self, target: &str) -> (String, String) {
        let marker = format!(" PRIVMSG {target} :");
        let line = self.hear(|line| line.contains(&marker)).await;
        let (prefix, text) = line.split_once(&marker).unwrap();
        (prefix.trim_start_matches(':').split('!').next().unwrap().to_owned(), text.to_owned())
    }

    /// Waits until somebody is in a channel.
    pub(crate) async fn see_in(&mut self, channel: &str, nick: &str) {
        let join = format!("JOIN :{channel}");
        let named = |line: &str| {
            line.contains(" 353 ")
                && line.rsplit(':').next().unwrap().split(' ').any(|n| n.trim_start_matches('@') == nick)
        };
        self.say(&format!("NAMES {channel}")).await;
        self.hear(|line| {
            named(line)
                || (line.starts_with(&format!(":{nick}!"))
                    && (line.ends_with(&join) || line.ends_with(&format!("JOIN {channel}"))))
        })
        .await;
    }
}
