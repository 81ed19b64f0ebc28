//! The beginning and the end of an incarnation.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use creel_config::plan::UnitKind;
use creel_config::sandbox::{Floor, SandboxMode};
use creel_ipc::hello::Role;
use creel_ipc::msg::event::{Event as Told, EventKind};
use creel_ipc::msg::supervisor::UnitGone;
use creel_ipc::msg::unit::{ExitCause, Isolation, LastExit, UnitState};
use creel_launch::{Exit, LaunchError, Level, Stage, Stdio};
use tokio::sync::oneshot;

use super::event::{Event, Events, UnitEvent, What};
use super::{EGRESS, GATEWAY, Tree, upgrade};
use crate::cgroup;
use crate::clock::now_ms;
use crate::link::Outgoing;
use crate::logs::line::Cutter;
use crate::logs::reader::{self, Tap};
use crate::tool::quota::Wanted;
use crate::unit::At;
use crate::unit::event::SIGSYS;
use crate::unit::machine::{self, End, Failure, Machine};
use crate::unit::process::{self, Beginning, Process, spawn_error};
use crate::unit::promise::{PROMISE, promise};
use crate::unit::template;

/// What `creel doctor` says too.
pub(crate) const ROOT_AT_L1: &str = "Root's units are users of their own, and without user namespaces (level L1) these cannot \
     reach what is root's, Creel's home with it. Run Creel as an ordinary user (`creel service install` as that user; the service of \
     the Debian package is one), or allow user namespaces.";

impl Tree {
    /// Begins a launch.
    pub(super) fn launch(&mut self, name: &str, incarnation: u64) {
        if self.upgrade.holds_launches() {
            return self.upgrade.put_off(name, incarnation);
        }
        match self.begin(name, incarnation) {
            Ok(launching) => {
                let (events, unit) = (self.events.clone(), name.to_owned());
                let (give_up, given_up) = oneshot::channel();
                if let Some(member) = self.members.get_mut(name) {
                    member.give_up = Some(give_up);
                }
                tokio::task::spawn_local(async move {
                    let event = |what| Event::Unit(UnitEvent { unit: unit.clone(), incarnation, what });
                    let outcome = tokio::select! {
                        outcome = process::launched(launching) => outcome,
                        // Dropping the launch ends what was started of it.
                        Ok(()) = given_up => Err(hung()),
                    };
                    let process = outcome.as_ref().ok().cloned();
                    let told = events.send(event(What::Launched(outcome))).await;
                    if let (Ok(()), Some(process)) = (told, process) {
                        tell_end(events, unit, incarnation, process).await;
                    }
                });
            }
            Err(error) => self.apply(name, machine::Event::LaunchFailed(failure(error))),
        }
    }

    fn begin(&mut self, name: &str, incarnation: u64) -> Result<Beginning, LaunchError> {
        self.allowed(name)?;
        let Some(member) = self.members.get_mut(name) else {
            return Err(refused("The unit is not in the plan."));
        };
        let mut spec = template::spec(&member.unit, &self.ground)
            .map_err(|error| spawn_error(&error, "A folder of the unit cannot be used"))?;
        let paths = &self.ground.paths;
        let private = [self.ground.config_file.clone(), paths.token(), paths.lock()];
        if matches!(member.unit.kind, UnitKind::Agent { .. }) {
            // It may be the first start, and its workspace was made just now.
            self.ground.quotas.settle(Wanted::of(&self.settings.plan, &self.ground.paths));
        }
        spec.env.insert(PROMISE.to_owned(), promise(&spec, &self.settings.plan, &private));
        let (theirs, ours) = process::link_pair()?;
        let stdin = theirs.try_clone().map_err(|error| spawn_error(&error, "No descriptor is left"))?;
        let (reader, stderr) =
            io::pipe().map_err(|error| spawn_error(&error, "No pipe can be made for the log"))?;
        let pipe =
            reader::receiver(reader).map_err(|error| spawn_error(&error, "The log cannot be watched"))?;
        let stdio = Stdio { stdin, stdout: theirs, stderr: OwnedFd::from(stderr) };
        let program = spec.argv.first().and_then(|program| upgrade::program(Path::new(program)));
        let launching = process::begin(&spec, stdio, incarnation)?;

        member.program = program;
        let (log_end, log_ended) = oneshot::channel();
        member.log_end = Some(log_end);
        member.pending_link = Some(ours);
        self.read_log(name, incarnation, Tap::new(pipe, self.book.log(name), Cutter::default()), log_ended);
        Ok(launching)
    }

