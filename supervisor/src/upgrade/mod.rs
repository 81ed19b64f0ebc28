//! Another version in place of this one, without a worker noticing.
//!
//! The supervisor runs on one thread, and between two steps of its tasks everything it knows is in the tree. So there is
//! no handshake between an old and a new process: at a quiet moment the state is written to a sealed memory file
//! ([`Carried`]), every descriptor is lent ([`Baggage`]), and the main thread becomes the new program ([`Image`]). That
//! one takes everything over ([`arrival`]) and goes back to the old program if it cannot.

pub mod arrival;
pub mod baggage;
pub mod carried;
pub mod check;
pub mod image;
pub mod marker;
pub mod octets;

pub use baggage::{Baggage, Lent};
pub use carried::Carried;
pub use image::Image;

/// Why an upgrade comes to nothing.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// There is no such program.
    #[error("The new program {path} cannot be opened: {error}. Nothing was changed.")]
    Open {
        /// Its path.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It does not run at all.
    #[error("The new program {path} cannot be run: {error}. Nothing was changed.")]
    Run {
        /// Its path.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It looked at the state and refused it.
    #[error("The new program {path} refused ({how}): {words} Nothing was changed.")]
    Refused {
        /// Its path.
        path: String,
        /// How it ended.
        how: String,
        /// What it said.
        words: String,
    },
    /// It came to no answer.
    #[error("The new program {path} did not answer within {seconds} s. Nothing was changed.")]
    Silent {
        /// Its path.
        path: String,
        /// How long it was given.
        seconds: u64,
    },
    /// The state cannot be handed over.
    #[error("The state cannot be handed to another program: {0}. Nothing was changed.")]
    Pack(#[from] std::io::Error),
    /// The state is of another format.
    #[error("The state has the format {found}; this is Creel {version}, which reads the format {known}.")]
    Format {
        /// The format.
        found: u32,
        /// What this program reads.
        known: u32,
        /// This program's version.
        version: &'static str,
    },
    /// The state makes no sense.
    #[error("The state cannot be read: {0}.")]
    Unreadable(String),
    /// It would not work with what is on this machine.
    #[error("It would not work here: {0}.")]
    Unfit(String),
}

/// Nanoseconds on the clock that all programs of this machine share and nobody can set.
pub fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}
