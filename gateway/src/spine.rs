//! The way of a message, on real links: a gateway in a runtime of its own, and scripted workers around it.

mod delivery;
mod drain;
mod kit;
mod pairing;
mod recovery;
mod storm;
mod tools;
mod turns;
