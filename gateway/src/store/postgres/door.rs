//! A way into the database for who is no gateway: one connection, without a store before it.

use tokio::runtime::Runtime;

pub(in crate::store) use super::link::Link;
use super::{Kept, Promise, Reach, durability, schema};

/// Connects, to a server that can keep the promise. Nothing is changed.
///
/// # Errors
/// What a store would say that is opened there.
pub(in crate::store) fn enter(rt: &Runtime, reach: &Reach, promise: Promise) -> Kept<Link> {
    let link = Link::open(rt, reach)?;
    let name = reach.name();
    durability::check(rt, &link, &name, promise)?;
    schema::check_server(rt, &link, &name)?;
    Ok(link)
}

/// Which schema the database has (0: none), and which it should have.
pub(in crate::store) fn schemas(rt: &Runtime, link: &Link, name: &str) -> Kept<(usize, usize)> {
    Ok((schema::standing(rt, link, name, schema::STEPS)?, schema::STEPS.len()))
}

/// Within a transaction: keeps gateways from laying out the tables at the same time.
pub(in crate::store) fn bar(rt: &Runtime, link: &Link) -> Kept<()> {
    link.say(rt, &format!("SELECT pg_advisory_xact_lock({})", schema::LOCK))
}

/// Within a transaction: today's tables, without anything in them, whatever was there.
pub(in crate::store) fn lay_out_anew(rt: &Runtime, link: &Link) -> Kept<()> {
    link.say(rt, "DROP SCHEMA IF EXISTS creel CASCADE")?;
    schema::lay_out(rt, link, schema::STEPS, 0)
}
