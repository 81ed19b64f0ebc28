//! What of the host the operator shows to commands besides the workspace, and what nobody may show them.

use std::fs::FileType;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use creel_config::Paths;
use creel_config::sandbox::Bind;
use creel_launch::{Access, View};

/// Why a bind is refused.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It is not there.
    #[error(
        "The bind {bind} of the sandbox cannot be used: {error}. Ask the operator to mend sandbox.binds."
    )]
    Missing {
        /// As written.
        bind: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It holds what commands may not have.
    #[error(
        "The bind {bind} of the sandbox is refused: it would show {what} to commands. Ask the operator to take it out of \
         sandbox.binds."
    )]
    Forbidden {
        /// As written.
        bind: String,
        /// What.
        what: String,
    },
}

/// Folders below the user's home that hold keys and passwords.
const SECRETS: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".config/gcloud",
    ".config/gh",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".password-store",
    ".mozilla",
];

/// What no bind may be, hold or lie in.
pub fn forbidden<'a>(paths: &Paths, workspaces: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
    let secrets = SECRETS.iter().map(|name| paths.user_home.join(name));
    let own = [paths.home.clone(), paths.runtime.clone(), paths.config.clone()];
    let system = [
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/sudoers",
        "/etc/creel",
        "/var/lib/creel",
        "/proc",
        "/sys",
        "/dev",
        "/run",
    ];
    let all = secrets.chain(own).chain(system.map(PathBuf::from)).chain(workspaces.map(Path::to_owned));
    // As written and as it is: links on the way count for nothing.
    all.flat_map(|path| [path.canonicalize().ok(), Some(path)]).flatten().collect()
}

/// The view of one bind.
///
/// # Errors
/// Why it is refused.
pub fn view(bind: &Bind, forbidden: &[PathBuf]) -> Result<View, BindError> {
    let missing = |error| BindError::Missing { bind: bind.to_string(), error };
    let refuse = |what: String| Err(BindError::Forbidden { bind: bind.to_string(), what });
    let real = bind.host.canonicalize().map_err(missing)?;
    let kind = real.metadata().map_err(missing)?.file_type();
    if is_special(kind) {
        return refuse("a socket, a FIFO or a device".to_owned());
    }
    if let Some(other) = forbidden.iter().find(|other| real.starts_with(other) || other.starts_with(&real)) {
        return refuse(other.display().to_string());
    }
    let access = if bind.writable { Access::Rw } else { Access::Ro };
    Ok(View { path: real, at: bind.inside.clone(), access })
}

fn is_special(kind: FileType) -> bool {
    kind.is_socket() || kind.is_fifo() || kind.is_char_device() || kind.is_block_device()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(host: &Path) -> Bind {
        Bind { host: host.to_owned(), inside: "/data".into(), writable: false }
    }

    #[test]
    fn a_bind_neither_is_nor_holds_nor_lies_in_what_is_forbidden() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        for name in ["data/sub", "home/.ssh", "creel/state", "ws"] {
            std::fs::create_dir_all(top.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(top.join("home/.ssh"), top.join("data/keys")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(top.join("data/s")).unwrap();
        let forbidden = [top.join("home/.ssh"), top.join("creel"), top.join("ws")];
        for good in ["data", "data/sub"] {
            view(&bind(&top.join(good)), &forbidden).unwrap();
        }
        for bad in ["home", "home/.ssh", "data/keys", "creel/state", "ws", ".", "data/s", "none"] {
            view(&bind(&top.join(bad)), &forbidden).unwrap_err();
        }
    }
}
