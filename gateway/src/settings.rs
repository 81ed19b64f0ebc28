//! The operator's configuration as the gateway uses it: read by itself, with secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use creel_config::disk::Disk;
use creel_config::found::OllamaAnswer;
use creel_config::scalar::Pattern;
use creel_config::store::{ClusterRole, StoreKind};
use creel_config::{Config, Env, Found, Loader, Overrides, Paths, discovered_providers};
use creel_ipc::msg::supervisor::GatewayConfig;
use regex::Regex;

use crate::blobs::Blobs;
use crate::store::{Claimant, Rank};

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file is wrong.
    #[error("{0}")]
    Load(#[from] creel_config::load::LoadError),
    /// A variable of the environment is wrong.
    #[error("{0}")]
    Variable(#[from] creel_config::overrides::BadVariable),
    /// There is nowhere to live.
    #[error("{0}")]
    Home(#[from] creel_config::paths::NoHome),
}

/// One generation of the configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The configuration.
    pub config: Config,
    /// Where everything lies.
    pub paths: Paths,
    /// The database.
    pub database: PathBuf,
    /// The machine's name, where nothing else is said.
    host: String,
    /// Files between workers.
    pub blobs: Blobs,
    /// The file that keeps a token which the gateway made itself.
    pub token_file: PathBuf,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Providers that were found at start.
    pub found: Found,
    patterns: BTreeMap<String, Regex>,
}

/// What the supervisor told the gateway about where to look.
#[derive(Debug, Clone)]
pub(crate) struct Whereabouts {
    home: PathBuf,
    /// The configuration file; it need not exist.
    pub config_file: PathBuf,
    state: PathBuf,
    host: Option<String>,
    env: Env,
}

impl From<&GatewayConfig> for Whereabouts {
    fn from(told: &GatewayConfig) -> Self {
        let env = told.env.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        Self {
            home: PathBuf::from(&told.home),
            config_file: PathBuf::from(&told.config_file),
            state: PathBuf::from(&told.state_dir),
            host: told.host.clone(),
            env: env.collect(),
        }
    }
}

impl Whereabouts {
    /// What a command of the operator knows, in whose environment this process is.
    pub(crate) fn of_command(home: PathBuf, config_file: PathBuf, state: PathBuf) -> Self {
        Self { home, config_file, state, host: None, env: creel_config::disk::environment() }
    }

    /// A variable of the supervisor's environment.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }
}

impl Settings {
    /// Reads the configuration that the supervisor applied.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn read(whereabouts: &Whereabouts) -> Result<Self, SettingsError> {
        let loaded = Loader::new(&Disk, &whereabouts.env).file(&whereabouts.config_file)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let mut config = loaded.config;
        Overrides::from_env(&whereabouts.env)?.apply(&mut config);
        Self::compose(config, whereabouts, loaded.files)
    }

    fn compose(
        config: Config,
        whereabouts: &Whereabouts,
        files: Vec<PathBuf>,
    ) -> Result<Self, SettingsError> {
        let overrides = Overrides {
            home: Some(whereabouts.home.clone()),
            config: Some(whereabouts.config_file.clone()),
            ..Overrides::default()
        };
        let paths = Paths::compose(&overrides, whereabouts.env.get("HOME").map(PathBuf::from), None)?;
        let database = config
            .store
            .path
            .as_deref()
            .map_or_else(|| whereabouts.state.join("creel.db"), |path: &Path| paths.expand(path));
        let patterns = compile(&config);
        Ok(Self {
            database,
            host: whereabouts.host.clone().unwrap_or_else(|| "localhost".to_owned()),
            blobs: Blobs::new(&whereabouts.state),
            token_file: whereabouts.state.join("gateway.token"),
            found: discovered_providers(&whereabouts.env, OllamaAnswer::noted(&whereabouts.env).as_ref()),
            config,
            paths,
            files,
            patterns,
        })
    }

    /// Settings of a configuration text, in a home that need not exist.
    #[cfg(test)]
    pub(crate) fn of_text(text: &str, home: &Path) -> Self {
        let whereabouts = Whereabouts {
            home: home.to_owned(),
            config_file: home.join("creel.json"),
            state: home.join("state"),
            host: None,
            env: Env::new(),
        };
        let loaded =
            Loader::new(&Disk, &whereabouts.env).text(text.to_owned(), &whereabouts.config_file).unwrap();
        Self::compose(loaded.config, &whereabouts, Vec::new()).unwrap()
    }

    /// How this life of the gateway claims.
    pub(crate) fn claimant(&self, life: impl ToString) -> Claimant {
        let cluster = &self.config.cluster;
        if self.config.store.kind == StoreKind::Sqlite {
            return Claimant::alone(life);
        }
        Claimant {
            life: life.to_string(),
            host: cluster.host.clone().unwrap_or_else(|| self.host.clone()),
            rank: match cluster.role {
                ClusterRole::Primary => Rank::Primary,
                ClusterRole::Secondary => Rank::Secondary,
                ClusterRole::Standby => Rank::Standby,
            },
            ttl: Duration::from_secs(u64::from(cluster.lease_seconds)),
        }
    }

    /// Whether one of the patterns is in the text, in any case.
    pub(crate) fn mentions(&self, patterns: &[Pattern], text: &str) -> bool {
        patterns.iter().any(|pattern| {
            self.patterns.get(pattern.as_str()).is_some_and(|expression| expression.is_match(text))
        })
    }
}

fn compile(config: &Config) -> BTreeMap<String, Regex> {
    let agents = config.agents();
    let accounts = config.channels.all();
    let all = config
        .messages
        .group_chat
        .mention_patterns
        .iter()
        .chain(agents.iter().flat_map(|agent| &agent.mention_patterns))
        .chain(accounts.iter().flat_map(|account| &account.common.mention_patterns));
    let mut compiled = BTreeMap::new();
    for pattern in all {
        let expression =
            regex::RegexBuilder::new(pattern.as_str()).case_insensitive(true).size_limit(1 << 20).build();
        match expression {
            Ok(expression) => {
                compiled.insert(pattern.as_str().to_owned(), expression);
            }
            Err(error) => tracing::warn!(
                "The mention pattern \"{}\" is left out: {error}. Write a smaller one.",
                pattern.as_str()
            ),
        }
    }
    compiled
}
