//! What is to be done, as a list of steps; nothing here touches the machine.

use std::path::PathBuf;

use serde::Serialize;

use super::launchd::{self, Job};
use super::systemd::{self, Unit};
use super::{Manager, Scope, ServiceError};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub enum Step {
    /// Write a file, in place of an older one.
    Write {
        /// Where.
        path: PathBuf,
        /// What.
        text: String,
    },
    /// Remove a file, if it is there.
    Remove {
        /// Which.
        path: PathBuf,
    },
    /// Run a program to its end.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// Whether it is of no account that it fails, as when something is stopped that does not run.
        may_fail: bool,
    },
    /// Tell the operator.
    Say {
        /// A sentence.
        sentence: String,
    },
}

/// What the steps depend on.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Who starts services here.
    pub manager: Manager,
    /// Whose service.
    pub scope: Scope,
    /// The running binary, absolute and without links.
    pub program: PathBuf,
    /// The user's home folder.
    pub user_home: PathBuf,
    /// The user's name and number.
    pub user: (String, u32),
    /// A package brings the unit.
    pub packaged: bool,
    /// The user's services run without a login.
    pub lingers: bool,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Put it in place, start it, and start it with the machine or the login.
    Install,
    /// Stop it and take it away; data stays.
    Uninstall,
    /// Start it.
    Start,
    /// Stop it in order.
    Stop,
    /// Stop it and start it.
    Restart,
}

impl Ground {
    /// The file that makes it a service.
    pub fn file(&self) -> PathBuf {
        match (self.manager, self.scope) {
            (Manager::Systemd, Scope::System) if self.packaged => PathBuf::from(systemd::PACKAGED_UNIT),
            (Manager::Systemd, Scope::System) => PathBuf::from(systemd::SYSTEM_UNIT),
            (Manager::Systemd, Scope::User) => self.user_home.join(".config/systemd/user/creel.service"),
            (Manager::Launchd, _) => self.job().path(),
        }
    }

    /// The steps of a verb, in order.
    ///
    /// # Errors
    /// [`ServiceError::Unreachable`] for a service of the machine whose binary lies in a home folder.
    pub fn steps(&self, verb: Verb) -> Result<Vec<Step>, ServiceError> {
        Ok(match (self.manager, verb) {
            (Manager::Systemd, Verb::Install) => self.install_unit()?,
            (Manager::Systemd, Verb::Uninstall) => self.uninstall_unit(),
            (Manager::Systemd, Verb::Start) => vec![self.systemctl(&["start", UNIT])],
            (Manager::Systemd, Verb::Stop) => vec![self.systemctl(&["stop", UNIT])],
            (Manager::Systemd, Verb::Restart) => vec![self.systemctl(&["restart", UNIT])],
            (Manager::Launchd, Verb::Install) => self.install_job(),
            (Manager::Launchd, Verb::Uninstall) => self.uninstall_job(),
            (Manager::Launchd, Verb::Start) => vec![self.bootstrap()],
            (Manager::Launchd, Verb::Stop) => vec![self.bootout(false)],
            (Manager::Launchd, Verb::Restart) => vec![launchctl(&["kickstart", "-k", &self.target()])],
        })
    }

