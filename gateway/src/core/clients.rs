//! What clients ask: the other side of [`crate::hub::Hub`].

use std::sync::Arc;
use std::time::Duration;

use creel_ipc::ErrorClass;
use creel_ipc::Request;
use creel_ipc::msg::Empty;
use creel_ipc::msg::agent::TurnOutcome;
use creel_ipc::msg::channel::{ChatKind, Route};
use creel_ipc::msg::supervisor::{ConfigReload, Reloaded, UnitName, UnitRestart, Units, UnitsStatus};
use creel_ipc::msg::transcript::Usage;
use creel_ipc::msg::unit::UnitState;
use creel_link::CallError;
use subtle::ConstantTimeEq;
use tokio::sync::broadcast;

use super::{Core, is_webchat, now_ms};
use crate::hub::*;
use crate::inbound;
use crate::route;
use crate::store::{
    Accepted, NewOutbound, Outbound, RunRecord, SearchQuery, SessionQuery, SessionRecord, StoreError, Wanted,
};

type Answer<T> = Result<T, HubError>;

/// Bytes of a message, an idempotency key and a name.
const MAX_TEXT: usize = 512 * 1024;
const MAX_KEY: usize = 256;
/// The supervisor answers at once or not at all.
const SUPERVISOR: Duration = Duration::from_secs(30);

impl From<StoreError> for HubError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced(_) => Self::conflict(error.to_string()),
            _ => Self::unavailable(error.to_string()),
        }
    }
}

fn checked_key(key: &str) -> Answer<()> {
    if key.is_empty() || key.len() > MAX_KEY || key.chars().any(char::is_control) {
        return Err(HubError::invalid(format!(
            "The idempotency key must have 1 to {MAX_KEY} printable characters."
        )));
    }
    Ok(())
}

fn checked_text(text: &str) -> Answer<()> {
    if text.trim().is_empty() {
        return Err(HubError::invalid("The message is empty; write something in it."));
    }
    if text.len() > MAX_TEXT {
        return Err(HubError::invalid(format!(
            "The message has {} bytes; the limit is {MAX_TEXT}. Send less at once.",
            text.len()
        )));
    }
    Ok(())
}

impl Core {
    pub(crate) async fn chat_send(self: &Arc<Self>, send: ChatSend) -> Answer<ChatAccepted> {
        checked_key(&send.idempotency_key)?;
        if send.attachments.is_empty() || send.message.len() > MAX_TEXT {
            checked_text(&send.message)?;
        }
        let lane = self.resolve_session_key(&send.session_key)?;
        let settings = self.settings();
        let run = send.idempotency_key;
        tracing::debug!("{} writes to {lane}.", send.client);
        let message = inbound::typed(&settings, &lane, run.clone(), send.message, send.attachments, now_ms());
        let held = self.hold(&self.webchat()).await?;
        let agent = route::agent_of(&lane).unwrap_or_default().to_owned();
        let (core, place) = (Arc::clone(self), Some((lane.clone(), agent)));
        // A task of its own: a client that hangs up must not leave the lane half taken.
        let accepting = tokio::spawn(async move {
            let accepting = core.accept(held, message, place).await;
            core.accepted(accepting).await
        });
        let accepted = accepting.await.unwrap_or(Err(StoreError::Closed))?;
        let duplicate = matches!(accepted, Accepted::Duplicate { .. });
        if accepted == Accepted::Answered {
            self.tell(CoreEvent::RunEnded {
                run: run.clone(),
                session_key: lane.clone(),
                outcome: TurnOutcome::Done,
                error: None,
                text: String::new(),
                usage: Usage::default(),
            });
        }
        Ok(ChatAccepted { run_id: run, session_key: lane, duplicate })
    }

    pub(crate) async fn chat_abort(&self, session_key: &str, run_id: Option<&str>) -> Answer<Vec<String>> {
        let lane = self.resolve_session_key(session_key)?;
        Ok(self.stop_lane(&lane, run_id))
    }

    pub(crate) async fn chat_history(&self, session_key: &str, limit: u32) -> Answer<Vec<StoredEntry>> {
        let lane = self.resolve_session_key(session_key)?;
        let records = self.desk.read(move |store| store.history(&lane, limit)).await?;
        let entries = records.into_iter().map(|record| StoredEntry {
            seq: record.seq,
            entry: record.entry,
            at_ms: record.at_ms,
            run_id: record.run,
        });
        Ok(entries.collect())
    }

