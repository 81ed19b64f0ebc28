//! A network namespace for a host: the only way out is one link to this machine, on which packets can be dropped without a word.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// For a namespace to be there, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// At the latest then it goes by itself, whatever becomes of its test.
const LIFE_SECONDS: &str = "900";

/// The namespace. Its link goes with it.
#[derive(Debug)]
pub struct Island {
    holder: Child,
    near: Ipv4Addr,
}

impl Island {
    /// Makes one. The number tells those of one test apart.
    ///
    /// # Errors
    /// When this machine does not let us; that says nothing about Creel.
    pub fn new(number: u8) -> Result<Self> {
        let holder = process::start(
            Command::new("/usr/bin/unshare").args(["--net", "sleep", LIFE_SECONDS]).stderr(Stdio::null()),
        )?;
        let us = std::process::id();
        // A network for each process of tests, of four addresses for each island.
        let [low, high, ..] = us.to_le_bytes();
        let at = |host: u8| Ipv4Addr::new(10, 128 | high, low, number * 4 + host);
        let island = Self { holder, near: at(1) };
        let deadline = Instant::now() + PATIENCE;
        let ours = std::fs::read_link("/proc/self/ns/net")?;
        while std::fs::read_link(island.network()).is_ok_and(|theirs| theirs == ours) {
            ensure!(Instant::now() < deadline, "no network namespace is made");
            std::thread::sleep(Duration::from_millis(10));
        }
        let (here, pid) = (format!("cr{us}-{number}"), island.holder.id().to_string());
        let ip = |words: String| run(Command::new("/sbin/ip").args(words.split(' ')));
        ip(format!("link add {here} type veth peer name port netns {pid}"))?;
        ip(format!("address add {}/30 dev {here}", at(1)))?;
        ip(format!("link set {here} up"))?;
        island.within("/sbin/ip", &format!("address add {}/30 dev port", at(2)))?;
        island.within("/sbin/ip", "link set dev port up")?;
        island.within("/sbin/ip", "link set lo up")?;
        Ok(island)
    }

    /// This machine's address on the link.
    pub fn outside(&self) -> Ipv4Addr {
        self.near
    }

    /// The namespace's file.
    pub fn network(&self) -> PathBuf {
        Path::new("/proc").join(self.holder.id().to_string()).join("ns/net")
    }

    /// From now on packets to and from a TCP port outside are dropped: nobody is told.
    ///
    /// # Errors
    /// When there is no such rule on this machine.
    pub fn drop_packets(&self, port: u16) -> Result<()> {
        self.rules("-A", port)
    }

    /// No longer.
    ///
    /// # Errors
    /// When there was no such rule.
    pub fn let_through(&self, port: u16) -> Result<()> {
        self.rules("-D", port)
    }

    fn rules(&self, what: &str, port: u16) -> Result<()> {
        self.within("/usr/sbin/iptables", &format!("{what} OUTPUT -p tcp --dport {port} -j DROP"))?;
        self.within("/usr/sbin/iptables", &format!("{what} INPUT -p tcp --sport {port} -j DROP"))
    }

    fn within(&self, program: &str, words: &str) -> Result<()> {
        run(inside(&self.network(), Path::new(program)).args(words.split(' ')))
    }
}

/// A command in a network namespace.
pub(crate) fn inside(network: &Path, program: &Path) -> Command {
    let mut command = Command::new("/usr/bin/nsenter");
    command.arg(format!("--net={}", network.display())).arg(program);
    command
}

fn run(command: &mut Command) -> Result<()> {
    let name = format!("{command:?}");
    let started = process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let said = started.wait_with_output().with_context(|| name.clone())?;
    if !said.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(())
}

impl Drop for Island {
    fn drop(&mut self) {
        let _over = self.holder.kill();
        let _status = self.holder.wait();
    }
}
