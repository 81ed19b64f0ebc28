//! What stands above the file: flags, then the environment.

use std::path::PathBuf;

use creel_ipc::Secret;

use crate::Env;
use crate::config::Config;
use crate::gateway::AuthMode;

/// Values that win over the file. [`Overrides::from_env`] fills one from the environment; flags go over it
/// with [`Overrides::over`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// The home folder (`--home`, CREEL_HOME).
    pub home: Option<PathBuf>,
    /// The configuration file (`--config`, CREEL_CONFIG).
    pub config: Option<PathBuf>,
    /// The runtime folder (CREEL_RUNTIME_DIR).
    pub runtime: Option<PathBuf>,
    /// The gateway's port (`--port`, CREEL_GATEWAY_PORT, OPENCLAW_GATEWAY_PORT).
    pub port: Option<u16>,
    /// The gateway's token (CREEL_GATEWAY_TOKEN, OPENCLAW_GATEWAY_TOKEN). Never a flag: flags can be read by others.
    pub token: Option<Secret>,
}

/// A variable that has no usable value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "The environment variable {name} is \"{value}\", which is no port; set it to a number from 1 to 65535 or unset it."
)]
pub struct BadVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Overrides {
    /// What the environment says. Creel's own names win over OpenClaw's; empty values count as unset.
    ///
    /// # Errors
    /// A port that is none.
    pub fn from_env(env: &Env) -> Result<Self, BadVariable> {
        let first = |names: &[&'static str]| {
            names
                .iter()
                .find_map(|name| env.get(*name).filter(|v| !v.is_empty()).map(|value| (*name, value.clone())))
        };
        let path = |name: &'static str| first(&[name]).map(|(_, value)| PathBuf::from(value));
        let port = match first(&["CREEL_GATEWAY_PORT", "OPENCLAW_GATEWAY_PORT"]) {
            None => None,
            Some((name, value)) => match value.trim().parse::<u16>() {
                Ok(port) if port > 0 => Some(port),
                _ => return Err(BadVariable { name: name.to_owned(), value }),
            },
        };
        Ok(Self {
            home: path("CREEL_HOME"),
            config: path("CREEL_CONFIG"),
            runtime: path("CREEL_RUNTIME_DIR"),
            port,
            token: first(&["CREEL_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_TOKEN"])
                .map(|(_, value)| Secret::new(value)),
        })
    }

    /// These values, and those of `beneath` where these are silent.
    #[must_use]
    pub fn over(self, beneath: Self) -> Self {
        Self {
            home: self.home.or(beneath.home),
            config: self.config.or(beneath.config),
            runtime: self.runtime.or(beneath.runtime),
            port: self.port.or(beneath.port),
            token: self.token.or(beneath.token),
        }
    }

    /// Puts the values over the file's.
    pub fn apply(&self, config: &mut Config) {
        if let Some(port) = self.port {
            config.gateway.port = port;
        }
        if let Some(token) = &self.token {
            config.gateway.auth.mode = AuthMode::Token;
            config.gateway.auth.token = Some(token.clone());
        }
    }
}
