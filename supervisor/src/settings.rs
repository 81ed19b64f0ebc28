//! The configuration as the supervisor uses it: a plan without secrets, and the last one that worked.

use std::path::{Path, PathBuf};

use creel_config::disk::{self, Disk};
use creel_config::found::OllamaAnswer;
use creel_config::operation::{LogLevel, SystemJournal};
use creel_config::{Complaint, Env, LoadError, Loader, Overrides, Paths, Plan, discovered_providers};

use crate::logs::LogRules;

/// Where the configuration comes from; does not change while the supervisor lives.
#[derive(Debug, Clone)]
pub struct Source {
    /// The folders.
    pub paths: Paths,
    /// Flags and environment variables that win over the file.
    pub overrides: Overrides,
    /// The environment that the supervisor was started with.
    pub env: Env,
}

/// One configuration that was found right.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The units.
    pub plan: Plan,
    /// Log files.
    pub logs: LogRules,
    /// What is logged.
    pub log_level: LogLevel,
    /// The file it was read from: the operator's, or the last good copy.
    pub file: PathBuf,
    /// What is allowed and yet worth a word.
    pub warnings: Vec<Complaint>,
}

impl Source {
    /// Reads and checks the operator's file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(&self) -> Result<Settings, LoadError> {
        self.read_file(&self.paths.config)
    }

    /// Reads the copy of the last configuration that was applied; `None` when there is none or it is of no use.
    pub fn read_last_good(&self) -> Option<Settings> {
        let copy = self.last_good();
        copy.exists().then(|| self.read_file(&copy).ok()).flatten()
    }

    /// Reads the configuration that is in force, as the program before this one applied it: the copy, for the operator's
    /// file may have been edited since. Where there is no copy it is that file. `file` is what the gateway reads.
    ///
    /// # Errors
    /// Everything that this version finds wrong with it.
    pub fn read_applied(&self, file: &Path) -> Result<Settings, LoadError> {
        let copy = self.last_good();
        let mut settings = if copy.exists() { self.read_file(&copy)? } else { self.read()? };
        file.clone_into(&mut settings.file);
        settings.warnings.clear();
        Ok(settings)
    }

    fn read_file(&self, file: &Path) -> Result<Settings, LoadError> {
        let loaded = Loader::without_secrets(&Disk, &self.env).file(file)?;
        let mut config = loaded.config;
        self.overrides.apply(&mut config);
        let found = discovered_providers(&self.env, OllamaAnswer::noted(&self.env).as_ref()).without_keys();
        Ok(Settings {
            plan: config.plan(&self.paths, &found),
            logs: LogRules {
                max_bytes: config.logging.max_file_bytes.0,
                keep: config.logging.max_files,
                journal: config.logging.journal == SystemJournal::Auto,
            },
            log_level: config.logging.level,
            file: file.to_owned(),
            warnings: loaded.warnings,
        })
    }

    /// Keeps a copy of the operator's file as it is now. A configuration that includes others cannot be kept in one
    /// file; then there is no copy.
    ///
    /// # Errors
    /// What the system said.
    pub fn keep_last_good(&self) -> std::io::Result<()> {
        let copy = self.last_good();
        let text = match std::fs::read_to_string(&self.paths.config) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        if text.contains("$include") {
            return match std::fs::remove_file(&copy) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        if std::fs::read_to_string(&copy).is_ok_and(|kept| kept == text) {
            return Ok(());
        }
        disk::replace(&copy, &text)
    }

    /// Beside the database, with the extension that decides how it is read.
    fn last_good(&self) -> PathBuf {
        let toml = self.paths.config.extension().is_some_and(|extension| extension == "toml");
        self.paths.state().join(if toml { "last-good.toml" } else { "last-good.json" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(home: &Path) -> Source {
        let overrides = Overrides { home: Some(home.to_owned()), ..Overrides::default() };
        let paths = Paths::compose(&overrides, None, None).unwrap();
        std::fs::create_dir_all(paths.state()).unwrap();
        Source { paths, overrides, env: Env::new() }
    }

    #[test]
    fn the_last_good_copy_outlives_a_bad_edit() {
        let home = tempfile::tempdir().unwrap();
        let source = source(home.path());
        std::fs::write(&source.paths.config, "{gateway: {port: 20001}}").unwrap();
        source.read().unwrap();
        source.keep_last_good().unwrap();
        std::fs::write(&source.paths.config, "{gateway: {prot: 20001}}").unwrap();
        assert!(source.read().is_err());
        let last = source.read_last_good().unwrap();
        assert_eq!(last.plan.units.len(), 3);
        assert!(last.file.ends_with("state/last-good.json"));
    }
}