    fn install_unit(&self) -> Result<Vec<Step>, ServiceError> {
        let mut steps = Vec::new();
        if self.scope == Scope::System && !self.packaged {
            if ["/home", "/root", "/run/user", "/tmp", "/var/tmp"]
                .iter()
                .any(|home| self.program.starts_with(home))
            {
                return Err(ServiceError::Unreachable { program: self.program.clone() });
            }
            steps.extend([
                write("/etc/sysusers.d/creel.conf", SYSUSERS),
                run(&["systemd-sysusers", "/etc/sysusers.d/creel.conf"]),
                write("/etc/tmpfiles.d/creel.conf", TMPFILES),
                run(&["systemd-tmpfiles", "--create", "/etc/tmpfiles.d/creel.conf"]),
            ]);
        }
        if !self.packaged || self.scope == Scope::User {
            let unit = Unit { scope: self.scope, program: self.program.clone() };
            steps.push(Step::Write { path: self.file(), text: unit.text() });
        }
        steps.push(self.systemctl(&["daemon-reload"]));
        steps.push(self.systemctl(&["enable", UNIT]));
        // Not `start`: the running one may be of an older text.
        steps.push(self.systemctl(&["restart", UNIT]));
        steps.push(match self.scope {
            Scope::System => say("Creel runs as the user creel. Its configuration is /etc/creel/creel.json; keys go to /etc/creel/creel.env."),
            Scope::User if self.lingers => say("Creel runs, and starts with this machine."),
            Scope::User => say(&format!(
                "Creel runs while you are logged in. To let it run always: loginctl enable-linger {}",
                self.user.0
            )),
        });
        if self.scope == Scope::System {
            steps.push(say(
                "Members of the group creel may look at it (`creel status`): usermod -aG creel NAME",
            ));
        }
        Ok(steps)
    }

    fn uninstall_unit(&self) -> Vec<Step> {
        let mut steps = vec![may_fail(self.systemctl(&["disable", "--now", UNIT]))];
        if self.scope == Scope::System && self.packaged {
            steps
                .push(say("The package is still installed; `apt purge creel` removes it with all its data."));
            return steps;
        }
        steps.push(Step::Remove { path: self.file() });
        if self.scope == Scope::System {
            let made = ["/etc/sysusers.d/creel.conf", "/etc/tmpfiles.d/creel.conf"];
            steps.extend(made.map(|path| Step::Remove { path: PathBuf::from(path) }));
        }
        steps.push(self.systemctl(&["daemon-reload"]));
        steps.push(may_fail(self.systemctl(&["reset-failed", UNIT])));
        steps.push(say(match self.scope {
            Scope::System => {
                "Configuration and data are still there: /etc/creel, /var/lib/creel and the user creel."
            }
            Scope::User => "Configuration and data are still there: ~/.creel.",
        }));
        steps
    }

    fn install_job(&self) -> Vec<Step> {
        let job = self.job();
        let mut steps = vec![
            // A job that is loaded does not look at its file again.
            self.bootout(true),
            Step::Write { path: job.path(), text: job.text() },
            launchctl(&["enable", &self.target()]),
            self.bootstrap(),
        ];
        if self.scope == Scope::System {
            steps.push(say("The daemon runs as the user _creel, which must exist; nothing of this was ever run on macOS."));
        }
        steps
    }

    fn uninstall_job(&self) -> Vec<Step> {
        vec![self.bootout(true), Step::Remove { path: self.job().path() }]
    }

    fn job(&self) -> Job {
        Job { scope: self.scope, program: self.program.clone(), user_home: self.user_home.clone() }
    }

    /// launchd's name for the job where it lives.
    pub(super) fn target(&self) -> String {
        format!("{}/{}", self.job().domain(self.user.1), launchd::LABEL)
    }

    fn bootstrap(&self) -> Step {
        let job = self.job();
        launchctl(&["bootstrap", &job.domain(self.user.1), &job.path().to_string_lossy()])
    }

    /// Never by a signal: launchd would start it again.
    fn bootout(&self, of_no_account: bool) -> Step {
        let step = launchctl(&["bootout", &self.target()]);
        if of_no_account { may_fail(step) } else { step }
    }

    fn systemctl(&self, words: &[&str]) -> Step {
        let mut argv = vec!["systemctl"];
        if self.scope == Scope::User {
            argv.push("--user");
        }
        argv.extend(words);
        run(&argv)
    }
}

/// systemd's name for the service.
pub const UNIT: &str = "creel.service";

/// The system user.
pub const SYSUSERS: &str = "\
# The user that Creel runs as. Members of its group may look at it: `creel status`, `creel logs`.
u creel - \"Creel, a home for AI agents\" /var/lib/creel
";

