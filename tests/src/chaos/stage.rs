//! Everything that the parts of a run share.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use creel_kit::Creel;
use fake_model::FakeModel;
use fake_telegram::Fake;
use serde_json::{Value, json};

use crate::bound::Causes;
use crate::check::{Delivered, Evidence, Injected, Row, Verdict, check};
use crate::cluster::Cluster;
use crate::conduct::Conduct;
use crate::disk::Disk;
use crate::history::History;
use crate::host::Host;
use crate::nemesis::Whom;
use crate::scenario::Traits;

/// One host that is cut off keeps nobody from asking the next.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Stage {
    pub traits: &'static Traits,
    /// Unmounted before the home goes.
    pub disk: Option<Disk>,
    pub telegram: Fake,
    /// Lives as long as those that ask it.
    pub _model: FakeModel,
    /// The first is the one of a scenario that needs no more.
    pub hosts: Vec<Host>,
    pub cluster: Option<Cluster>,
    pub history: History,
    pub injected: Mutex<Vec<Injected>>,
    /// The outbox by the keys of its rows.
    pub rows: Mutex<BTreeMap<(usize, String), Row>>,
    pub blows: Mutex<BTreeMap<String, u64>>,
    /// Ends of processes that cut what was being sent.
    pub cuts: Mutex<u64>,
    pub conduct: Mutex<Conduct>,
    pub over: AtomicBool,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    pub(crate) fn creel(&self) -> Option<Arc<Creel>> {
        self.hosts[0].creel()
    }

    /// Which host is meant now.
    pub(crate) fn host(&self, whom: Whom) -> Result<usize> {
        match whom {
            Whom::Host(number) => Ok(number % self.hosts.len()),
            Whom::Owner => {
                let last = self.telegram.pollers().pop().context("nobody has polled yet")?;
                self.hosts.iter().position(|host| host.name == last).context("a stranger polls")
            }
        }
    }

    pub(crate) fn delivered(&self) -> Vec<Delivered> {
        let sent = self.telegram.sent();
        let new = sent.into_iter().filter(|sent| sent.method == "sendMessage");
        new.map(|sent| Delivered { chat: sent.chat_id, text: sent.text }).collect()
    }

    /// Looks at the outbox, of each database where there are several. Rows are remembered, because the list shows only so many.
    pub(crate) async fn look_at_outbox(&self) -> Result<()> {
        let divided = self.cluster.as_ref().is_some_and(|cluster| cluster.divided);
        let mut seen = Err(anyhow!("no Creel runs"));
        for (number, host) in self.hosts.iter().enumerate() {
            let Some(creel) = host.creel() else { continue };
            let params = json!({"limit": 1000});
            let asked = tokio::time::timeout(PATIENCE, creel.gateway_call("outbox.list", &params)).await;
            match asked.unwrap_or_else(|_late| Err(anyhow!("{} says nothing", host.name))) {
                Ok(list) => {
                    self.remember(if divided { number } else { 0 }, &list)?;
                    seen = Ok(());
                }
                Err(error) if seen.is_err() => seen = Err(error),
                Err(_) => {}
            }
            if seen.is_ok() && !divided {
                break;
            }
        }
        seen
    }

    fn remember(&self, database: usize, list: &Value) -> Result<()> {
        let mut rows = lock(&self.rows);
        for row in list["rows"].as_array().into_iter().flatten() {
            let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let chat = word("to").parse().with_context(|| format!("this row goes nowhere: {row}"))?;
            rows.insert((database, word("key")), Row { chat, text: word("text"), state: word("state") });
        }
        Ok(())
    }

    pub(crate) fn evidence(&self) -> Evidence {
        Evidence {
            injected: lock(&self.injected).clone(),
            delivered: self.delivered(),
            rows: lock(&self.rows).values().cloned().collect(),
            causes: Causes { cuts: *lock(&self.cuts), hidden: self.telegram.hidden("sendMessage") },
            beside: self.telegram.beside().len() as u64,
        }
    }

    pub(crate) fn judge(&self) -> Verdict {
        check(&self.evidence())
    }

    /// Messages that are neither answered nor accounted for.
    pub(crate) fn open(&self) -> u64 {
        self.judge().lost
    }

    pub(crate) fn count(&self, blow: &str) {
        *lock(&self.blows).entry(blow.to_owned()).or_default() += 1;
    }

    pub(crate) fn count_cut(&self, cut: bool) {
        *lock(&self.cuts) += u64::from(cut);
    }
}
