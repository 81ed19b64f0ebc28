//! One gateway of the simulation: what it believes, and what it asks the store because of it. It acts as the real one
//! does, and only on what it was answered.

use super::*;

/// A call of the store on its way.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    ClaimAccount(Claimant, String),
    Renew(Claimant, Vec<Held>, Vec<Held<Lane>>),
    Accept(Held, Box<NewMessage>),
    Orphans(Held),
    Outbound(Held),
    Attempt(Held, String),
    Settle(Held, String),
    OpenLanes(Claimant),
    ClaimLane(LaneClaim),
    BeginStep(TurnRef),
    EndStep(TurnRef),
    Finish(TurnRef),
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Account(Option<Held>),
    Renewed(Renewed),
    Accepted(Held, String),
    Ready(Held),
    Outbound(Held, Option<String>),
    Attempted(Held, String, bool),
    Settled(String),
    Lanes(Vec<OpenLane>),
    Lane(Option<Box<Claimed>>),
    Step(TurnRef, StepBegun),
    StepDone(TurnRef),
    Finished(TurnRef),
    Refused(Lost),
}

/// An account as its holder sees it.
#[derive(Debug)]
struct Post {
    held: Held,
    /// Counted from before the store was asked.
    good_until: u64,
    /// What its former holder began is known to be in doubt.
    ready: bool,
    /// A row that was handed to the platform, until the store knows.
    sent: Option<String>,
    /// What its worker has said in this life: asked again, it says nothing twice.
    said: BTreeSet<String>,
}

/// A turn as its runner sees it.
#[derive(Debug)]
struct Work {
    lease: Held<Lane>,
    turn: TurnRef,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Begin,
    Effect,
    Finish,
}

#[derive(Debug)]
pub(super) struct Node {
    pub who: Claimant,
    care: Care,
    posts: BTreeMap<String, Post>,
    work: Option<Work>,
    renewed_at: u64,
    turns: u64,
    /// Its clock in thousandths of the true one.
    pace: u64,
}

impl Node {
    pub(super) fn new(host: usize, life: u64, care: Care, pace: u64) -> Self {
        let rank = [Rank::Primary, Rank::Secondary, Rank::Standby][host % 3];
        let who = Claimant { life: format!("{host}.{life}"), host: format!("h{host}"), rank, ttl: TTL };
        Self { who, care, posts: BTreeMap::new(), work: None, renewed_at: 0, turns: 0, pace }
    }

    /// How long a span of its own clock is in truth.
    fn in_truth(&self, span: Duration) -> u64 {
        span.as_millis() as u64 * 1_000 / self.pace
    }

    /// Forgets what it may not act on any more. Comes before anything it does.
    fn stop_in_time(&mut self, now: u64) {
        if self.care.stops_in_time {
            self.posts.retain(|_, post| now < post.good_until);
        }
    }

    /// A moment to do something.
    pub(super) fn tick(&mut self, now: u64, outside: &mut Outside, dice: &mut Dice) -> Vec<Ask> {
        self.stop_in_time(now);
        let mut asks = Vec::new();
        for account in ACCOUNTS {
            if !self.posts.contains_key(account) && dice.one_in(2) {
                asks.push(Ask::ClaimAccount(self.who.clone(), account.to_owned()));
            }
        }
        if now >= self.renewed_at + self.in_truth(TTL / 4) {
            self.renewed_at = now;
            let held = self.posts.values().map(|post| post.held.clone()).collect();
            let lanes = self.work.iter().map(|work| work.lease.clone()).collect();
            asks.push(Ask::Renew(self.who.clone(), held, lanes));
        }
        for post in self.posts.values() {
            let held = post.held.clone();
            if !post.ready {
                asks.push(Ask::Orphans(held));
                continue;
            }
            if let Some(message) = outside.poll(&held) {
                asks.push(Ask::Accept(held.clone(), Box::new(message)));
            }
            asks.push(match &post.sent {
                Some(key) => Ask::Settle(held, key.clone()),
                None => Ask::Outbound(held),
            });
        }
        asks.push(match &self.work {
            None => Ask::OpenLanes(self.who.clone()),
            Some(work) => match work.stage {
                Stage::Begin => Ask::BeginStep(work.turn.clone()),
                Stage::Effect => Ask::EndStep(work.turn.clone()),
                Stage::Finish => Ask::Finish(work.turn.clone()),
            },
        });
        asks
    }

