//! What every store must do, in the same words for each.

use creel_ipc::msg::agent::{InputMessage, Reply, StepBegun, TurnOutcome, TurnRef};
use creel_ipc::msg::channel::{ChatKind, Route};
use creel_ipc::msg::transcript::{Block, Entry, Usage};

use super::*;
use crate::hub::OutboxState;

mod intake;
mod leases;
mod operator;
mod outbound;
mod questions;
mod reads;
mod search;
mod sessions;
mod turns;

use intake::*;
use leases::*;
use operator::*;
use outbound::*;
use questions::*;
use reads::*;
use search::*;
use sessions::*;
use turns::*;

const ACCOUNT: &str = "telegram:default";
const LANE: &str = "agent:main:telegram:direct:7";

/// Makes empty stores of one kind, one for each test.
trait Maker {
    fn empty(&mut self) -> Box<dyn Store>;
}

struct InMemory;

impl Maker for InMemory {
    fn empty(&mut self) -> Box<dyn Store> {
        Box::new(Memory::new(Rules::KEPT))
    }
}

struct InFile(tempfile::TempDir);

impl Maker for InFile {
    fn empty(&mut self) -> Box<dyn Store> {
        Box::new(Sqlite::open(&self.0.path().join("creel.db"), Rules::KEPT).unwrap())
    }
}

/// One server for all cases, as starting one takes longer than any of them.
struct OnServer(crate::store::postgres::Server);

impl Maker for OnServer {
    fn empty(&mut self) -> Box<dyn Store> {
        Box::new(self.0.emptied())
    }
}

/// Runs each test on each store, by the store's [`Maker`].
macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        conformance!(@ memory, super::InMemory, $($name),*);
        conformance!(@ sqlite, super::InFile(tempfile::tempdir().unwrap()), $($name),*);
        mod postgres {
            use super::Maker as _;
            #[test]
            fn every_case_holds() {
                let mut maker = super::OnServer(crate::store::postgres::Server::start());
                $(
                    // The last name is that of the case that fails.
                    eprintln!("postgres: {}", stringify!($name));
                    super::$name(&mut *maker.empty());
                )*
            }
        }
    };
    (@ $store:ident, $maker:expr, $($name:ident),*) => {
        mod $store {
            use super::Maker as _;
            $(#[test]
            fn $name() {
                let mut maker = $maker;
                super::$name(&mut *maker.empty());
            })*
        }
    };
}

conformance!(
    a_message_is_stored_once,
    a_former_holder_of_an_account_is_fenced,
    a_lane_is_taken_in_order_and_by_place,
    messages_with_a_run_of_their_own_stay_alone,
    context_comes_with_the_next_message_and_is_bounded,
    a_claim_raises_the_epoch_and_fences_the_life_before,
    a_step_is_journalled_before_and_after,
    falls_are_those_at_one_place_and_no_claim_is_one,
    the_end_of_a_turn_is_one_thing,
    an_adopted_turn_keeps_its_epoch,
    a_session_begins_afresh_by_word_and_by_age,
    pages_hold_half_a_frame_and_miss_nothing,
    the_outbox_gives_each_chat_its_first_row,
    attempts_belong_to_an_incarnation,
    a_settled_row_stays_settled,
    a_wait_that_the_platform_asks_for_is_the_accounts_whoever_holds_it,
    codes_let_in_once,
    runs_are_found_before_during_and_after,
    sessions_are_listed_and_filtered,
    what_is_over_is_forgotten_in_time_and_nothing_else,
    an_account_is_one_hosts_at_a_time,
    a_successor_on_the_same_host_waits_for_nobody,
    the_rank_says_who_is_first,
    what_was_lost_is_named_when_it_is_renewed,
    a_holder_that_is_late_but_not_replaced_goes_on,
    a_lane_is_one_hosts_at_a_time,
    an_idle_lane_is_anybodys,
    an_adopted_turn_takes_its_lane_along,
    claims_are_listed,
    what_was_set_aside_stays_until_somebody_decides,
    a_run_is_as_its_newest_turn_says,
    what_was_not_said_is_said_again_only_by_wish,
    a_session_from_a_file_is_taken_in_once,
    what_was_said_is_found_newest_first,
    a_session_that_began_afresh_is_still_found,
    settings_stay_and_come_with_the_turn,
    a_session_ends_only_when_nothing_goes_on_in_it,
    transcripts_that_nobody_has_are_forgotten_in_time,
    the_channel_of_the_next_message_decides_where_a_lane_names_none,
    a_session_may_have_a_queue_of_its_own,
    a_question_is_asked_once_and_its_answer_stays,
    doing_it_again_is_allowed_once,
    who_wrote_what_is_answered_may_decide_and_nobody_else,
    without_an_answer_it_is_decided_in_time,
    a_silent_session_is_asked_where_the_operator_looks,
);