/// The folders that systemd does not make for the service itself.
pub const TMPFILES: &str = "\
# The configuration may hold tokens: it is the service's to read and nobody else's, least of all the group's.
d /etc/creel 0750 root creel -
f /etc/creel/creel.json 0600 creel creel - {}
z /etc/creel/creel.json 0600 creel creel -
d /etc/creel/credentials 0700 root root -
";

fn run(argv: &[&str]) -> Step {
    Step::Run { argv: argv.iter().map(|word| (*word).to_owned()).collect(), may_fail: false }
}

fn launchctl(words: &[&str]) -> Step {
    run(&[&["launchctl"], words].concat())
}

fn may_fail(step: Step) -> Step {
    match step {
        Step::Run { argv, .. } => Step::Run { argv, may_fail: true },
        other => other,
    }
}

fn write(path: &str, text: &str) -> Step {
    Step::Write { path: PathBuf::from(path), text: text.to_owned() }
}

fn say(sentence: &str) -> Step {
    Step::Say { sentence: sentence.to_owned() }
}

/// The steps as `--dry-run` shows them.
pub fn shown(steps: &[Step]) -> String {
    let line = |step: &Step| match step {
        Step::Write { path, text } => {
            let text: String = text.lines().map(|line| format!("    {line}\n")).collect();
            format!("write {}\n{text}", path.display())
        }
        Step::Remove { path } => format!("remove {}\n", path.display()),
        Step::Run { argv, .. } => format!("run {}\n", argv.join(" ")),
        Step::Say { sentence } => format!("say {sentence}\n"),
    };
    steps.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(manager: Manager, scope: Scope) -> Ground {
        Ground {
            manager,
            scope,
            program: PathBuf::from("/usr/local/bin/creel"),
            user_home: PathBuf::from("/home/alice"),
            user: ("alice".to_owned(), 1000),
            packaged: false,
            lingers: false,
        }
    }

    /// The steps without the long texts.
    fn brief(ground: &Ground, verb: Verb) -> String {
        let mut steps = ground.steps(verb).unwrap();
        for step in &mut steps {
            if let Step::Write { text, .. } = step {
                *text = format!("({} lines)", text.lines().count());
            }
        }
        shown(&steps)
    }

    #[test]
    fn every_verb_of_every_manager_has_its_steps() {
        let mut text = String::new();
        for (manager, scope) in [
            (Manager::Systemd, Scope::System),
            (Manager::Systemd, Scope::User),
            (Manager::Launchd, Scope::System),
            (Manager::Launchd, Scope::User),
        ] {
            for verb in [Verb::Install, Verb::Uninstall, Verb::Start, Verb::Stop, Verb::Restart] {
                text +=
                    &format!("== {manager:?} {scope:?} {verb:?}\n{}", brief(&ground(manager, scope), verb));
            }
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_package_is_enabled_and_not_overwritten() {
        let ground = Ground { packaged: true, ..ground(Manager::Systemd, Scope::System) };
        let steps = ground.steps(Verb::Install).unwrap();
        assert!(!steps.iter().any(|step| matches!(step, Step::Write { .. })), "{steps:?}");
        assert!(
            !ground.steps(Verb::Uninstall).unwrap().iter().any(|step| matches!(step, Step::Remove { .. }))
        );
        let own = Ground { scope: Scope::User, ..ground };
        assert!(own.steps(Verb::Install).unwrap().iter().any(|step| matches!(step, Step::Write { .. })));
    }

    #[test]
    fn a_binary_in_a_home_is_no_service_of_the_machine() {
        let program = PathBuf::from("/home/alice/creel/target/release/creel");
        let ground = Ground { program, ..ground(Manager::Systemd, Scope::System) };
        let error = ground.steps(Verb::Install).unwrap_err().to_string();
        assert!(
            error.contains("/home/alice/creel/target/release/creel") && error.contains("/usr/local"),
            "{error}"
        );
    }
}
