//! The store without a file: for simulations and for the conformance suite to compare with.

use std::collections::{BTreeMap, HashMap};

use creel_ipc::msg::agent::{ContextPage, JournalPage, JournalStep, StepBegun, TurnOutcome, TurnRef};
use creel_ipc::msg::transcript::{Entry, Usage};

use super::allow::same_code;
use super::*;
use crate::hub::OutboxState;

mod import;
mod lease;
mod methods;
mod operator;
mod outbound;
mod question;
mod search;
mod sessions;

/// Whose something is, and until when.
#[derive(Debug, Default)]
struct Claim {
    epoch: u64,
    life: String,
    host: String,
    expires_ms: i64,
}

#[derive(Debug, Default)]
struct AccountRow {
    claim: Claim,
    cursor: Option<String>,
    inbound_ms: Option<i64>,
    outbound_ms: Option<i64>,
    /// Until when it says nothing.
    hold: Moment,
}

#[derive(Debug, Default)]
struct LaneRow {
    agent: String,
    claim: Claim,
    turn: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum MessageState {
    Waiting,
    Context,
    Taken,
    Parked,
    Over,
}

#[derive(Debug)]
struct Message {
    seq: u64,
    account: String,
    ext_id: String,
    placed: Placed,
    state: MessageState,
    turn: Option<String>,
    at_ms: i64,
}

#[derive(Debug)]
struct Turn {
    claimed: Claimed,
    begun_ms: i64,
    steps: BTreeMap<u32, Step>,
    ended: Option<(i64, Ending)>,
}

#[derive(Debug, Default)]
struct Step {
    begun_by: Option<u64>,
    entry: Option<Entry>,
}

#[derive(Debug)]
struct Row {
    outbound: Outbound,
    incarnation: Option<u64>,
    /// How far away its next attempt was at first.
    wait_ms: i64,
}

/// The store without a file.
#[derive(Debug)]
pub(crate) struct Memory {
    rules: Rules,
    /// Its time, which passes only when it is told to.
    clock_ms: i64,
    accounts: BTreeMap<String, AccountRow>,
    known: HashMap<(String, String), Option<String>>,
    inbox: Vec<Message>,
    last_seq: u64,
    lanes: BTreeMap<String, LaneRow>,
    sessions: BTreeMap<String, (SessionRecord, Option<i64>)>,
    turns: HashMap<String, Turn>,
    transcripts: HashMap<String, Vec<TranscriptRecord>>,
    /// Key, agent and id of the conversation, and number of each entry, in the order in which they were said.
    said: Vec<(String, String, String, u64)>,
    lines: HashMap<String, Vec<String>>,
    outbox: Vec<Row>,
    questions: Vec<question::Question>,
    last_question: u64,
    requests: Vec<PairingRecord>,
    let_in: Vec<(String, String)>,
}

impl Memory {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            clock_ms: 0,
            accounts: BTreeMap::new(),
            known: HashMap::new(),
            inbox: Vec::new(),
            last_seq: 0,
            lanes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            turns: HashMap::new(),
            transcripts: HashMap::new(),
            said: Vec::new(),
            lines: HashMap::new(),
            outbox: Vec::new(),
            questions: Vec::new(),
            last_question: 0,
            requests: Vec::new(),
            let_in: Vec::new(),
        }
    }

    fn pending(&self, lane: &str) -> u32 {
        let waits =
            |message: &&Message| message.placed.lane == lane && message.state == MessageState::Waiting;
        u32::try_from(self.inbox.iter().filter(waits).count()).unwrap_or(u32::MAX)
    }

    /// Every write for a turn begins here.
    fn turn(&mut self, turn: &TurnRef) -> Kept<&mut Turn> {
        let fenced = || StoreError::lost_turn(&turn.turn);
        let found = self.turns.get_mut(&turn.turn).ok_or_else(fenced)?;
        let lane = self.lanes.get(&found.claimed.lane);
        let current = lane
            .is_some_and(|lane| lane.turn.as_deref() == Some(&turn.turn) && lane.claim.epoch == turn.epoch);
        let owned = found.claimed.turn.epoch == turn.epoch && (found.ended.is_some() || current);
        if owned || !self.rules.fenced() { Ok(found) } else { Err(fenced()) }
    }

    fn place(&mut self, own: &Held, message: &NewMessage, placed: &Placed, state: MessageState) {
        let now_ms = message.now_ms;
        let session = self.sessions.entry(placed.lane.clone()).or_insert_with(|| {
            let record = SessionRecord {
                key: placed.lane.clone(),
                id: placed.session_id.clone(),
                agent: placed.agent.clone(),
                kind: placed.kind.clone(),
                account: own.account().to_owned(),
                title: None,
                model: None,
                settings: SessionSettings::default(),
                updated_ms: now_ms,
                entries: 0,
                pending: 0,
                running: false,
            };
            (record, None)
        });
        session.0.account = own.account().to_owned();
        session.0.updated_ms = now_ms;
        session.0.title = placed.title.clone().or(session.0.title.take());
        self.last_seq += 1;
        self.inbox.push(Message {
            seq: self.last_seq,
            account: own.account().to_owned(),
            ext_id: message.ext_id.clone(),
            placed: placed.clone(),
            state,
            turn: None,
            at_ms: now_ms,
        });
    }

    fn begin(&mut self, claim: &LaneClaim, lease: Held<Lane>) {
        let (mut taken, mut context) = (Vec::new(), Vec::new());
        let mut lead: Option<usize> = None;
        let settings =
            self.sessions.get(&claim.lane).map(|(session, _)| session.settings.clone()).unwrap_or_default();
        for (index, message) in self.inbox.iter().enumerate() {
            if message.placed.lane != claim.lane {
                continue;
            }
            match message.state {
                MessageState::Context => context.push(index),
                MessageState::Waiting => {
                    if let Some(lead) = lead.map(|lead| &self.inbox[lead]) {
                        let place = |message: &Message| {
                            (message.account.clone(), message.placed.route.as_ref().map(chat_of))
                        };
                        let alone = lead.placed.run.is_some() || message.placed.run.is_some();
                        let merge = claim.merges(&lead.account, &settings);
                        if !merge || alone || message.placed.resets || place(lead) != place(message) {
                            break;
                        }
                    }
                    lead = lead.or(Some(index));
                    taken.append(&mut context);
                    taken.push(index);
                }
                MessageState::Taken | MessageState::Parked | MessageState::Over => {}
            }
        }
        let Some(lead) = lead else { return };
        for index in &taken {
            self.inbox[*index].state = MessageState::Taken;
            self.inbox[*index].turn = Some(claim.turn.clone());
        }
        let lead = &self.inbox[lead];
        let Some((session, turned)) = self.sessions.get_mut(&claim.lane) else { return };
        let stale = turned.is_some_and(|turned| turned < claim.stale_before(&lead.account));
        let mut fresh = lead.placed.resets;
        if (lead.placed.resets || stale) && session.entries > 0 {
            session.id = claim.fresh_id.clone();
            session.entries = 0;
            fresh = true;
        }
        let last = taken.last().map(|index| &self.inbox[*index]);
        let claimed = Claimed {
            turn: TurnRef { turn: claim.turn.clone(), epoch: lease.epoch() },
            lease,
            run: lead.placed.run.clone().unwrap_or_else(|| claim.turn.clone()),
            lane: claim.lane.clone(),
            agent: lead.placed.agent.clone(),
            falls: 0,
            session_id: session.id.clone(),
            kind: session.kind.clone(),
            model: session.model.clone(),
            settings: session.settings.clone(),
            account: lead.account.clone(),
            route: last.and_then(|last| last.placed.route.clone()),
            fresh,
            input: taken.iter().map(|index| self.inbox[*index].placed.input.clone()).collect(),
            history: session.entries,
            journal: 0,
            pending: 0,
        };
        let turn = Turn { claimed, begun_ms: claim.now_ms, steps: BTreeMap::new(), ended: None };
        self.turns.insert(claim.turn.clone(), turn);
    }

    fn claimed(&self, turn: &str) -> Option<Claimed> {
        let turn = self.turns.get(turn)?;
        let mut claimed = turn.claimed.clone();
        claimed.journal = u32::try_from(turn.steps.len()).unwrap_or(u32::MAX);
        claimed.pending = self.pending(&claimed.lane);
        Some(claimed)
    }

    fn row(&mut self, own: &Held, key: &str) -> Kept<Option<&mut Row>> {
        self.fence(own)?;
        Ok(self
            .outbox
            .iter_mut()
            .find(|row| row.outbound.what.key == key && row.outbound.what.account == own.account()))
    }
}

fn open(state: OutboxState) -> bool {
    matches!(state, OutboxState::Queued | OutboxState::Attempting)
}

fn count<'a, T>(items: impl Iterator<Item = &'a T>) -> u64
where
    T: 'a,
{
    items.count() as u64
}
