//! Creel's channel worker for platforms that are JSON over HTTPS, and IRC.
//!
//! One process serves one account; the gateway says which in `welcome`.

#![forbid(unsafe_code)]

mod dial;
mod http;
pub mod irc;
mod settings;
mod start;
pub mod telegram;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;

use creel_channel_core::Account;
use creel_ipc::msg::channel::ChannelConfig;
use creel_ipc::{ErrorClass, RpcError};

pub use irc::{Irc, IrcPace};
pub use start::main;
pub use telegram::{Pace, Telegram};

/// What the worker finds around itself, read once at its start.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The way out, such as `http://127.0.0.1:4000`; without one the worker connects directly.
    pub proxy: Option<String>,
    /// Where files are exchanged: `in/` and `out/`.
    pub blobs: Option<PathBuf>,
    /// Certificates (DER) that are trusted besides the system's.
    pub roots: Vec<Vec<u8>>,
}

impl Surroundings {
    /// As the environment says: `HTTPS_PROXY` and `CREEL_BLOB_DIR`.
    pub fn from_env() -> Self {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            proxy: given("HTTPS_PROXY"),
            blobs: given("CREEL_BLOB_DIR").map(PathBuf::from),
            roots: Vec::new(),
        }
    }
}

/// Opens the account that the configuration describes.
///
/// # Errors
/// With class `config_fatal`: what is missing or wrong, and what to write.
pub fn open(config: &ChannelConfig, around: &Surroundings) -> Result<Arc<dyn Account>, RpcError> {
    match config.channel.as_str() {
        "telegram" => Ok(Arc::new(Telegram::open(config, around, Pace::default())?)),
        "irc" => Ok(Arc::new(Irc::open(config, around, IrcPace::default())?)),
        other => {
            let sentence = format!("This worker knows no channel `{other}`; it knows telegram and irc.");
            Err(RpcError::new(ErrorClass::ConfigFatal, sentence))
        }
    }
}
