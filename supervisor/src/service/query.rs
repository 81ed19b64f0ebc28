//! What the service manager says of Creel.

use std::collections::BTreeMap;

use serde::Serialize;

use super::perform::output;
use super::plan::{Ground, UNIT};
use super::{Manager, Scope, ServiceError};

/// How the service is doing, as its manager sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Whose it is.
    pub scope: Scope,
    /// The file that makes it a service.
    pub file: String,
    /// `active`, `activating`, `failed`, `inactive` …
    pub state: String,
    /// Whether it starts with the machine, or the login.
    pub enabled: bool,
    /// The supervisor's process.
    pub pid: Option<u32>,
    /// How often the service manager has started it again.
    pub restarts: Option<u32>,
    /// Why it ended the last time, when that was no success: systemd's word.
    pub result: Option<String>,
    /// What the supervisor says of itself.
    pub says: Option<String>,
    /// Bytes of memory of the whole tree.
    pub memory_bytes: Option<u64>,
}

const PROPERTIES: &str =
    "LoadState,ActiveState,UnitFileState,FragmentPath,MainPID,NRestarts,Result,StatusText,MemoryCurrent";

/// Asks.
///
/// # Errors
/// When the manager cannot be asked, or knows no such service.
pub fn status(ground: &Ground) -> Result<ServiceStatus, ServiceError> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match ground.manager {
        Manager::Systemd => {
            let mut argv = words(&["systemctl"]);
            if ground.scope == Scope::User {
                argv.push("--user".to_owned());
            }
            argv.extend(words(&["show", UNIT, "--property", PROPERTIES]));
            from_systemd(ground, &output(&argv)?)
        }
        Manager::Launchd => match output(&words(&["launchctl", "print", &ground.target()])) {
            Ok(text) => Ok(from_launchd(ground, &text)),
            Err(ServiceError::Failed { .. }) => Err(ServiceError::NotInstalled { path: ground.file() }),
            Err(error) => Err(error),
        },
    }
}

fn from_systemd(ground: &Ground, text: &str) -> Result<ServiceStatus, ServiceError> {
    let said: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let word = |name: &str| said.get(name).copied().filter(|value| !value.is_empty());
    if word("LoadState") != Some("loaded") {
        return Err(ServiceError::NotInstalled { path: ground.file() });
    }
    Ok(ServiceStatus {
        scope: ground.scope,
        file: word("FragmentPath").unwrap_or_default().to_owned(),
        state: word("ActiveState").unwrap_or("unknown").to_owned(),
        enabled: word("UnitFileState") == Some("enabled"),
        pid: word("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0),
        restarts: word("NRestarts").and_then(|count| count.parse().ok()),
        result: word("Result").filter(|result| *result != "success").map(str::to_owned),
        says: word("StatusText").map(str::to_owned),
        // "[not set]" and 2^64-1 stand for unknown.
        memory_bytes: word("MemoryCurrent")
            .and_then(|bytes| bytes.parse().ok())
            .filter(|bytes| *bytes < u64::MAX),
    })
}

fn from_launchd(ground: &Ground, text: &str) -> ServiceStatus {
    let word = |name: &str| {
        text.lines()
            .find_map(|line| line.trim().strip_prefix(name)?.trim().strip_prefix("= ").map(str::to_owned))
    };
    ServiceStatus {
        scope: ground.scope,
        file: word("path").unwrap_or_default(),
        state: word("state").unwrap_or_else(|| "unknown".to_owned()),
        enabled: true,
        pid: word("pid").and_then(|pid| pid.parse().ok()),
        restarts: word("runs").and_then(|runs| runs.parse::<u32>().ok()).map(|runs| runs.saturating_sub(1)),
        result: word("last exit code").filter(|code| code != "0" && !code.starts_with('(')),
        says: None,
        memory_bytes: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn ground(manager: Manager) -> Ground {
        Ground {
            manager,
            scope: Scope::System,
            program: PathBuf::from("/usr/bin/creel"),
            user_home: PathBuf::from("/root"),
            user: ("root".to_owned(), 0),
            packaged: true,
            lingers: false,
        }
    }

    #[test]
    fn systemds_words_are_understood() {
        let text = "Result=success\nMainPID=377\nNRestarts=2\nMemoryCurrent=18446744073709551615\nLoadState=loaded\n\
                    ActiveState=active\nFragmentPath=/usr/lib/systemd/system/creel.service\nUnitFileState=enabled\n\
                    StatusText=3 units up, 1 in backoff\n";
        let status = from_systemd(&ground(Manager::Systemd), text).unwrap();
        assert_eq!((status.pid, status.restarts, status.enabled), (Some(377), Some(2), true));
        assert_eq!(status.says.as_deref(), Some("3 units up, 1 in backoff"));
        assert_eq!((status.result, status.memory_bytes), (None, None));
        let none = from_systemd(&ground(Manager::Systemd), "LoadState=not-found\nMainPID=0\n").unwrap_err();
        assert!(none.to_string().contains("creel service install"), "{none}");
    }

    #[test]
    fn launchds_words_are_understood() {
        let text = "system/dev.creel.creel = {\n\tactive count = 1\n\tpath = /Library/LaunchDaemons/dev.creel.creel.plist\n\
                    \tstate = running\n\n\tprogram = /usr/local/bin/creel\n\truns = 3\n\tpid = 815\n\tlast exit code = 1\n}\n";
        let status = from_launchd(&ground(Manager::Launchd), text);
        assert_eq!((status.state.as_str(), status.pid, status.restarts), ("running", Some(815), Some(2)));
        assert_eq!(status.result.as_deref(), Some("1"));
    }
}
