//! The launchd property lists: an agent of one user, and a daemon of the machine. Made here as text; never run here.

use std::path::{Path, PathBuf};

use super::Scope;

/// launchd's name for the service.
pub const LABEL: &str = "dev.creel.creel";

/// Variable that tells the supervisor whose child it is.
pub const MARK: (&str, &str) = ("CREEL_SERVICE", "launchd");

/// What one property list is to say.
#[derive(Debug, Clone)]
pub struct Job {
    /// Whose it is.
    pub scope: Scope,
    /// The binary, absolute.
    pub program: PathBuf,
    /// The user's home; of no account for a daemon.
    pub user_home: PathBuf,
}

impl Job {
    /// Where launchd finds it.
    pub fn path(&self) -> PathBuf {
        match self.scope {
            Scope::User => self.user_home.join(format!("Library/LaunchAgents/{LABEL}.plist")),
            Scope::System => PathBuf::from(format!("/Library/LaunchDaemons/{LABEL}.plist")),
        }
    }

    /// The file that gets what the supervisor says before its own logs are open.
    pub fn log(&self) -> PathBuf {
        match self.scope {
            Scope::User => self.user_home.join("Library/Logs/creel.log"),
            Scope::System => PathBuf::from("/Library/Logs/creel.log"),
        }
    }

    /// launchd's name for the domain that the job lives in.
    pub fn domain(&self, uid: u32) -> String {
        match self.scope {
            Scope::User => format!("gui/{uid}"),
            Scope::System => "system".to_owned(),
        }
    }

    /// The text of the property list.
    pub fn text(&self) -> String {
        let mut dict = Vec::new();
        dict.push(key("Label", &string(LABEL)));
        dict.push(key("ProgramArguments", &array(&[&shown(&self.program), "up"])));
        if self.scope == Scope::System {
            dict.push(key("UserName", &string("_creel")));
            dict.push(key("GroupName", &string("_creel")));
        }
        dict.push(key("EnvironmentVariables", &self.environment()));
        dict.push(key("RunAtLoad", "<true/>"));
        // Exit code 0 also stands for a wrong configuration and a second supervisor: see `crate::up`.
        dict.push(key("KeepAlive", "<dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>"));
        dict.push(key("ThrottleInterval", "<integer>10</integer>"));
        dict.push(key("ExitTimeOut", "<integer>30</integer>"));
        dict.push(key("Umask", "<integer>63</integer>"));
        let files = "<dict>\n    <key>NumberOfFiles</key>\n    <integer>65536</integer>\n  </dict>";
        dict.push(key("SoftResourceLimits", files));
        dict.push(key("StandardErrorPath", &string(&shown(&self.log()))));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
             <plist version=\"1.0\">\n<dict>\n{}</dict>\n</plist>\n",
            dict.concat()
        )
    }

    fn environment(&self) -> String {
        let (name, value) = MARK;
        let mut variables = vec![(name, value)];
        if self.scope == Scope::System {
            variables.extend([
                ("CREEL_HOME", "/Library/Application Support/Creel"),
                ("CREEL_CONFIG", "/etc/creel/creel.json"),
                ("CREEL_RUNTIME_DIR", "/var/run/creel"),
            ]);
        }
        let lines =
            variables.iter().map(|(name, value)| format!("    <key>{name}</key>\n    {}\n", string(value)));
        format!("<dict>\n{}  </dict>", lines.collect::<String>())
    }
}

fn key(name: &str, value: &str) -> String {
    format!("  <key>{name}</key>\n  {value}\n")
}

fn string(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<string>{escaped}</string>")
}

fn array(items: &[&str]) -> String {
    let items = items.iter().map(|item| format!("    {}\n", string(item)));
    format!("<array>\n{}  </array>", items.collect::<String>())
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of launchd.plist(5) that these lists use.
    const KNOWN: [&str; 17] = [
        "Label",
        "ProgramArguments",
        "UserName",
        "GroupName",
        "EnvironmentVariables",
        "RunAtLoad",
        "KeepAlive",
        "SuccessfulExit",
        "ThrottleInterval",
        "ExitTimeOut",
        "Umask",
        "SoftResourceLimits",
        "NumberOfFiles",
        "StandardErrorPath",
        "CREEL_SERVICE",
        "CREEL_HOME",
        "CREEL_CONFIG",
    ];

    fn job(scope: Scope) -> Job {
        Job {
            scope,
            program: PathBuf::from("/opt/homebrew/bin/creel"),
            user_home: PathBuf::from("/Users/kim & co"),
        }
    }

    #[test]
    fn the_lists_read_well() {
        insta::assert_snapshot!("agent", job(Scope::User).text());
        insta::assert_snapshot!("daemon", job(Scope::System).text());
    }

    #[test]
    fn the_lists_are_balanced_and_know_only_documented_keys() {
        for scope in [Scope::User, Scope::System] {
            let text = job(scope).text();
            let keys = text.split("<key>").skip(1).filter_map(|rest| rest.split("</key>").next());
            for key in keys {
                assert!(KNOWN.contains(&key) || key == "CREEL_RUNTIME_DIR", "{key}");
            }
            for tag in ["dict", "array", "string", "key", "plist", "integer"] {
                let opened =
                    text.matches(&format!("<{tag}>")).count() + text.matches(&format!("<{tag} ")).count();
                assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
            }
            assert!(!text.contains("& "), "an unescaped ampersand");
        }
    }
}
