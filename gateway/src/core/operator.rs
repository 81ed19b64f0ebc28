//! What an operator decides about: messages that were set aside, what was not said, sessions from files and into files.

use std::time::Duration;

use tokio::time::Instant;

use super::{Core, now_ms};
use crate::hub::*;
use crate::store::{Imported, ParkedRecord, Wished};
use crate::transcripts::{self, Destination};

type Answer<T> = Result<T, HubError>;

impl Core {
    pub(crate) async fn inbox_list(&self, limit: u32) -> Answer<Vec<ParkedRow>> {
        let records = self.desk.read(move |store| store.parked(limit)).await?;
        Ok(records.into_iter().map(parked_row).collect())
    }

    pub(crate) async fn inbox_retry(&self, id: u64) -> Answer<String> {
        let found = self.desk.write(move |store| store.unpark(id)).await;
        self.note_store(&found);
        let (lane, agent) = found?.ok_or_else(|| not_parked(id))?;
        self.state().lanes.arrived(&lane, &agent, Instant::now(), Duration::ZERO);
        self.tell(CoreEvent::SessionChanged { key: lane.clone() });
        self.wake.notify_one();
        Ok(lane)
    }

    pub(crate) async fn inbox_drop(&self, id: u64) -> Answer<()> {
        let dropped = self.desk.write(move |store| store.discard(id)).await;
        self.note_store(&dropped);
        dropped?.then_some(()).ok_or_else(|| not_parked(id))
    }

    pub(crate) async fn outbox_retry(&self, key: &str) -> Answer<()> {
        let (named, now_ms) = (key.to_owned(), now_ms());
        let wished = self.desk.write(move |store| store.resend(&named, now_ms)).await;
        self.note_store(&wished);
        let account = wished_of(key, wished?, "said again", "unknown or failed")?;
        self.wake_pump(&account);
        Ok(())
    }

    pub(crate) async fn outbox_drop(&self, key: &str) -> Answer<()> {
        let named = key.to_owned();
        let sentence = "The operator gave it up.";
        let wished = self.desk.write(move |store| store.give_up(&named, sentence)).await;
        self.note_store(&wished);
        let account = wished_of(key, wished?, "given up", "queued or unknown")?;
        self.wake_pump(&account);
        Ok(())
    }

    /// The whole file of a session, and its id.
    pub(crate) async fn session_export(&self, key: &str) -> Answer<(String, String)> {
        let key = self.resolve_session_key(key)?;
        let named = key.clone();
        let file = self.desk.read(move |store| store.session_file(&named)).await?;
        let missing =
            || HubError::not_found(format!("There is no session {key}; `creel sessions` lists them."));
        let file = file.ok_or_else(missing)?;
        // Readers of such files go to the folder that is named in it, and this one is everywhere.
        Ok((file.session.id.clone(), transcripts::file_of(&file, "/")))
    }

    pub(crate) async fn session_import(&self, import: SessionImport) -> Answer<SessionImported> {
        let settings = self.settings();
        let agent = import.agent.unwrap_or_else(|| settings.config.default_agent().to_string());
        if settings.config.agent(&agent).is_none() {
            return Err(HubError::invalid(format!("There is no agent {agent:?} in the configuration.")));
        }
        let key = import.key.as_deref().map(|key| self.resolve_session_key(key)).transpose()?;
        if let Some(other) = key.as_deref().and_then(crate::route::agent_of).filter(|of| *of != agent) {
            return Err(HubError::invalid(format!(
                "The key {} belongs to the agent {other}, and the session is for {agent}.",
                import.key.unwrap_or_default()
            )));
        }
        let to = Destination { agent, key, account: self.webchat(), now_ms: now_ms() };
        let read = transcripts::session_of(&import.text, to);
        let (new, faults) = read.map_err(|error| HubError::invalid(error.to_string()))?;
        let mut imported = SessionImported {
            session_id: new.id.clone(),
            key: Some(new.key.clone()),
            entries: new.entries.len() as u64,
            records: new.lines.len().saturating_sub(1) as u64,
            known: false,
            faults: faults.iter().map(|fault| (fault.line, fault.to_string())).collect(),
        };
        if import.dry_run {
            return Ok(imported);
        }
        let outcome = self.desk.write(move |store| store.import(&new)).await;
        self.note_store(&outcome);
        match outcome? {
            Imported::Fresh(key) => {
                self.tell(CoreEvent::SessionChanged { key: key.clone() });
                imported.key = Some(key);
            }
            Imported::Known(key) => (imported.known, imported.key) = (true, key),
        }
        Ok(imported)
    }
}

fn not_parked(id: u64) -> HubError {
    HubError::not_found(format!("No message {id} is set aside; `creel inbox` lists those that are."))
}

fn wished_of(key: &str, wished: Wished, what: &str, when: &str) -> Answer<String> {
    match wished {
        Wished::Done(account) => Ok(account),
        Wished::NotNow(state) => Err(HubError::conflict(format!(
            "The message {key} is {}; only one that is {when} can be {what}.",
            state.as_str()
        ))),
        Wished::NoRow => Err(HubError::not_found(format!(
            "There is no message {key} in the outbox; `creel outbox list` shows the newest."
        ))),
    }
}

fn parked_row(record: ParkedRecord) -> ParkedRow {
    let (channel, account) = record.account.split_once(':').unwrap_or((&record.account, ""));
    ParkedRow {
        id: record.id,
        channel: channel.to_owned(),
        account: account.to_owned(),
        session_key: record.lane,
        sender: record.input.sender,
        text: record.input.text,
        at_ms: record.at_ms,
        attempts: record.attempts,
        parked_at_ms: record.parked_ms,
        error: record.error,
    }
}