    /// Hears what came of a call that was made at `asked`.
    pub(super) fn hear(
        &mut self,
        asked: u64,
        now: u64,
        answer: Answer,
        outside: &mut Outside,
        dice: &mut Dice,
    ) -> Vec<Ask> {
        self.stop_in_time(now);
        match answer {
            Answer::Account(Some(held)) => {
                let good_until = asked + self.in_truth(held.good_for());
                if now < good_until || !self.care.stops_in_time {
                    let post = Post { held, good_until, ready: false, sent: None, said: BTreeSet::new() };
                    self.posts.insert(post.held.account().to_owned(), post);
                }
            }
            Answer::Renewed(renewed) => {
                for held in renewed.accounts {
                    let good_until = asked + self.in_truth(held.good_for());
                    if let Some(post) = self.posts.get_mut(held.account()) {
                        post.good_until = post.good_until.max(good_until);
                    }
                }
                for lost in renewed.lost {
                    self.lose(&lost);
                }
            }
            Answer::Accepted(held, ext_id) => outside.acknowledge(held.account(), &ext_id),
            Answer::Ready(held) => {
                if let Some(post) = self.post(&held) {
                    post.ready = true;
                }
            }
            Answer::Outbound(held, Some(key)) => {
                if self.post(&held).is_some_and(|post| post.sent.is_none()) {
                    return vec![Ask::Attempt(held, key)];
                }
            }
            Answer::Attempted(held, key, true) => {
                // Between the store's word and the platform lies its own clock once more.
                if let Some(post) = self.post(&held).filter(|post| post.sent.is_none()) {
                    post.sent = Some(key.clone());
                    if post.said.insert(key.clone()) {
                        outside.hear(&key);
                    }
                    return vec![Ask::Settle(held, key)];
                }
            }
            Answer::Settled(key) => {
                for post in self.posts.values_mut().filter(|post| post.sent.as_ref() == Some(&key)) {
                    post.sent = None;
                }
            }
            Answer::Lanes(lanes) => {
                if self.work.is_none() && !lanes.is_empty() {
                    let lane = lanes[dice.between(0, lanes.len() as u64) as usize].lane.clone();
                    self.turns += 1;
                    return vec![Ask::ClaimLane(self.claim(lane))];
                }
            }
            Answer::Lane(Some(claimed)) => {
                let Claimed { lease, turn, .. } = *claimed;
                self.work = Some(Work { lease, turn, stage: Stage::Begin });
            }
            Answer::Step(turn, begun) => {
                if let Some(work) =
                    self.work.as_mut().filter(|work| work.turn == turn && work.stage == Stage::Begin)
                {
                    if begun == StepBegun::New {
                        *outside.effects.entry((turn.turn, 0)).or_default() += 1;
                    }
                    work.stage = Stage::Effect;
                }
            }
            Answer::StepDone(turn) => {
                if let Some(work) = self.work.as_mut().filter(|work| work.turn == turn) {
                    work.stage = Stage::Finish;
                }
            }
            Answer::Finished(turn) => self.work = self.work.take().filter(|work| work.turn != turn),
            Answer::Refused(lost) => self.lose(&lost),
            Answer::Account(None)
            | Answer::Outbound(_, None)
            | Answer::Attempted(_, _, false)
            | Answer::Lane(None) => {}
        }
        Vec::new()
    }

    fn claim(&self, lane: String) -> LaneClaim {
        LaneClaim {
            who: self.who.clone(),
            lane,
            turn: format!("{}.{}", self.who.life, self.turns),
            merge: false,
            fresh_id: String::new(),
            stale_before_ms: i64::MIN,
            by_channel: Vec::new(),
            now_ms: 0,
        }
    }

    /// The account, if it is still held by the same claim.
    fn post(&mut self, held: &Held) -> Option<&mut Post> {
        self.posts.get_mut(held.account()).filter(|post| post.held.epoch() == held.epoch())
    }

    fn lose(&mut self, lost: &Lost) {
        match lost {
            Lost::Account(account) => drop(self.posts.remove(account)),
            Lost::Lane(lane) => self.work = self.work.take().filter(|work| work.lease.key() != lane),
            Lost::Turn(turn) => self.work = self.work.take().filter(|work| work.turn.turn != *turn),
        }
    }
}
