//! The gateway's token: the operator's, or one that the gateway made at its first start.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use creel_config::gateway::AuthMode;
use creel_ipc::Secret;

use crate::settings::Settings;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The file cannot be read or made.
    #[error(
        "The gateway's token file {path} cannot be used: {error}. Make it readable for this user alone, or set gateway.auth.token."
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The disk is full.
    #[error(
        "There is no room for the gateway's token, which is made at its first start, in {path}. Make room on that disk: the \
         gateway tries again by itself. Or set gateway.auth.token."
    )]
    NoRoom {
        /// The file.
        path: PathBuf,
    },
    /// The mode asks for a password and there is none.
    #[error(
        "gateway.auth.mode is \"password\", and there is no gateway.auth.password; set it, or use mode \"token\"."
    )]
    NoPassword,
    /// The kernel gives no randomness.
    #[error("The kernel gives no random bytes for the gateway's token: {0}.")]
    NoRandomness(getrandom::Error),
}

/// What a client has to show.
///
/// # Errors
/// When there is no token and none can be kept.
pub(crate) fn token(settings: &Settings) -> Result<Secret, TokenError> {
    let auth = &settings.config.gateway.auth;
    match auth.mode {
        AuthMode::Password => {
            auth.password.clone().filter(|password| !password.is_empty()).ok_or(TokenError::NoPassword)
        }
        AuthMode::Token => match auth.token.clone().filter(|token| !token.is_empty()) {
            Some(token) => Ok(token),
            None => kept(&settings.token_file),
        },
    }
}

fn kept(path: &Path) -> Result<Secret, TokenError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            TokenError::NoRoom { path: path.to_owned() }
        }
        _ => TokenError::File { path: path.to_owned(), error },
    };
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text.trim())),
        Ok(_) => fs::remove_file(path).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(TokenError::NoRandomness)?;
    let token = URL_SAFE_NO_PAD.encode(random);
    make(path, &token).map_err(failed)?;
    tracing::info!("A token for clients was made and kept in {}.", path.display());
    Ok(Secret::new(token))
}

/// Whole or not at all: a crash must not leave half a token.
fn make(path: &Path, token: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("token.tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let written = writeln!(file, "{token}").and_then(|()| file.sync_all());
    if written.is_err() {
        // Where there is no room a part of it takes none.
        let _gone = fs::remove_file(&beside);
    }
    written?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_for_this_user_alone() {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings::of_text("{}", home.path());
        let first = token(&settings).unwrap();
        assert_eq!(first.expose().len(), 43);
        assert_eq!(token(&settings).unwrap().expose(), first.expose());
        let mode = fs::metadata(&settings.token_file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_full_disk_is_named_and_waited_out() {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings::of_text("{}", home.path());
        fs::create_dir_all(settings.token_file.parent().unwrap()).unwrap();
        // What is written there finds no room.
        let beside = settings.token_file.with_extension("token.tmp");
        std::os::unix::fs::symlink("/dev/full", &beside).unwrap();
        let error = token(&settings).unwrap_err();
        assert!(matches!(error, TokenError::NoRoom { .. }), "{error}");
        let error = crate::run::RunError::from(error);
        assert_eq!(error.exit_code(), creel_ipc::ExitCode::Busy.code(), "no brake counts it");
        assert!(error.to_string().contains("no room for the gateway's token"), "{error}");
        assert_eq!(token(&settings).unwrap().expose().len(), 43, "now there is room");
    }

    #[test]
    fn the_operators_own_words_win() {
        let home = tempfile::tempdir().unwrap();
        let of = |text: &str| token(&Settings::of_text(text, home.path()));
        assert_eq!(of(r#"{gateway: {auth: {token: "mine"}}}"#).unwrap().expose(), "mine");
        let password = r#"{gateway: {auth: {mode: "password", password: "secret"}}}"#;
        assert_eq!(of(password).unwrap().expose(), "secret");
        assert!(!Settings::of_text("{}", home.path()).token_file.exists());
    }
}
