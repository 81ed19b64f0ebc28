//! Everything that the parts of a run share.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use creel_kit::{Creel, TelegramHome};
use serde_json::json;

use crate::bound::Causes;
use crate::check::{Delivered, Evidence, Injected, Row, Verdict, check};
use crate::conduct::Conduct;
use crate::disk::Disk;
use crate::history::History;
use crate::scenario::Traits;

pub(crate) struct Stage {
    pub traits: &'static Traits,
    /// Unmounted before the home goes.
    pub disk: Option<Disk>,
    pub home: TelegramHome,
    pub creel: Mutex<Option<Arc<Creel>>>,
    pub history: History,
    pub injected: Mutex<Vec<Injected>>,
    /// The outbox by the keys of its rows.
    pub rows: Mutex<BTreeMap<String, Row>>,
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
        lock(&self.creel).clone()
    }

    pub(crate) fn delivered(&self) -> Vec<Delivered> {
        let sent = self.home.telegram.sent();
        let new = sent.into_iter().filter(|sent| sent.method == "sendMessage");
        new.map(|sent| Delivered { chat: sent.chat_id, text: sent.text }).collect()
    }

    /// Looks at the outbox. Rows are remembered, because the list shows only so many.
    pub(crate) async fn look_at_outbox(&self) -> Result<()> {
        let creel = self.creel().context("no Creel runs")?;
        let list = creel.gateway_call("outbox.list", &json!({"limit": 1000})).await?;
        let mut rows = lock(&self.rows);
        for row in list["rows"].as_array().into_iter().flatten() {
            let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let chat = word("to").parse().with_context(|| format!("this row goes nowhere: {row}"))?;
            rows.insert(word("key"), Row { chat, text: word("text"), state: word("state") });
        }
        Ok(())
    }

    pub(crate) fn evidence(&self) -> Evidence {
        Evidence {
            injected: lock(&self.injected).clone(),
            delivered: self.delivered(),
            rows: lock(&self.rows).values().cloned().collect(),
            causes: Causes { cuts: *lock(&self.cuts), hidden: self.home.telegram.hidden("sendMessage") },
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
