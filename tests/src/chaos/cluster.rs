//! Three hosts on one PostgreSQL, which has a standby.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use creel_kit::{Cable, Postgres, TestHome, config, postgres};
use fake_model::FakeModel;
use fake_telegram::{Fake, TOKEN};
use serde_json::json;

use crate::host::Host;
use crate::scenario::Broken;
use crate::stage::lock;

/// A quarter of it is longer than a poll, which the fake platform holds open also when its client has hung up.
pub(crate) const LEASE_SECONDS: u32 = 6;
const POLL_SECONDS: u32 = 1;
const HOSTS: [(&str, &str); 3] = [("alpha", "primary"), ("beta", "secondary"), ("gamma", "standby")];
/// For a standby to follow, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The servers of the database. One of them takes writes.
pub(crate) struct Servers {
    both: [Postgres; 2],
    /// To each, for the other one.
    replication: [Cable; 2],
    primary: usize,
    /// Whether what is committed is on the standby, too.
    synchronous: bool,
}

impl Servers {
    fn start(synchronous: bool) -> Result<Self> {
        let first = Postgres::start()?;
        let to_first = Cable::to_postgres(first.socket())?;
        let second = Postgres::standby_of(to_first.folder())?;
        let to_second = Cable::to_postgres(second.socket())?;
        let (both, replication) = ([first, second], [to_first, to_second]);
        let servers = Self { both, replication, primary: 0, synchronous };
        servers.settle()?;
        Ok(servers)
    }

    pub(crate) fn primary(&self) -> &Postgres {
        &self.both[self.primary]
    }

    /// The standby hears nothing more of the primary.
    pub(crate) fn isolate(&self) {
        self.replication[self.primary].cut();
    }

    /// The primary dies, and the standby takes over with what it has.
    pub(crate) fn fail_over(&mut self) -> Result<()> {
        self.both[self.primary].kill()?;
        self.primary = 1 - self.primary;
        self.primary().promote()
    }

    /// The one that died takes writes again for a while, as it was, knowing nothing of its successor.
    pub(crate) fn wake_the_dead(&mut self) -> Result<()> {
        self.both[1 - self.primary].run()
    }

    /// The one that died comes back as the other's standby.
    pub(crate) fn bring_back(&mut self) -> Result<()> {
        self.replication.iter().for_each(Cable::mend);
        let from = self.replication[self.primary].folder().to_owned();
        self.both[1 - self.primary].follow(&from)?;
        self.settle()
    }

    /// Waits until the standby is what it shall be.
    fn settle(&self) -> Result<()> {
        if self.synchronous {
            self.primary().wait_for_a_standby()?;
        }
        let wanted = if self.synchronous { "quorum" } else { "async" };
        let deadline = Instant::now() + PATIENCE;
        while self.standing()? != wanted {
            ensure!(Instant::now() < deadline, "the standby does not follow: {}", self.standing()?);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// What the primary says of its standby.
    fn standing(&self) -> Result<String> {
        self.primary().query("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'")
    }
}

/// What the hosts share.
pub(crate) struct Cluster {
    pub servers: Arc<Mutex<Servers>>,
    /// Whether each host has a database of its own.
    pub divided: bool,
    broken: Option<Broken>,
    /// From the end of one server until both are there again.
    pub failing_over: AtomicBool,
}

impl Cluster {
    /// The servers and three homes, none of which runs.
    pub(crate) fn build(
        telegram: &Fake,
        model: &FakeModel,
        broken: Option<Broken>,
    ) -> Result<(Self, Vec<Host>)> {
        let synchronous = broken != Some(Broken::Asynchronous);
        let servers = Servers::start(synchronous)?;
        let divided = broken == Some(Broken::Divided);
        let mut hosts = Vec::new();
        for (name, role) in HOSTS {
            let cables = servers.both.iter().map(|server| Cable::to_postgres(server.socket()));
            let database = cables.collect::<Result<Vec<_>>>()?;
            let platform = Cable::to_port(telegram.address())?;
            let home = TestHome::new()?;
            home.configure(config::model(&model.openai_url()))?;
            let near = platform.address().map(|address| format!("http://{address}/as/{name}"));
            home.configure(config::telegram(&near.unwrap_or_default(), TOKEN))?;
            let folders: Vec<PathBuf> = database.iter().map(|cable| cable.folder().to_owned()).collect();
            home.configure(postgres::at(&folders[0], name, LEASE_SECONDS))?;
            let standbys: Vec<_> = folders[1..].iter().map(|folder| json!({"host": folder})).collect();
            home.configure(json!({
                "channels": {"telegram": {"pollTimeoutSeconds": POLL_SECONDS}},
                "cluster": {"role": role},
                "store": {"postgres": {"standbys": standbys, "noLoss": synchronous}},
            }))?;
            if divided {
                servers.primary().query(&format!("CREATE DATABASE {name}"))?;
                home.configure(json!({"store": {"postgres": {"database": name}}}))?;
            }
            let (creel, platform) = (Mutex::default(), Some(platform));
            hosts.push(Host { name, home, creel, database, platform });
        }
        let (servers, failing_over) = (Arc::new(Mutex::new(servers)), AtomicBool::new(false));
        Ok((Self { servers, divided, broken, failing_over }, hosts))
    }

    /// Whether what was to be switched off really is: by the word of the servers, not by ours.
    pub(crate) fn is_broken(&self) -> Result<bool> {
        let servers = lock(&self.servers);
        Ok(match self.broken {
            None => false,
            Some(Broken::Divided) => {
                let mut own = 0;
                for (name, _) in HOSTS {
                    let schema = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
                    own += u32::from(servers.primary().query(&schema)? == "1");
                }
                own == 3
            }
            Some(Broken::Asynchronous) => servers.standing()? == "async",
        })
    }
}