/// A life of the only gateway.
fn gateway(life: &str) -> Claimant {
    Claimant::alone(life)
}

fn hold(store: &mut dyn Store, life: &str, account: &str) -> Held {
    store.claim_account(&gateway(life), account).unwrap().unwrap()
}

fn route(chat: &str) -> Route {
    Route { chat_id: chat.into(), kind: ChatKind::Direct, thread: None, reply_to: None, addressee: None }
}

fn placed(text: &str) -> Placed {
    Placed {
        lane: LANE.into(),
        agent: "main".into(),
        kind: "direct".into(),
        title: Some("Seven".into()),
        session_id: "s1".into(),
        run: None,
        resets: false,
        route: Some(route("7")),
        input: InputMessage {
            text: text.into(),
            sender: None,
            author: None,
            context_only: false,
            quoted: None,
            attachments: Vec::new(),
            at_ms: 5,
        },
    }
}

fn message(ext_id: &str, fate: Fate) -> NewMessage {
    NewMessage { ext_id: ext_id.into(), cursor: Some(format!("c-{ext_id}")), now_ms: 100, fate }
}

fn say(store: &mut dyn Store, own: &Held, text: &str) -> Accepted {
    store.accept(own, &message(text, Fate::Turn(placed(text)))).unwrap()
}

fn claim(turn: &str, merge: bool) -> LaneClaim {
    LaneClaim {
        who: gateway("g"),
        lane: LANE.into(),
        turn: turn.into(),
        merge,
        fresh_id: format!("fresh-{turn}"),
        stale_before_ms: i64::MIN,
        by_channel: Vec::new(),
        now_ms: 200,
    }
}

fn texts(claimed: &Claimed) -> Vec<&str> {
    claimed.input.iter().map(|input| input.text.as_str()).collect()
}

fn finish(replies: &[&str]) -> Finish {
    Finish {
        outcome: TurnOutcome::Done,
        error: None,
        replies: replies.iter().map(|text| Reply { text: (*text).into(), attachments: Vec::new() }).collect(),
        usage: Usage { input: 3, ..Usage::default() },
        parked: false,
        now_ms: 300,
    }
}

fn step(number: u32) -> NewStep {
    NewStep { step: number, name: "exec".into(), call_id: "c".into(), arguments: serde_json::json!({}) }
}

fn result(text: &str) -> Entry {
    Entry::ToolResult {
        tool_call_id: "c".into(),
        tool_name: "exec".into(),
        content: vec![Block::text(text)],
        is_error: false,
        timestamp: 1,
    }
}

fn outbound(key: &str, chat: &str) -> NewOutbound {
    NewOutbound {
        key: key.into(),
        account: ACCOUNT.into(),
        route: route(chat),
        text: key.into(),
        attachments: Vec::new(),
        draft: None,
        run: None,
        agent: None,
        now_ms: 100,
    }
}

fn keys(rows: &[Outbound]) -> Vec<&str> {
    rows.iter().map(|row| row.what.key.as_str()).collect()
}
