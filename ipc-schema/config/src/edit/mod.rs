//! Reading and writing single keys: what `creel config get`, `set` and `unset` do.

use std::path::Path as FilePath;

use serde_json::Value;

use crate::channels::Channels;
use crate::config::Config;
use crate::disk;
use crate::fault::{Complaints, did_you_mean};
use crate::files::Files;
use crate::load::{Loaded, Loader};
use crate::node::{Path, Step};
use crate::shape::{Shape, Show};

mod key_path;
mod text;

pub use key_path::parse_path;
pub use text::edit_text;

/// Why a key was not read or written. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The path cannot be read.
    #[error(
        "\"{path}\" is no key path: {why}. Write it like agents.list[0].model or channels.irc.groups.\"#a.b\"."
    )]
    Path {
        /// What was given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no such key.
    #[error("There is no key {path}; below {parent} there is: {known}{hint}.")]
    Unknown {
        /// The path.
        path: String,
        /// Its longest part that exists.
        parent: String,
        /// The keys there.
        known: String,
        /// ` (did you mean …?)` or nothing.
        hint: String,
    },
    /// The value above the key has another kind in this file.
    #[error("{path} cannot be set, because {parent} is {found} in this file; set {parent} as a whole.")]
    Occupied {
        /// The path.
        path: String,
        /// The value in the way.
        parent: String,
        /// What it is.
        found: &'static str,
    },
    /// The file is TOML.
    #[error("{file} is TOML, which Creel reads and does not write; edit it by hand, or move to creel.json.")]
    Toml {
        /// The file.
        file: String,
    },
    /// The new text would lose more than half of the old one.
    #[error(
        "This would shorten {file} from {before} to {after} bytes, which looks like an accident; nothing was written. \
         Use --force if it is meant."
    )]
    Shrinks {
        /// The file.
        file: String,
        /// Bytes now.
        before: usize,
        /// Bytes then.
        after: usize,
    },
    /// The file changed since the edit was begun.
    #[error("{file} was changed by somebody else meanwhile; nothing was written. Look at it and try again.")]
    Changed {
        /// The file.
        file: String,
    },
    /// The result would be wrong, or the file is already.
    #[error("Nothing was written, because the result would be wrong:\n{0}")]
    Wrong(#[from] Complaints),
    /// The system refused.
    #[error("{file} cannot be {verb}: {error}.")]
    Io {
        /// The file.
        file: String,
        /// `read` or `written`.
        verb: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
}

/// What to do with a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Give it this value.
    Set(Value),
    /// Remove it, so that its default holds.
    Unset,
}

/// A value as it is typed at a prompt: JSON5 where it is some, else text.
pub fn parse_value(text: &str) -> Value {
    let trimmed = text.trim();
    let plain = || Value::String(text.to_owned());
    if trimmed.is_empty() || trimmed.starts_with('/') {
        return plain();
    }
    crate::load::tree(text, FilePath::new("value.json5")).map_or_else(|_| plain(), |node| node.to_json())
}

/// The value of a key, defaults included; the empty path is the whole configuration. Keys of a channel that are
/// written flat are those of its account `default`.
///
/// # Errors
/// When there is no such key.
pub fn get(config: &Config, path: &str, show: Show) -> Result<Value, EditError> {
    let steps = parse_path(path)?;
    let whole = config.show(show);
    find(&whole, &steps).or_else(|error| match steps.as_slice() {
        [Step::Key(channels), Step::Key(channel), rest @ ..]
            if channels == "channels" && Channels::KNOWN.contains(&channel.as_str()) && !rest.is_empty() =>
        {
            let mut flat = steps[..2].to_vec();
            flat.extend(["accounts", "default"].map(|key| Step::Key(key.into())));
            flat.extend_from_slice(rest);
            find(&whole, &flat).map_err(|_| error)
        }
        _ => Err(error),
    })
}

fn find(whole: &Value, steps: &[Step]) -> Result<Value, EditError> {
    let mut here = whole;
    for (depth, step) in steps.iter().enumerate() {
        let next = match step {
            Step::Key(key) => here.get(key),
            Step::Index(index) => here.get(*index),
        };
        here = next.ok_or_else(|| unknown(steps, depth, here))?;
    }
    Ok(here.clone())
}

fn unknown(steps: &[Step], depth: usize, parent: &Value) -> EditError {
    let keys: Vec<&str> =
        parent.as_object().map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default();
    let hint = match &steps[depth] {
        Step::Key(key) => did_you_mean(key, keys.iter().copied()),
        Step::Index(_) => String::new(),
    };
    let known = match parent {
        Value::Array(items) => format!("a list of {}", items.len()),
        _ if keys.is_empty() => "nothing".into(),
        _ => keys.join(", "),
    };
    let parent = if depth == 0 { "the top".into() } else { Path(&steps[..depth]).to_string() };
    EditError::Unknown { path: Path(steps).to_string(), parent, known, hint }
}

/// What one edit did.
#[derive(Debug)]
pub struct Edited {
    /// The file's new text.
    pub text: String,
    /// The configuration that it amounts to.
    pub loaded: Loaded,
}

/// Changes one key of a file's text and validates the whole result.
///
/// # Errors
/// When the result is wrong, or, without `force`, shorter than half of what was there.
pub fn edit(
    loader: &Loader<'_>,
    file: &FilePath,
    text: &str,
    path: &str,
    edit: &Edit,
    force: bool,
) -> Result<Edited, EditError> {
    let name = || file.display().to_string();
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
        return Err(EditError::Toml { file: name() });
    }
    let new = edit_text(text, path, edit)?;
    let loaded = accept(loader, file, text, &new, force)?;
    Ok(Edited { text: new, loaded })
}

/// Whether a whole new text may take the place of the old one: for editors of the whole file.
///
/// # Errors
/// When the new text is wrong, or, without `force`, shorter than half of what was there.
pub fn accept(
    loader: &Loader<'_>,
    file: &FilePath,
    old: &str,
    new: &str,
    force: bool,
) -> Result<Loaded, EditError> {
    let loaded = loader.text(new.to_owned(), file)?;
    if !force && new.len() * 2 < old.len() {
        return Err(EditError::Shrinks {
            file: file.display().to_string(),
            before: old.len(),
            after: new.len(),
        });
    }
    Ok(loaded)
}

/// Changes one key of a file on disk: reads it, validates the whole result, keeps the old text in `<file>.bak`,
/// and replaces the file in one step with mode 0600.
///
/// # Errors
/// When the result is wrong, or the file cannot be read or written; the file is as it was then.
pub fn edit_file(
    loader: &Loader<'_>,
    file: &FilePath,
    path: &str,
    change: &Edit,
    force: bool,
) -> Result<Edited, EditError> {
    let io = |verb| move |error| EditError::Io { file: file.display().to_string(), verb, error };
    let read = || match disk::Disk.read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    };
    let old = read().map_err(io("read"))?;
    let edited =
        edit(loader, file, old.as_deref().unwrap_or("{\n}\n"), path, change, force || old.is_none())?;
    if old.as_deref() == Some(edited.text.as_str()) {
        return Ok(edited);
    }
    if read().map_err(io("read"))? != old {
        return Err(EditError::Changed { file: file.display().to_string() });
    }
    if let Some(old) = &old {
        let mut backup = file.as_os_str().to_owned();
        backup.push(".bak");
        disk::replace(FilePath::new(&backup), old).map_err(io("written"))?;
    }
    disk::replace(file, &edited.text).map_err(io("written"))?;
    Ok(edited)
}
