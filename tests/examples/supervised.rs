//! The child that every supervisor of `cargo xtask bench supervise` keeps alive.
//!
//! Its first act is a line `<ns of CLOCK_MONOTONIC> <pid>` in `<folder>/<name>.starts`; then it does what its name begins
//! with: `tick` nothing, `flood` a million lines and its own death, `long` one endless line, `fork` a daemon. A peer starts it as
//! `supervised FOLDER NAME`; Creel starts it as an agent, and then it also shakes hands with the gateway.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{getpid, pause};

const LINES: usize = 1_000_000;
const LINE_BYTES: usize = 100;
const LONG_LINE_BYTES: usize = 100 << 20;

fn main() -> Result<()> {
    let started = now()?;
    let unit = std::env::var("CREEL_UNIT").ok();
    let life = match &unit {
        Some(unit) => {
            let folder = Path::new(&std::env::var("CREEL_BLOB_DIR")?).join("out");
            Life { folder, name: unit.trim_start_matches("agent:").to_owned() }
        }
        None => {
            let mut args = std::env::args().skip(1);
            let folder = PathBuf::from(args.next().context("supervised FOLDER NAME")?);
            Life { folder, name: args.next().context("supervised FOLDER NAME")? }
        }
    };
    life.record("starts", started)?;
    match unit {
        Some(unit) => {
            if !life.name.starts_with("tick") {
                std::thread::spawn(move || life.work());
            }
            shake_hands(&unit)
        }
        None => life.work(),
    }
}

fn now() -> Result<i64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}

struct Life {
    folder: PathBuf,
    name: String,
}

impl Life {
    fn record(&self, what: &str, at: i64) -> Result<()> {
        let path = self.folder.join(format!("{}.{what}", self.name));
        let mut file = std::fs::File::options().append(true).create(true).open(path)?;
        Ok(file.write_all(format!("{at} {}\n", getpid()).as_bytes())?)
    }

    fn is_first(&self) -> bool {
        let path = self.folder.join(format!("{}.starts", self.name));
        std::fs::read_to_string(path).is_ok_and(|text| text.lines().count() == 1)
    }

    fn work(&self) -> Result<()> {
        if self.is_first() {
            match self.name.split('-').next() {
                Some("flood") => self.flood()?,
                Some("long") => self.long_line()?,
                _ => {}
            }
        }
        if self.name.starts_with("fork") {
            // A program in a session of its own whose parent ends at once. Refused in a sandbox.
            let mut daemon = Command::new("/usr/bin/setsid");
            daemon.args(["--fork", "/usr/bin/sleep", "86421"]);
            let _refused = daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            self.record("forked", now()?)?;
        }
        loop {
            pause();
        }
    }

    /// Every supervisor reads stderr: with Creel, stdout is the link.
    fn flood(&self) -> Result<()> {
        let mut out = std::io::stderr().lock();
        let mut text = Vec::with_capacity(8192);
        self.record("begin", now()?)?;
        for n in 0..LINES {
            let from = text.len();
            write!(text, "flood line {n:09} ")?;
            text.resize(from + LINE_BYTES - 1, b'.');
            text.push(b'\n');
            if text.len() >= 4096 {
                out.write_all(&text)?;
                text.clear();
            }
        }
        out.write_all(&text)?;
        self.record("end", now()?)?;
        // With the pipe still full: what was accepted must not be lost.
        kill(getpid(), Signal::SIGKILL)?;
        // Process 1 of a namespace cannot kill itself, but it can abort.
        std::process::abort();
    }

    fn long_line(&self) -> Result<()> {
        let mut out = std::io::stderr().lock();
        let block = vec![b'x'; 1 << 16];
        // Time for the bench to forget the supervisor's own start.
        std::thread::sleep(std::time::Duration::from_secs(2));
        self.record("begin", now()?)?;
        for _ in 0..LONG_LINE_BYTES / block.len() {
            out.write_all(&block)?;
        }
        out.write_all(b"\n")?;
        self.record("end", now()?)
    }
}

/// Says hello, gets ready when it is welcomed, and answers pings: as little as a worker can be.
fn shake_hands(unit: &str) -> Result<()> {
    let mut out = std::io::stdout();
    let say =
        |out: &mut std::io::Stdout, text: String| out.write_all(text.as_bytes()).and_then(|()| out.flush());
    let hello = format!(
        r#"{{"jsonrpc":"2.0","method":"hello","params":{{"protocol":{{"major":1,"minor":0}},"role":"agent","unit":"{unit}","pid":{},"build":"bench","caps":[]"#,
        getpid()
    );
    say(&mut out, format!("{hello}}}}}\n"))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        // An empty line carries descriptors only.
        let Ok(message) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
        match message["method"].as_str() {
            Some("welcome") => {
                say(&mut out, "{\"jsonrpc\":\"2.0\",\"method\":\"ready\",\"params\":{}}\n".to_owned())?;
            }
            Some("renew") => {
                let session = &message["params"]["session"];
                say(&mut out, format!("{hello},\"session\":{session}}}}}\n"))?;
            }
            _ if message["method"].is_string() && !message["id"].is_null() => {
                let id = &message["id"];
                let answer = r#""result":{"busy":false,"progress":0}}"#;
                say(&mut out, format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{answer}\n"))?;
            }
            _ => {}
        }
    }
    Ok(())
}
