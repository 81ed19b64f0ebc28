//! What is decided about sessions: their settings, new beginnings, and which are forgotten.

use creel_config::agents::Thinking;
use creel_config::messages::QueueMode;
use creel_config::scalar::{Id, ModelRef};
use creel_config::session::MaintenanceMode;

use super::{Core, WEBCHAT, now_ms};
use crate::hub::*;
use crate::inbound;
use crate::maintenance::{Limits, over};
use crate::route;
use crate::store::{Ended, FirstSession, Kept, SessionPatch, SessionQuery, SessionRecord, Store};

type Answer<T> = Result<T, HubError>;

/// Characters of a label, as clients know it.
const MAX_LABEL: usize = 512;
/// Sessions that are forgotten in one transaction, so that nobody waits long for the writer.
const PIECE: usize = 20;

impl Core {
    pub(crate) async fn session_change(&self, change: SessionChange) -> Answer<SessionRow> {
        let key = self.resolve_session_key(&change.key)?;
        let agent = route::agent_of(&key).unwrap_or_default().to_owned();
        if let Some(Some(label)) = &change.label
            && (label.trim().is_empty()
                || label.chars().count() > MAX_LABEL
                || label.chars().any(char::is_control))
        {
            return Err(HubError::invalid(format!(
                "A label has 1 to {MAX_LABEL} printable characters; `null` takes it away."
            )));
        }
        let model = match change.model {
            Some(Some(wanted)) => Some(Some(self.model_of(&agent, &wanted)?)),
            other => other,
        };
        if let Some(Some(level)) = &change.thinking
            && !Thinking::WORDS.contains(&level.as_str())
        {
            let known = Thinking::WORDS.join(", ");
            return Err(HubError::invalid(format!(
                "There is no thinking level \"{level}\"; there are: {known}."
            )));
        }
        if let Some(Some(mode)) = &change.queue
            && inbound::queue_mode_of(mode).is_none()
        {
            let known = QueueMode::WORDS.join(", ");
            return Err(HubError::invalid(format!("There is no queue mode \"{mode}\"; there are: {known}.")));
        }
        let first = FirstSession {
            id: uuid::Uuid::now_v7().to_string(),
            agent,
            kind: inbound::kind_of(&key).to_owned(),
            account: WEBCHAT.to_owned(),
            now_ms: now_ms(),
        };
        let SessionChange { label, thinking, silent, queue, .. } = change;
        let patch = SessionPatch { key: key.clone(), first, label, model, thinking, silent, queue };
        let changed = self.desk.write(move |store| store.patch_session(&patch)).await;
        self.note_store(&changed);
        let record = changed?;
        self.tell(CoreEvent::SessionChanged { key });
        Ok(self.row_of(record))
    }

    /// A model as the agent's worker knows it: one of its own by either name, or any of a provider that is configured.
    fn model_of(&self, agent: &str, wanted: &str) -> Answer<String> {
        let settings = self.settings();
        let config = settings.config.agent_config(agent, &settings.paths, &settings.found);
        let models = config.map(|config| config.models).unwrap_or_default();
        let name = |model: &creel_ipc::msg::agent::Model| format!("{}/{}", model.provider, model.id);
        if let Some(model) = models.iter().find(|model| name(model) == wanted || model.id == wanted) {
            return Ok(name(model));
        }
        let providers = settings.config.providers(&settings.found);
        let of_provider = ModelRef::parse(wanted).filter(|model| {
            Id::new(&model.provider).is_some_and(|id| providers.contains_key(&id))
                && !wanted.contains(char::is_control)
        });
        of_provider.map(|model| model.to_string()).ok_or_else(|| {
            let known: Vec<String> = models.iter().map(name).collect();
            HubError::invalid(format!(
                "The model \"{wanted}\" is of no provider that is configured; the agent {agent} has: {}.",
                known.join(", ")
            ))
        })
    }

    pub(crate) async fn session_reset(&self, key: &str) -> Answer<(String, String)> {
        let key = self.resolve_session_key(key)?;
        let (named, fresh) = (key.clone(), uuid::Uuid::now_v7().to_string());
        let id = fresh.clone();
        let ended = self.desk.write(move |store| store.renew_session(&named, &fresh)).await;
        self.note_store(&ended);
        match ended? {
            Ended::Done => self.closed(&key),
            Ended::Busy => return Err(busy(&key)),
            Ended::NoSession => {
                return Err(HubError::not_found(format!(
                    "There is no session {key}; `creel sessions` lists them."
                )));
            }
        }
        Ok((key, id))
    }