    pub(crate) async fn run_wait(&self, run_id: &str, timeout_ms: u64) -> Answer<RunStatus> {
        let mut events = self.subscribe();
        let deadline = tokio::time::Instant::now() + Duration::from_millis(timeout_ms);
        loop {
            let status = self.run_status(run_id).await?;
            if matches!(status.state, RunState::Ended(_)) {
                return Ok(status);
            }
            let ended = async {
                loop {
                    match events.recv().await {
                        Ok(CoreEvent::RunEnded { run, .. }) if run == run_id => return,
                        // Missed events may hold the one that is waited for.
                        Err(broadcast::error::RecvError::Lagged(_)) => return,
                        Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                        Ok(_) => {}
                    }
                }
            };
            if tokio::time::timeout_at(deadline, ended).await.is_err() {
                return self.run_status(run_id).await;
            }
        }
    }

    async fn run_status(&self, run_id: &str) -> Answer<RunStatus> {
        let named = run_id.to_owned();
        let record = self.desk.read(move |store| store.run(&named)).await?;
        let missing = || HubError::not_found(format!("There is no run {run_id}."));
        Ok(status_of(run_id, record.ok_or_else(missing)?))
    }

    pub(crate) async fn sessions_list(&self, filter: SessionFilter) -> Answer<Vec<SessionRow>> {
        let query = SessionQuery {
            agent: filter.agent,
            kind: filter.kind,
            since_ms: filter.active_since_ms.unwrap_or(i64::MIN),
            search: filter.search.map(|text| text.to_lowercase()).filter(|text| !text.is_empty()),
            limit: if filter.limit == 0 { 200 } else { filter.limit },
        };
        let records = self.desk.read(move |store| store.sessions(&query)).await?;
        Ok(records.into_iter().map(|record| self.row_of(record)).collect())
    }

    /// A session as it is at this moment.
    pub(super) fn row_of(&self, record: SessionRecord) -> SessionRow {
        let state = self.state();
        let running = state.lanes.is_running(&record.key);
        let phase = state.phases.of(&record.key, record.entries);
        session_row(running, phase, record)
    }

    pub(crate) async fn sessions_search(&self, search: SessionSearch) -> Answer<FoundEntries> {
        let wanted = Wanted::read(&search.words).ok_or_else(|| {
            HubError::invalid("There is nothing to search for: give words, with letters or digits in them.")
        })?;
        let keys: Result<_, _> = search.sessions.iter().map(|key| self.resolve_session_key(key)).collect();
        let query = SearchQuery { wanted, agent: search.agent, keys: keys?, limit: search.limit.max(1) };
        let page = self.desk.read(move |store| store.search(&query)).await?;
        let hits = page.hits.into_iter().map(|hit| FoundEntry {
            key: hit.key,
            agent: hit.agent,
            session_id: hit.session_id,
            seq: hit.seq,
            role: hit.role,
            at_ms: hit.at_ms,
            snippet: hit.snippet,
        });
        Ok(FoundEntries { hits: hits.collect(), more: page.more, indexing: page.indexing })
    }

    pub(crate) async fn send(&self, request: SendRequest) -> Answer<SendAccepted> {
        checked_key(&request.idempotency_key)?;
        checked_text(&request.text)?;
        if request.to.trim().is_empty() {
            return Err(HubError::invalid("The send names no conversation; say where in `to`."));
        }
        let account = self.account_of(&request.channel, request.account.as_deref())?;
        let kind = if request.to.starts_with(['#', '-']) { ChatKind::Group } else { ChatKind::Direct };
        let (chat_id, thread) = match request.to.split_once(":topic:") {
            Some((chat, topic)) => (chat.to_owned(), Some(topic.to_owned())),
            None => (request.to, None),
        };
        let key = format!("send/{account}/{}", request.idempotency_key);
        let row = NewOutbound {
            key: key.clone(),
            account: account.clone(),
            route: Route { chat_id, kind, thread, reply_to: None, addressee: None },
            text: request.text,
            attachments: Vec::new(),
            draft: None,
            run: None,
            agent: None,
            now_ms: now_ms(),
        };
        let added = self.desk.write(move |store| store.enqueue(&row)).await;
        self.note_store(&added);
        let added = added?;
        self.wake_pump(&account);
        Ok(SendAccepted { key, duplicate: !added })
    }

