//! Time, the network, and what goes wrong.

use super::*;

const GATEWAYS: usize = 3;
/// The longest way of a call or of its answer. A quarter of a lease is far longer.
const SLOWEST_MS: u64 = 120;

#[derive(Debug)]
enum Event {
    /// Somebody writes.
    Write(String, Box<NewMessage>),
    /// A gateway has a moment.
    Tick { node: usize, life: u64 },
    /// A call arrives at the store.
    Arrive { node: usize, life: u64, asked: u64, ask: Ask },
    /// An answer arrives at its gateway.
    Hear { node: usize, life: u64, asked: u64, answer: Answer },
    /// Something goes wrong.
    Fault,
    /// A gateway is started again.
    Start { node: usize },
}

/// A gateway with its surroundings.
#[derive(Debug)]
struct Place {
    node: Node,
    life: u64,
    up: bool,
    /// Nothing gets in or out before.
    cut_until: u64,
    /// It does nothing before.
    paused_until: u64,
}

#[derive(Debug)]
pub(super) struct World {
    now: u64,
    dice: Dice,
    care: Care,
    store: Memory,
    events: BTreeMap<(u64, u64), Event>,
    numbered: u64,
    places: Vec<Place>,
    outside: Outside,
    verdict: Verdict,
}

impl World {
    pub(super) fn new(seed: u64, care: Care) -> Self {
        let mut dice = Dice(seed);
        let places = (0..GATEWAYS)
            .map(|host| Place {
                node: Node::new(host, 0, care, dice.between(920, 1_080)),
                life: 0,
                up: true,
                cut_until: 0,
                paused_until: 0,
            })
            .collect();
        let mut world = Self {
            now: 0,
            dice,
            care,
            store: Memory::new(care.rules),
            events: BTreeMap::new(),
            numbered: 0,
            places,
            outside: Outside::default(),
            verdict: Verdict::default(),
        };
        for node in 0..GATEWAYS {
            world.later(0, 100, Event::Tick { node, life: 0 });
        }
        for n in 0..MESSAGES {
            let (account, message) = say(n, &mut world.dice);
            let at = n * STORM_MS / MESSAGES;
            world.later(at, at + 1, Event::Write(account, Box::new(message)));
        }
        world.later(500, 2_000, Event::Fault);
        world
    }

    /// At some moment between `low` and `high` milliseconds from now.
    fn later(&mut self, low: u64, high: u64, event: Event) {
        self.numbered += 1;
        let at = self.now + self.dice.between(low, high);
        self.events.insert((at, self.numbered), event);
    }

