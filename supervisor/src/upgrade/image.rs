//! The new program: opened once, checked and executed through the same descriptor.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use creel_launch::succession;
use tokio::process::Command;

use super::arrival::{CHECK, VARIABLE};
use super::check::Checked;
use super::{Baggage, UpgradeError};
use crate::fdstore;

/// What a check may take.
const CHECK_SECONDS: u64 = 30;
/// When the kernel sends SIGALRM to a new program that did not confirm.
pub const CONFIRM_SECONDS: u32 = 10;
/// Bytes of the words of a program that refuses.
const WORDS: usize = 2000;

/// A program file that was opened.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    file: File,
}

impl Image {
    /// Opens a program; without a path, what is now where the running one was started from.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: Option<&Path>) -> Result<Self, UpgradeError> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => own_path(),
        };
        let shown = || path.display().to_string();
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(UpgradeError::Open { path: shown(), error }),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the program look at a copy of the state. It is the supervisor's own binary with the supervisor's rights, so
    /// it is no unit and needs no launcher stage; what it must not do it is not asked to do.
    ///
    /// # Errors
    /// When it refuses or says nothing.
    pub async fn check(&self, state: &[u8]) -> Result<Checked, UpgradeError> {
        let path = self.path.display().to_string();
        let copy = super::baggage::sealed(state)?;
        let mut args = std::env::args_os();
        let mut command = Command::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        command
            .arg0(args.next().unwrap_or_default())
            .args(args)
            .env(VARIABLE, CHECK)
            .env_remove("LISTEN_PID")
            .stdin(copy)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = command.spawn().map_err(|error| UpgradeError::Run { path: path.clone(), error })?;
        let ended = tokio::time::timeout(Duration::from_secs(CHECK_SECONDS), child.wait_with_output()).await;
        let output = match ended {
            Ok(output) => output.map_err(|error| UpgradeError::Run { path: path.clone(), error })?,
            Err(_late) => return Err(UpgradeError::Silent { path, seconds: CHECK_SECONDS }),
        };
        let checked = output.status.success().then(|| serde_json::from_slice(&output.stdout).ok()).flatten();
        checked.ok_or_else(|| {
            let start = output.stderr.len().saturating_sub(WORDS);
            let words = String::from_utf8_lossy(output.stderr.get(start..).unwrap_or_default());
            let words = match words.trim() {
                "" => "it said nothing that this version understands.".to_owned(),
                words => words.to_owned(),
            };
            UpgradeError::Refused { path, how: output.status.to_string(), words }
        })
    }

    /// Becomes this program, which finds the state in `state` and the way back in `old`. Returns only when that fails;
    /// nothing has changed then.
    ///
    /// # Errors
    /// What the kernel says to the program.
    pub fn become_it(&self, state: &File, mut baggage: Baggage) -> io::Error {
        let attempt = || {
            let old = File::open("/proc/self/exe")?;
            let (state, old) = (baggage.lend(state)?, baggage.lend(&old)?);
            let env = environment(&format!("resume:{}:{}", state.0, old.0), "");
            succession::alarm(CONFIRM_SECONDS);
            succession::become_program(self.file.as_fd(), &arguments(), &env)
        };
        let Err(error) = { attempt }();
        succession::alarm(0);
        error
    }
}

/// Where the running program was started from; what is there now may be another.
fn own_path() -> PathBuf {
    let own = std::fs::read_link("/proc/self/exe").or_else(|_no_proc| std::env::current_exe());
    let own = own.unwrap_or_default().into_os_string().into_vec();
    let path = own.strip_suffix(b" (deleted)").unwrap_or(&own).to_vec();
    PathBuf::from(OsString::from_vec(path))
}

/// The arguments of this process, for another program.
pub fn arguments() -> Vec<CString> {
    std::env::args_os().filter_map(|arg| CString::new(arg.into_vec()).ok()).collect()
}

/// The environment of this process with the word for the next program.
pub fn environment(word: &str, reason: &str) -> Vec<CString> {
    // Those of the service manager speak of descriptors that are in use under other numbers by now.
    let stale = |name: &OsString| {
        name == VARIABLE
            || name == super::arrival::REASON
            || fdstore::VARIABLES.iter().any(|variable| name == variable)
    };
    let rest = std::env::vars_os().filter(|(name, _)| !stale(name)).map(|(name, value)| {
        let mut line = name.into_vec();
        line.push(b'=');
        line.extend(value.into_vec());
        line
    });
    let word = format!("{VARIABLE}={word}").into_bytes();
    let reason = format!("{}={reason}", super::arrival::REASON).into_bytes();
    rest.chain([word, reason]).filter_map(|line| CString::new(line).ok()).collect()
}
