//! Lanes: one turn at a time in each session, several sessions of an agent at once.

mod scheduler;
mod table;
mod turn;

pub(crate) use scheduler::schedule;
pub(crate) use table::LaneTable;
pub(crate) use turn::{Running, Signal, adopted, announce, claim_of, register, run_claimed, run_lane};