    /// Reads the log of an incarnation to its end.
    pub(super) fn read_log(&mut self, name: &str, incarnation: u64, tap: Tap, ended: oneshot::Receiver<()>) {
        let (events, unit, tap) = (self.events.clone(), name.to_owned(), Rc::new(tap));
        self.taps.insert((unit.clone(), incarnation), Rc::clone(&tap));
        tokio::task::spawn_local(async move {
            let missing = |gap| {
                let what = What::LogGap(gap);
                // The log itself tells all the same.
                events.offer(Event::Unit(UnitEvent { unit: unit.clone(), incarnation, what }));
            };
            let what = What::Drained(tap.copy(ended, missing).await);
            let _over = events.send(Event::Unit(UnitEvent { unit, incarnation, what })).await;
        });
    }

    /// Nothing runs below the level that the operator demands.
    pub(super) fn allowed(&self, name: &str) -> Result<(), LaunchError> {
        let supervision = &self.settings.plan.supervision;
        let worker = name != GATEWAY && name != EGRESS;
        if worker && supervision.require_limits {
            limits_in_force()?;
        }
        if supervision.mode == SandboxMode::Off {
            return Ok(());
        }
        if self.ground.level == Level::L1 && rustix::process::geteuid().is_root() {
            let remedies = self.measured.as_ref().map(|m| m.remedies.join(" ")).unwrap_or_default();
            return Err(refused(&format!("{ROOT_AT_L1} {remedies}")));
        }
        let floor = match supervision.floor {
            Floor::L1 => Level::L1,
            Floor::L2 => Level::L2,
            Floor::L3 => Level::L3,
        };
        // Gateway and egress run below the floor, so that somebody can tell; but never without any isolation.
        if self.ground.level >= floor || (!worker && self.ground.level >= Level::L1) {
            return Ok(());
        }
        let (reasons, remedies) =
            self.measured.as_ref().map(|m| (m.reasons.join(" "), m.remedies.join(" "))).unwrap_or_default();
        Err(refused(&format!(
            "This machine gives isolation level {}, and sandbox.floor is {floor}. {reasons} {remedies}",
            self.ground.level
        )))
    }

    /// A launch came to its end.
    pub(super) fn launched(&mut self, name: &str, outcome: Result<Process, LaunchError>) {
        let process = match outcome {
            Ok(process) => process,
            Err(error) => {
                // A stage that was killed may have left what nobody was told of.
                self.expect_orphans();
                if let Some(member) = self.members.get_mut(name) {
                    (member.pending_link, member.log_end) = (None, None);
                }
                return self.apply(name, machine::Event::LaunchFailed(failure(error)));
            }
        };
        let Some(member) = self.members.get_mut(name) else { return };
        member.give_up = None;
        member.isolation = Some(isolation(&process.0.isolation));
        member.process = Some(process.clone());
        let (role, incarnation) = (member.role, member.machine.incarnation());
        let (link, worker) = (member.pending_link.take(), member.is_worker());
        match link {
            Some(link) if worker => {
                let listener = process.0.listener.as_ref().and_then(|(fd, _)| fd.try_clone().ok());
                self.keep.keep(name, role, incarnation, link, listener);
                self.attach(name);
                self.attach_egress(name);
            }
            Some(link) => self.open_peer(name, incarnation, link),
            None => {}
        }
        self.journal.record(Told {
            pid: Some(process.0.pid),
            detail: Some(format!("isolation {}", process.0.isolation.level)),
            ..Told::of_unit(EventKind::Launched, name, incarnation)
        });
        self.apply(name, machine::Event::Launched);
    }

    /// The process of a unit ended.
    pub(super) fn exited(&mut self, name: &str, exit: Exit) {
        self.hold_back(name);
        let (code, signal, core) = match exit {
            Exit::Code(code) => (Some(code), None, false),
            Exit::Signal(signal) => (None, Some(signal), false),
            Exit::Dumped(signal) => (None, Some(signal), true),
        };
        let process = self.members.get(name).and_then(|member| member.process.as_ref());
        let oom = process.is_some_and(Process::oom);
        self.apply(name, machine::Event::Ended(machine::Exit { code, signal, core, oom }));
    }

    /// Workers that fall together again and again come back one after the other.
    fn hold_back(&mut self, name: &str) {
        let workers = self.members.values().filter(|member| member.is_worker()).count();
        let now = self.now();
        let Some(member) = self.members.get_mut(name).filter(|member| member.is_worker()) else { return };
        let unasked = matches!(member.machine.state(), UnitState::Starting | UnitState::Running);
        if unasked {
            member.machine.hold_back(self.pace.grant(now, workers));
        }
    }