    pub(super) fn run(mut self) -> Verdict {
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.store.pass(Duration::from_millis(at - self.now));
            self.now = at;
            if self.now > STORM_MS + CALM_MS {
                break;
            }
            self.happen(event);
            if self.now > STORM_MS && self.is_over() {
                break;
            }
        }
        self.verdict.judge(&mut self.store, self.outside);
        self.verdict
    }

    fn is_over(&mut self) -> bool {
        let open = |row: &Outbound| row.state == crate::hub::OutboxState::Queued;
        self.outside.all_are_acknowledged()
            && self
                .places
                .iter()
                .all(|place| self.store.open_lanes(&place.node.who).is_ok_and(|lanes| lanes.is_empty()))
            && self.store.leases().is_ok_and(|leases| leases.iter().all(|lease| lease.what.is_account()))
            && self.store.outbox(u32::MAX).is_ok_and(|rows| !rows.iter().any(open))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Write(account, message) => self.outside.write(account, *message),
            Event::Tick { node, life } => {
                if let Some(until) = self.asleep(node, life) {
                    return self.wake_at(until, Event::Tick { node, life });
                }
                if self.places[node].life == life {
                    let asks = self.places[node].node.tick(self.now, &mut self.outside, &mut self.dice);
                    self.send(node, asks);
                    self.later(80, 220, Event::Tick { node, life });
                }
            }
            Event::Arrive { node, life, asked, ask } => {
                let answer = self.obey(ask);
                if self.now >= self.places[node].cut_until {
                    self.later(1, SLOWEST_MS, Event::Hear { node, life, asked, answer });
                }
            }
            Event::Hear { node, life, asked, answer } => {
                if let Some(until) = self.asleep(node, life) {
                    return self.wake_at(until, Event::Hear { node, life, asked, answer });
                }
                if self.places[node].life == life && self.now >= self.places[node].cut_until {
                    let place = &mut self.places[node].node;
                    let asks = place.hear(asked, self.now, answer, &mut self.outside, &mut self.dice);
                    self.send(node, asks);
                }
            }
            Event::Fault => self.fail(),
            Event::Start { node } => {
                let pace = self.dice.between(920, 1_080);
                let place = &mut self.places[node];
                place.up = true;
                place.node = Node::new(node, place.life, self.care, pace);
                let life = place.life;
                self.later(0, 100, Event::Tick { node, life });
            }
        }
    }

    /// Until when a gateway does not run that lives on.
    fn asleep(&self, node: usize, life: u64) -> Option<u64> {
        let place = &self.places[node];
        (place.life == life && self.now < place.paused_until).then_some(place.paused_until)
    }

    fn wake_at(&mut self, at: u64, event: Event) {
        self.numbered += 1;
        self.events.insert((at, self.numbered), event);
    }

    fn send(&mut self, node: usize, asks: Vec<Ask>) {
        let place = &self.places[node];
        if self.now < place.cut_until {
            return;
        }
        let (life, asked) = (place.life, self.now);
        for ask in asks {
            self.later(1, SLOWEST_MS, Event::Arrive { node, life, asked, ask });
        }
    }

    fn fail(&mut self) {
        if self.now > STORM_MS {
            return;
        }
        let node = self.dice.between(0, GATEWAYS as u64) as usize;
        let long = self.dice.between(100, 6_000);
        let until = (self.now + long).min(STORM_MS);
        match self.dice.between(0, 3) {
            0 => self.places[node].paused_until = until,
            1 => self.places[node].cut_until = until,
            _ if self.places[node].up => {
                self.places[node].up = false;
                self.places[node].life += 1;
                // What it had sent is still on its way.
                self.later(1, long, Event::Start { node });
            }
            _ => {}
        }
        self.later(300, 2_000, Event::Fault);
    }

    /// What the store says.
    fn obey(&mut self, ask: Ask) -> Answer {
        let answered = match ask {
            Ask::ClaimAccount(who, account) => self.store.claim_account(&who, &account).map(|held| {
                self.verdict.takeovers += u64::from(held.as_ref().is_some_and(|held| held.epoch() > 1));
                Answer::Account(held)
            }),
            Ask::Renew(who, accounts, lanes) => {
                self.store.renew(&who, &accounts, &lanes).map(Answer::Renewed)
            }
            Ask::Accept(own, message) => {
                self.store.accept(&own, &message).map(|_| Answer::Accepted(own, message.ext_id))
            }
            Ask::Orphans(own) => self.store.orphan_attempts(&own, None).map(|_| Answer::Ready(own)),
            Ask::Outbound(own) => self
                .store
                .open_outbound(&own, 1)
                .map(|rows| Answer::Outbound(own, rows.into_iter().next().map(|row| row.what.key))),
            Ask::Attempt(own, key) => {
                self.store.attempt(&own, &key, own.epoch()).map(|begun| Answer::Attempted(own, key, begun))
            }
            Ask::Settle(own, key) => {
                self.store.settle(&own, &key, &Settled::Sent { now_ms: 0 }).map(|()| Answer::Settled(key))
            }
            Ask::OpenLanes(who) => self.store.open_lanes(&who).map(Answer::Lanes),
            Ask::ClaimLane(claim) => {
                self.store.claim_lane(&claim).map(|claimed| Answer::Lane(claimed.map(Box::new)))
            }
            Ask::BeginStep(turn) => {
                let step = NewStep {
                    step: 0,
                    name: "exec".into(),
                    call_id: "c".into(),
                    arguments: serde_json::Value::Null,
                };
                self.store.begin_step(&turn, &step).map(|begun| Answer::Step(turn, begun))
            }
            Ask::EndStep(turn) => {
                let entry = Entry::ToolResult {
                    tool_call_id: "c".into(),
                    tool_name: "exec".into(),
                    content: vec![Block::text("done")],
                    is_error: false,
                    timestamp: 0,
                };
                self.store.end_step(&turn, 0, &entry).map(|()| Answer::StepDone(turn))
            }
            Ask::Finish(turn) => {
                let finish = Finish {
                    outcome: TurnOutcome::Done,
                    error: None,
                    replies: vec![Reply { text: "yes".into(), attachments: Vec::new() }],
                    usage: Usage::default(),
                    parked: false,
                    now_ms: 0,
                };
                self.store.finish_turn(&turn, &finish).map(|_| Answer::Finished(turn))
            }
        };
        answered.unwrap_or_else(|error| match error {
            StoreError::Fenced(lost) => {
                self.verdict.refused += 1;
                Answer::Refused(lost)
            }
            other => panic!("{other}"),
        })
    }
}