    pub(crate) async fn session_delete(&self, key: &str) -> Answer<(String, bool)> {
        let key = self.resolve_session_key(key)?;
        let settings = self.settings();
        if route::agent_of(&key).is_some_and(|agent| key == route::main_key(&settings.config, agent)) {
            return Err(HubError::invalid(format!(
                "{key} is a main session, which cannot be deleted; `creel sessions reset` has it begin afresh."
            )));
        }
        let named = key.clone();
        let ended = self.desk.write(move |store| store.forget_session(&named, None)).await;
        self.note_store(&ended);
        match ended? {
            Ended::Done => self.closed(&key),
            Ended::Busy => return Err(busy(&key)),
            Ended::NoSession => return Ok((key, false)),
        }
        Ok((key, true))
    }

    /// A session is over; what is said under its key from now on is another one.
    fn closed(&self, key: &str) {
        let mut state = self.state();
        state.phases.note(key, Happening::Close);
        state.phases.note(key, Happening::Done);
        drop(state);
        self.tell(CoreEvent::SessionChanged { key: key.to_owned() });
    }

    pub(crate) async fn sessions_prune(&self, prune: SessionPrune) -> Answer<Vec<PrunedRow>> {
        let settings = self.settings();
        let limits = &settings.config.session.maintenance;
        let configured = i64::try_from(limits.prune_after.0.saturating_mul(1000)).unwrap_or(i64::MAX);
        let before_ms = now_ms().saturating_sub(prune.after_ms.unwrap_or(configured));
        let most = prune.most.unwrap_or(limits.max_entries) as usize;
        let query = SessionQuery { since_ms: i64::MIN, limit: u32::MAX, ..SessionQuery::default() };
        let sessions = self.desk.read(move |store| store.sessions(&query)).await?;
        let main = |of: &SessionRecord| of.key == route::main_key(&settings.config, &of.agent);
        let row = |(of, why): (SessionRecord, Why)| {
            let SessionRecord { key, id: session_id, updated_ms: updated_at_ms, entries, .. } = of;
            PrunedRow { key, session_id, updated_at_ms, entries, why }
        };
        let found: Vec<PrunedRow> =
            over(sessions, Limits { before_ms, most }, main).into_iter().map(row).collect();
        if prune.dry_run {
            return Ok(found);
        }
        let mut gone = Vec::new();
        for piece in found.chunks(PIECE) {
            let wanted: Vec<_> = piece.iter().map(|row| (row.key.clone(), row.updated_at_ms)).collect();
            let forget = move |store: &mut dyn Store| {
                wanted
                    .iter()
                    .map(|(key, seen)| store.forget_session(key, Some(*seen)))
                    .collect::<Kept<Vec<_>>>()
            };
            let ended = self.desk.write(forget).await;
            self.note_store(&ended);
            for (row, ended) in piece.iter().zip(ended?) {
                if ended == Ended::Done {
                    self.closed(&row.key);
                    gone.push(row.clone());
                }
            }
        }
        while self.desk.write(move |store| store.forget_transcripts(before_ms)).await? > 0 {}
        Ok(gone)
    }

    /// Does what the configuration wants with sessions that nobody writes in any more.
    pub(crate) async fn maintain(&self) {
        let settings = self.settings();
        let maintenance = &settings.config.session.maintenance;
        let dry_run = maintenance.mode == MaintenanceMode::Warn;
        match self.sessions_prune(SessionPrune { dry_run, ..SessionPrune::default() }).await {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) if dry_run => tracing::info!(
                "{} sessions are older than {} or beyond the newest {}; `creel sessions prune` forgets them, and \
                 session.maintenance.mode \"enforce\" has that done by itself.",
                gone.len(),
                maintenance.prune_after,
                maintenance.max_entries
            ),
            Ok(gone) => {
                tracing::info!("{} sessions that nobody writes in any more were forgotten.", gone.len());
            }
            Err(error) => tracing::error!("Old sessions cannot be forgotten: {error}"),
        }
    }
}

fn busy(key: &str) -> HubError {
    HubError::conflict(format!(
        "Something goes on or waits in {key}, or is set aside in it (`creel inbox`); try again when that is over."
    ))
}