    /// The account that a client means: the named one, else `default`, else the only one.
    fn account_of(&self, channel: &str, account: Option<&str>) -> Answer<String> {
        let settings = self.settings();
        let enabled = settings.config.channels.enabled();
        let mut of_channel = enabled.iter().filter(|view| view.channel == channel);
        let found = match account {
            Some(id) => of_channel.find(|view| view.id.as_str() == id),
            None => of_channel
                .clone()
                .find(|view| view.id.as_str() == "default")
                .or_else(|| of_channel.next().filter(|_| of_channel.next().is_none())),
        };
        let named = account.map(|id| format!(" with the account {id}")).unwrap_or_default();
        let missing = || {
            HubError::not_found(format!(
                "There is no channel {channel}{named} that is switched on; `creel channels list` shows those that are."
            ))
        };
        found.map(|view| format!("{channel}:{}", view.id)).ok_or_else(missing)
    }

    pub(crate) async fn outbox_list(&self, limit: u32) -> Answer<Vec<OutboxRow>> {
        let rows = self.desk.read(move |store| store.outbox(limit)).await?;
        Ok(rows.into_iter().map(outbox_row).collect())
    }

    pub(crate) async fn channels_status(&self) -> Vec<ChannelRow> {
        let names: Vec<String> = {
            let settings = self.settings();
            let all = settings.config.channels.all();
            all.iter().map(|view| format!("{}:{}", view.channel, view.id)).collect()
        };
        let mut rows = Vec::new();
        for name in names {
            rows.extend(self.channel_row(&name).await);
        }
        rows
    }

    pub(crate) async fn units(&self) -> Answer<Units> {
        self.ask_supervisor::<UnitsStatus>(&Empty {}).await
    }

    pub(crate) async fn unit_restart(&self, name: &str) -> Answer<()> {
        self.ask_supervisor::<UnitRestart>(&UnitName { unit: name.to_owned() }).await.map(|_| ())
    }

    pub(crate) async fn config_reload(&self) -> Answer<Reloaded> {
        self.ask_supervisor::<ConfigReload>(&Empty {}).await
    }

    async fn ask_supervisor<M: Request>(&self, params: &M::Params) -> Answer<M::Result> {
        let silent = || HubError::unavailable("The supervisor does not answer.");
        let supervisor = self.supervisor.as_ref().ok_or_else(silent)?;
        let answer = tokio::time::timeout(SUPERVISOR, supervisor.call::<M>(params)).await;
        answer.map_err(|_elapsed| silent())?.map_err(|error| match error {
            CallError::Refused(error) => match error.class() {
                ErrorClass::BadRequest if M::METHOD == UnitRestart::METHOD => {
                    HubError::not_found(error.message)
                }
                ErrorClass::BadRequest | ErrorClass::ConfigFatal => HubError::invalid(error.message),
                ErrorClass::Conflict => HubError::conflict(error.message),
                _ => HubError::unavailable(error.message),
            },
            other => HubError::unavailable(other.to_string()),
        })
    }