    /// Clears away what belonged to an incarnation.
    pub(super) fn ended(&mut self, name: &str, incarnation: u64, mut end: End) {
        let now = self.now();
        let Some(member) = self.members.get_mut(name) else { return };
        let words = member.take_last_words(incarnation, end.cause);
        end.detail = end.detail.or(words);
        let sentence = format!("{name} {}{}", told(&end), outlook(name, &member.machine, now));
        if end.cause == ExitCause::Stopped {
            tracing::info!("{sentence}");
        } else {
            tracing::warn!("{sentence}");
        }
        let process = member.process.take();
        self.journal.record(Told {
            pid: process.map(|process| process.0.pid),
            cause: Some(end.cause),
            code: end.exit.code,
            signal: end.exit.signal,
            core: end.exit.core,
            stage: end.stage.clone(),
            errno: end.errno,
            next: Some(member.machine.state()),
            detail: end.detail.clone(),
            ..Told::of_unit(EventKind::Ended, name, incarnation)
        });
        (member.pending_link, member.peer) = (None, None);
        if member.role == Role::Gateway {
            *self.listener.borrow_mut() = None;
        }
        (member.log_end, member.isolation, member.give_up) = (None, None, None);
        member.last_exit = Some(LastExit {
            cause: end.cause,
            code: end.exit.code,
            signal: end.exit.signal,
            core: end.exit.core,
            stage: end.stage,
            errno: end.errno,
            detail: end.detail,
            at_ms: now_ms(),
        });
        if self.keep.release(name) {
            self.post(
                GATEWAY,
                Outgoing::Gone(UnitGone { unit: name.to_owned(), incarnation, cause: end.cause }),
            );
            self.detach_egress(name, incarnation);
        }
    }
}

/// Waits for the end of an incarnation and tells the tree.
pub(super) async fn tell_end(events: Events, unit: String, incarnation: u64, process: Process) {
    // Somebody else cannot have reaped it; if so, it is gone all the same.
    let exit = process.ended().await.unwrap_or(Exit::Code(-1));
    let _over = events.send(Event::Unit(UnitEvent { unit, incarnation, what: What::Exited(exit) })).await;
}

/// How an incarnation ended, in words.
fn told(end: &End) -> String {
    let how = match (end.exit.code, end.exit.signal) {
        (_, Some(signal)) if end.exit.core => format!(" (signal {signal}, core dumped)"),
        (_, Some(signal)) => format!(" (signal {signal})"),
        (Some(code), _) => format!(" (code {code})"),
        _ => String::new(),
    };
    let what = match end.cause {
        ExitCause::Clean | ExitCause::Failed => "ended by itself",
        ExitCause::Signal => "was killed by somebody else",
        ExitCause::LaunchFailed => "could not be launched",
        ExitCause::StartTimeout => "was not ready in time and was ended",
        ExitCause::Watchdog => "hung and was ended",
        ExitCause::Protocol => "broke the protocol and was ended",
        ExitCause::Sandbox if end.exit.signal == Some(SIGSYS) => {
            "did what its sandbox forbids and was killed"
        }
        ExitCause::Sandbox => "is confined less than it must be and was ended",
        ExitCause::Config => "found its configuration wrong",
        ExitCause::Stopped => "ended as asked",
        ExitCause::Oom => "used more memory than it may and was killed by the kernel",
        ExitCause::Busy => "could not have what it needs at the moment",
    };
    let detail = end.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{what}{how}{detail}")
}

/// What comes next, in words.
fn outlook(name: &str, machine: &Machine, now: At) -> String {
    match (machine.state(), machine.deadline()) {
        (UnitState::Backoff, Some(at)) => {
            format!(" Next attempt in {:.1} s.", at.saturating_sub(now).as_secs_f64())
        }
        (UnitState::Quarantined, _) => {
            format!(" It is set aside until `creel restart {name}` or a changed configuration.")
        }
        _ => String::new(),
    }
}

/// `sandbox.requireLimits`: memory and tasks of whole units must be bounded.
fn limits_in_force() -> Result<(), LaunchError> {
    let why = match cgroup::here() {
        Ok(groups) if groups.controllers().suffice() => return Ok(()),
        Ok(groups) => format!("{}.", groups.controllers().gaps().join("; ")),
        Err(why) => why,
    };
    Err(refused(&format!(
        "The limits of whole units cannot be enforced here, and sandbox.requireLimits is true. {why}"
    )))
}

fn failure(error: LaunchError) -> Failure {
    let detail = error.to_string();
    Failure { stage: error.stage.to_string(), errno: error.errno, detail }
}

fn hung() -> LaunchError {
    let sentence = "The launch came to no end in time and was given up.".to_owned();
    LaunchError { stage: Stage::Lost, errno: None, sentence }
}

fn refused(sentence: &str) -> LaunchError {
    LaunchError { stage: Stage::Spec, errno: None, sentence: sentence.trim_end().to_owned() }
}

/// The launcher's account in the words of the wire.
pub(crate) fn isolation(measured: &creel_launch::Isolation) -> Isolation {
    Isolation {
        level: measured.level.to_string(),
        namespaces: measured.namespaces.clone(),
        landlock_abi: measured.landlock_abi,
        seccomp_filters: measured.seccomp_programs,
        no_new_privs: measured.no_new_privs,
        uid: measured.uid,
        gaps: measured.gaps.clone(),
        selftest: None,
    }
}
