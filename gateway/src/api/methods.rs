//! The methods, one file a noun.

pub(crate) mod agent;
pub(crate) mod approvals;
pub(crate) mod catalog;
pub(crate) mod channels;
pub(crate) mod chat;
pub(crate) mod cluster;
pub(crate) mod health;
pub(crate) mod inbox;
pub(crate) mod operate;
pub(crate) mod outbox;
pub(crate) mod pairing;
pub(crate) mod presence;
pub(crate) mod session_orders;
pub(crate) mod sessions;
pub(crate) mod transcripts;

use super::method::Method;

/// All of them.
pub(crate) const ALL: &[&[Method]] = &[
    health::METHODS,
    presence::METHODS,
    chat::METHODS,
    agent::METHODS,
    sessions::METHODS,
    session_orders::METHODS,
    channels::METHODS,
    pairing::METHODS,
    outbox::METHODS,
    inbox::METHODS,
    approvals::METHODS,
    cluster::METHODS,
    transcripts::METHODS,
    operate::METHODS,
    catalog::METHODS,
];
