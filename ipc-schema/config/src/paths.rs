//! Where everything lies.

use std::path::{Path, PathBuf};

use crate::Env;
use crate::config::{Config, ResolvedAgent};
use crate::overrides::Overrides;

/// The folders and files of one home.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Paths {
    /// The home: `CREEL_HOME`, else `~/.creel`.
    pub home: PathBuf,
    /// The user's own home, for `~/` in the configuration.
    pub user_home: PathBuf,
    /// The configuration file: `CREEL_CONFIG`, else `creel.json` in the home.
    pub config: PathBuf,
    /// What lives as long as the process: the control socket and the lock.
    pub runtime: PathBuf,
}

/// Neither `CREEL_HOME` nor a home folder of this user is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("There is no home folder for Creel, because this user has none; set CREEL_HOME to an absolute path.")]
pub struct NoHome;

impl Paths {
    /// Finds the folders of this user.
    ///
    /// # Errors
    /// When there is no home folder at all.
    pub fn find(overrides: &Overrides, env: &Env) -> Result<Self, NoHome> {
        let base = directories::BaseDirs::new();
        let user_home = base
            .as_ref()
            .map(|dirs| dirs.home_dir().to_owned())
            .or_else(|| env.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from));
        let runtime = base.as_ref().and_then(|dirs| dirs.runtime_dir()).map(Path::to_owned);
        let mut paths = Self::compose(overrides, user_home, runtime)?;
        for path in [&mut paths.home, &mut paths.config, &mut paths.runtime] {
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
        if overrides.config.is_none() {
            paths.config = crate::disk::config_file(&paths.home);
        }
        Ok(paths)
    }

    /// Those of the service of this machine.
    pub fn system() -> Self {
        let home = PathBuf::from("/var/lib/creel");
        Self {
            user_home: home.clone(),
            home,
            config: PathBuf::from("/etc/creel/creel.json"),
            runtime: PathBuf::from("/run/creel"),
        }
    }

    /// The same from given folders, without looking at the machine.
    ///
    /// # Errors
    /// When there is no home folder at all.
    pub fn compose(
        overrides: &Overrides,
        user_home: Option<PathBuf>,
        runtime: Option<PathBuf>,
    ) -> Result<Self, NoHome> {
        let home = match (&overrides.home, &user_home) {
            (Some(home), _) => home.clone(),
            (None, Some(user)) => user.join(".creel"),
            (None, None) => return Err(NoHome),
        };
        // A home of its own gets a runtime folder of its own, so that two homes of one user never meet.
        let runtime = match (&overrides.runtime, &overrides.home, runtime) {
            (Some(given), ..) => given.clone(),
            (None, None, Some(user)) => user.join("creel"),
            _ => home.join("run"),
        };
        let config = overrides.config.clone().unwrap_or_else(|| home.join("creel.json"));
        let user_home = user_home.unwrap_or_else(|| home.clone());
        Ok(Self { home, user_home, config, runtime })
    }

    /// The gateway's durable state.
    pub fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// The database.
    pub fn database(&self, config: &Config) -> PathBuf {
        config.store.path.as_deref().map_or_else(|| self.state().join("creel.db"), |path| self.expand(path))
    }

    /// The gateway's token, when the configuration holds none.
    pub fn token(&self) -> PathBuf {
        self.state().join("gateway.token")
    }

    /// What commands left in workspaces and the host must not obey. Not below the state, which is the gateway's.
    pub fn quarantine(&self) -> PathBuf {
        self.home.join("quarantine")
    }

    /// The homes of tool runs.
    pub fn sandboxes(&self) -> PathBuf {
        self.home.join("sandboxes")
    }

    /// The logs of all units.
    pub fn logs(&self) -> PathBuf {
        self.home.join("logs")
    }

    /// The log of one unit, by the unit's name.
    pub fn log(&self, unit: &str) -> PathBuf {
        self.logs().join(format!("{unit}.log"))
    }

    /// The control socket.
    pub fn control(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// The lock that keeps a second supervisor out.
    pub fn lock(&self) -> PathBuf {
        self.runtime.join("creel.lock")
    }

    /// The folder of one agent's own files that are no workspace.
    pub fn agent_dir(&self, id: &str) -> PathBuf {
        self.home.join("agents").join(id)
    }

    /// The workspace of an agent: as written, else `workspace` for `main` and `workspace-<id>` for others.
    pub fn workspace(&self, agent: &ResolvedAgent) -> PathBuf {
        match &agent.workspace {
            Some(written) => self.expand(written),
            None if agent.id.as_str() == "main" => self.home.join("workspace"),
            None => self.home.join(format!("workspace-{}", agent.id)),
        }
    }

    /// A path from the configuration: `~/` is the user's home, a relative path counts from Creel's home.
    pub fn expand(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(rest) if rest.as_os_str().is_empty() => self.user_home.clone(),
            Ok(rest) => self.user_home.join(rest),
            Err(_) => self.home.join(path),
        }
    }
}