    pub(crate) async fn health(&self) -> Health {
        let mut reasons = Vec::new();
        let webchat = self.webchat();
        let readable = self.desk.read(move |store| store.cursor(&webchat)).await;
        let store_error = self.state().store_error.clone().or(readable.err().map(|error| error.to_string()));
        let store_ok = store_error.is_none();
        reasons.extend(store_error);
        let units = match self.units().await {
            Ok(units) => units.units,
            Err(error) => {
                reasons.push(error.sentence);
                self.state().units.values().cloned().collect()
            }
        };
        let wanted = || units.iter().filter(|unit| unit.state != UnitState::Stopped);
        for unit in wanted().filter(|unit| unit.state != UnitState::Running) {
            let why = unit.last_exit.as_ref().and_then(|exit| exit.detail.clone());
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            reasons.push(format!("{} is {}{why}.", unit.name, word(unit.state)));
        }
        let running = wanted().filter(|unit| unit.state == UnitState::Running).count();
        Health {
            ready: reasons.is_empty() && !self.stopping.is_cancelled(),
            reasons,
            store_ok,
            units_running: u32::try_from(running).unwrap_or(u32::MAX),
            units_total: u32::try_from(wanted().count()).unwrap_or(u32::MAX),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<CoreEvent> {
        self.events.subscribe()
    }

    pub(crate) fn resolve_session_key(&self, input: &str) -> Answer<String> {
        let wrong = || {
            HubError::invalid(format!(
                "\"{input}\" is no session; write `main`, or `agent:<id>:<name>` with an agent that is configured."
            ))
        };
        route::canonical(&self.settings().config, input).ok_or_else(wrong)
    }

    pub(crate) fn default_agent(&self) -> String {
        self.settings().config.default_agent().to_string()
    }

    pub(crate) fn main_session(&self) -> (String, String) {
        let settings = self.settings();
        let agent = settings.config.default_agent();
        (settings.config.session.main_key.to_string(), route::main_key(&settings.config, &agent))
    }

    pub(crate) fn agents(&self) -> Vec<(String, String)> {
        let mut agents = self.settings().config.agents();
        agents.sort_by_key(|agent| !agent.default);
        agents.into_iter().map(|agent| (agent.id.to_string(), agent.name)).collect()
    }

    pub(crate) fn token_ok(&self, candidate: &str) -> bool {
        let token = self.token.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        !token.is_empty() && token.expose().as_bytes().ct_eq(candidate.as_bytes()).into()
    }

    pub(crate) fn metrics_token_ok(&self, candidate: &str) -> bool {
        let settings = self.settings();
        let token = settings.config.gateway.metrics.token.as_ref().filter(|token| !token.is_empty());
        token.is_some_and(|token| token.expose().as_bytes().ct_eq(candidate.as_bytes()).into())
    }
}

fn word(state: UnitState) -> &'static str {
    match state {
        UnitState::Stopped => "stopped",
        UnitState::Starting => "starting",
        UnitState::Running => "running",
        UnitState::Stopping => "stopping",
        UnitState::Backoff => "waiting for its next attempt",
        UnitState::Quarantined => "quarantined",
    }
}

fn status_of(run_id: &str, record: RunRecord) -> RunStatus {
    let state = match (record.outcome, record.turn) {
        (Some(outcome), _) => RunState::Ended(outcome),
        (None, Some(_)) => RunState::Running,
        (None, None) => RunState::Accepted,
    };
    RunStatus {
        run_id: run_id.to_owned(),
        session_key: record.lane,
        state,
        accepted_at_ms: record.accepted_ms,
        ended_at_ms: record.ended_ms,
        error: record.error,
        text: record.text,
        usage: record.usage,
    }
}

fn session_row(running: bool, phase: SessionPhase, record: SessionRecord) -> SessionRow {
    let account = (!is_webchat(&record.account)).then(|| record.account.split_once(':')).flatten();
    let state = match () {
        () if running || record.running => SessionState::Running,
        () if record.pending > 0 => SessionState::Queued,
        () => SessionState::Idle,
    };
    SessionRow {
        key: record.key,
        session_id: record.id,
        agent: record.agent,
        kind: record.kind,
        channel: account.map(|(channel, _)| channel.to_owned()),
        account: account.map(|(_, account)| account.to_owned()),
        title: record.title,
        updated_at_ms: record.updated_ms,
        entries: record.entries,
        running: state == SessionState::Running,
        model: record.model,
        label: record.settings.label,
        thinking: record.settings.thinking,
        silent: record.settings.silent,
        queue: record.settings.queue,
        state,
        phase,
    }
}

fn outbox_row(row: Outbound) -> OutboxRow {
    let (channel, account) = row.what.account.split_once(':').unwrap_or((&row.what.account, ""));
    OutboxRow {
        key: row.what.key.clone(),
        channel: channel.to_owned(),
        account: account.to_owned(),
        to: row.what.route.chat_id,
        text: row.what.text,
        state: row.state,
        parts_sent: row.parts_sent,
        attempts: row.attempts,
        error: row.error,
        created_at_ms: row.what.now_ms,
        run_id: row.what.run,
    }
}
