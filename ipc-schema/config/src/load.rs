//! From text to a checked configuration.

use std::path::{Path, PathBuf};

use crate::Env;
use crate::check::check;
use crate::config::Config;
use crate::fault::{Complaint, Complaints};
use crate::files::Files;
use crate::node::Node;
use crate::paths::Paths;
use crate::shape::{Reading, Shape};
use crate::sources::Sources;
use crate::substitute::substitute;
use crate::{include, toml_text};

/// Reads configurations. Whoever needs no secrets says so, and gets none.
#[derive(Clone, Copy)]
pub struct Loader<'a> {
    files: &'a dyn Files,
    env: &'a Env,
    keep_secrets: bool,
    paths: Option<&'a Paths>,
}

/// A configuration that was read and found right.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is allowed and yet worth a word.
    pub warnings: Vec<Complaint>,
    /// The main file and every included one: what has to be watched. Empty when there is no file.
    pub files: Vec<PathBuf>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is there and cannot be read.
    #[error(
        "The configuration file {path} cannot be read: {error}. Make it readable for this user, or name another with CREEL_CONFIG."
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file says things that are wrong.
    #[error(transparent)]
    Wrong(#[from] Complaints),
}

impl<'a> Loader<'a> {
    /// A loader that keeps secrets: for the gateway.
    pub fn new(files: &'a dyn Files, env: &'a Env) -> Self {
        Self { files, env, keep_secrets: true, paths: None }
    }

    /// A loader that checks secrets for their shape and drops them: for everybody else.
    pub fn without_secrets(files: &'a dyn Files, env: &'a Env) -> Self {
        Self { files, env, keep_secrets: false, paths: None }
    }

    /// Also refuses workspaces that would show an agent Creel's own files.
    #[must_use]
    pub fn within(self, paths: &'a Paths) -> Self {
        Self { paths: Some(paths), ..self }
    }

    /// Reads a file. A missing file is the default configuration.
    ///
    /// # Errors
    /// When the file cannot be read, or everything that is wrong in it.
    pub fn file(&self, path: &Path) -> Result<Loaded, LoadError> {
        match self.files.read(path) {
            Ok(text) => Ok(self.text(text, path)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut loaded = self.text(String::new(), path)?;
                loaded.files.clear();
                Ok(loaded)
            }
            Err(error) => Err(LoadError::Unreadable { path: path.display().to_string(), error }),
        }
    }

    /// Reads a text as if it stood in `path`, whose extension decides between JSON5 and TOML.
    ///
    /// # Errors
    /// Everything that is wrong in it and in the files it includes.
    pub fn text(&self, text: String, path: &Path) -> Result<Loaded, Complaints> {
        let mut sources = Sources::default();
        let mut tree = include::read(text, path, self.files, &mut sources)
            .map_err(|faults| Complaints::locate(faults, &Node::empty(), &sources))?;
        let mut faults = Vec::new();
        substitute(&mut tree, self.env, &mut faults);

        let mut reading = Reading::new(self.files, &sources, self.env, self.keep_secrets);
        let config = Config::read(&tree, &mut reading);
        faults.extend(reading.into_faults());
        let Some(config) = config else {
            return Err(Complaints::locate(faults, &tree, &sources));
        };
        let findings = check(&config, &tree, self.paths);
        faults.extend(findings.faults);
        if !faults.is_empty() {
            return Err(Complaints::locate(faults, &tree, &sources));
        }
        let warnings = Complaints::locate(findings.warnings, &tree, &sources).list;
        Ok(Loaded { config, warnings, files: sources.paths().map(Path::to_owned).collect() })
    }
}

/// Reads one text into the value tree without includes, variables and checks: for editors of the file.
///
/// # Errors
/// Where the text is neither JSON5 nor, for a `.toml` path, TOML.
pub fn tree(text: &str, path: &Path) -> Result<Node, Complaints> {
    let mut sources = Sources::default();
    let file = sources.add(path, text.to_owned());
    let toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let read = if toml { toml_text::read(text, file) } else { crate::json5::read(text, file) };
    read.map_err(|faults| Complaints::locate(faults, &Node::empty(), &sources))
}
