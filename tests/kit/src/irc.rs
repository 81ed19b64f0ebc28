//! A real ngircd of our own, and a person who sits on it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::deadline::{PATIENCE, until, within};
use crate::home::free_port;
use crate::process::{self, Process};

const NGIRCD: &str = "/usr/sbin/ngircd";

/// A running ngircd. Ends when it is dropped.
#[derive(Debug)]
pub struct Ngircd {
    port: u16,
    child: Child,
}

impl Ngircd {
    /// Starts one on loopback; its files go to `folder`.
    ///
    /// # Errors
    /// When it is not installed or does not listen.
    pub async fn start(folder: &Path) -> Result<Self> {
        ensure!(
            Path::new(NGIRCD).is_file(),
            "{NGIRCD} is missing; install it with `apt-get install ngircd`."
        );
        let port = free_port()?;
        let config = folder.join("ngircd.conf");
        let text = format!(
            "[Global]\nName = irc.test.local\nInfo = a test\nListen = 127.0.0.1\nPorts = {port}\nMotdPhrase = hi\n\
             [Limits]\nMaxNickLength = 20\nMaxConnectionsIP = 0\nMaxPenaltyTime = 0\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\n"
        );
        std::fs::write(&config, text)?;
        let log = std::fs::File::create(folder.join("ngircd.log"))?;
        let mut command = Command::new(NGIRCD);
        command.arg("-n").arg("-f").arg(&config).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut server = Self { port, child: process::start(&mut command)? };
        until("ngircd listens", PATIENCE, async || {
            if let Some(status) = server.child.try_wait()? {
                let log = std::fs::read_to_string(folder.join("ngircd.log")).unwrap_or_default();
                bail!("ngircd ended with {status}: {log}");
            }
            Ok(TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop))
        })
        .await?;
        Ok(server)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The configuration of an account on it.
    pub fn account(&self, nick: &str, channels: &[&str]) -> Value {
        json!({"channels": {"irc": {
            "host": "127.0.0.1", "port": self.port, "tls": false, "nick": nick, "channels": channels,
        }}})
    }
}

impl Drop for Ngircd {
    fn drop(&mut self) {
        if let Some(process) = Process::of(self.child.id()) {
            let _ = process.signal(Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// A line `:NICK!… COMMAND TARGET :TEXT`, as far as the tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who.
    pub from: String,
    /// What, such as `PRIVMSG` or `001`.
    pub command: String,
    /// To whom; a nick or a channel.
    pub to: String,
    /// The last parameter.
    pub text: String,
    /// Bytes of the whole line with its end.
    pub bytes: usize,
}

impl Line {
    /// Reads one line without its end.
    pub fn parse(line: &str) -> Self {
        let (from, rest) = match line.strip_prefix(':').and_then(|rest| rest.split_once(' ')) {
            Some((prefix, rest)) => (prefix.split('!').next().unwrap_or_default().to_owned(), rest),
            None => (String::new(), line),
        };
        let (middle, text) = match rest.split_once(" :") {
            Some((middle, text)) => (middle, text.to_owned()),
            None => (rest, String::new()),
        };
        let mut words = middle.split(' ');
        let command = words.next().unwrap_or_default().to_owned();
        let to = words.next().unwrap_or_default().to_owned();
        Self { from, command, to, text, bytes: line.len() + 2 }
    }
}

/// A person on IRC.
#[derive(Debug)]
pub struct Person {
    nick: String,
    lines: BufReader<OwnedReadHalf>,
    out: OwnedWriteHalf,
}

impl Person {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When the server does not take them.
    pub async fn connect(server: &Ngircd, nick: &str) -> Result<Self> {
        let (input, out) = TcpStream::connect(("127.0.0.1", server.port())).await?.into_split();
        let mut person = Self { nick: nick.to_owned(), lines: BufReader::new(input), out };
        person.line(&format!("NICK {nick}")).await?;
        person.line(&format!("USER {nick} 0 * :{nick}")).await?;
        person.wait("the welcome of the server", |line| line.command == "001").await?;
        Ok(person)
    }

    /// Sends a raw line.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn line(&mut self, line: &str) -> Result<()> {
        Ok(self.out.write_all(format!("{line}\r\n").as_bytes()).await?)
    }

    /// Says something to a nick or a channel.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn say(&mut self, to: &str, text: &str) -> Result<()> {
        self.line(&format!("PRIVMSG {to} :{text}")).await
    }

    /// Joins a channel and waits until `other` is there too.
    ///
    /// # Errors
    /// When they do not come.
    pub async fn meet(&mut self, channel: &str, other: &str) -> Result<()> {
        self.line(&format!("JOIN {channel}")).await?;
        let came = |line: &Line| {
            let names = line.command == "353"
                && line
                    .text
                    .split(' ')
                    .any(|name| name.trim_start_matches(['@', '+', '%', '~', '&']) == other);
            names || (line.command == "JOIN" && line.from == other)
        };
        self.wait(&format!("{other} is in {channel}"), came).await.map(drop)
    }

    /// Waits for a line that fits; lines before it are gone.
    ///
    /// # Errors
    /// When none comes, the connection ends, or a line is no UTF-8.
    pub async fn wait(&mut self, what: &str, fits: impl Fn(&Line) -> bool) -> Result<Line> {
        let nick = self.nick.clone();
        let waiting = async {
            loop {
                let mut raw = Vec::new();
                ensure!(
                    self.lines.read_until(b'\n', &mut raw).await? > 0,
                    "The server closed {nick}'s connection."
                );
                let text = String::from_utf8(raw).context("A line was broken within a character.")?;
                let text = text.trim_end_matches(['\r', '\n']);
                if let Some(ping) = text.strip_prefix("PING ") {
                    self.out.write_all(format!("PONG {ping}\r\n").as_bytes()).await?;
                    continue;
                }
                let line = Line::parse(text);
                if fits(&line) {
                    return Ok(line);
                }
            }
        };
        within(what, PATIENCE, waiting).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let line = Line::parse(":ada!~a@host PRIVMSG #den :hello :there");
        assert_eq!((line.from.as_str(), line.command.as_str()), ("ada", "PRIVMSG"));
        assert_eq!((line.to.as_str(), line.text.as_str()), ("#den", "hello :there"));
        assert_eq!(Line::parse("ERROR :closing").command, "ERROR");
    }
}
