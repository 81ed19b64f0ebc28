//! The tree between two programs: taken apart at a quiet moment, put together by the next.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use creel_launch::succession::Inherited;
use creel_launch::{LaunchError, Launched};
use creel_link::{Link, Vitals};
use tokio::sync::oneshot;

use super::launch::tell_end;
use super::member::Member;
use super::{EGRESS, GATEWAY, Tree, upgrade};
use crate::denials::Ring;
use crate::logs::reader::{self, Tap};
use crate::tool::run::RunFds;
use crate::tool::{Run, Runs};
use crate::unit::process::Process;
use crate::upgrade::carried::{FORMAT, GoingState, LinkState, MemberState, ProcessState, TapState};
use crate::upgrade::{Baggage, Carried, UpgradeError, monotonic};

impl Tree {
    /// Everything that the next program has to know. Complete only while the tree is quiet.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(super) fn carried(&self) -> io::Result<(Carried, Baggage)> {
        let mut baggage = Baggage::default();
        let locks = self.locks.iter().map(|lock| baggage.lend(&lock.file())).collect::<io::Result<_>>()?;
        let clients = self.clients.state(&mut baggage)?;
        let keep = self.keep.state(&mut baggage)?;
        let mut members = BTreeMap::new();
        let mut peers = BTreeMap::new();
        for (name, member) in &self.members {
            let process =
                member.process.as_ref().map(|process| lend_process(&mut baggage, process)).transpose()?;
            let state = MemberState {
                machine: member.machine.clone(),
                process,
                isolation: member.isolation.clone(),
                last_exit: member.last_exit.clone(),
                held: member.held,
                program: member.program,
            };
            members.insert(name.clone(), state);
            if let Some(peer) = &member.peer
                && let Some((state, socket)) = peer.link.state()?
            {
                let socket = baggage.lend(&socket)?;
                peers.insert(name.clone(), LinkState { socket, peer: state, welcomed: peer.welcomed });
            }
        }
        let mut taps = Vec::new();
        for ((unit, incarnation), tap) in &self.taps {
            let alive = self.members.get(unit).is_some_and(|member| {
                member.log_end.is_some() && member.machine.incarnation() == *incarnation
            });
            taps.push(TapState {
                unit: unit.clone(),
                incarnation: *incarnation,
                pipe: baggage.lend(&tap.pipe())?,
                cutter: tap.cutter(),
                ended: !alive,
            });
        }
        let mut going = Vec::new();
        for (id, run) in self.runs.going() {
            let killed = run.is_told();
            let Some((run, at)) = &run.run else { continue };
            let [out, err] = run.pipes();
            going.push(GoingState {
                id: id.clone(),
                at: *at,
                process: lend_process(&mut baggage, &run.process)?,
                pipes: [baggage.lend(&out)?, baggage.lend(&err)?],
                input: run.input().as_ref().map(|input| baggage.lend(input)).transpose()?,
                killed,
                run: run.state(),
            });
        }
        let age = u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX);
        let outside = creel_config::disk::environment();
        let found = self.source.env.iter().filter(|(name, _)| !outside.contains_key(*name));
        let now = monotonic();
        let carried = Carried {
            format: FORMAT,
            pid: std::process::id(),
            lent: baggage.numbers(),
            stopped: now,
            started: now.saturating_sub(age),
            journal: self.journal.state(),
            found: found.map(|(name, value)| (name.clone(), value.clone())).collect(),
            locks,
            clients,
            config_file: self.ground.config_file.clone(),
            generation: self.generation,
            config_error: self.config_error.clone(),
            measured: self.measured.clone(),
            pace: self.pace,
            members,
            keep,
            peers,
            taps,
            put_off: self.upgrade.put_off_launches(),
            runs: self.runs.state(),
            denials: self.denials.state(),
            going,
            book: self.book.state(),
            upgrade: self.upgrade.state.clone(),
            roll: self.upgrade.roll,
        };
        Ok((carried, baggage))
    }

    /// What the tree of the program before this one has besides its ground.
    ///
    /// # Errors
    /// What does not fit; nothing of it was changed then, and the program before can go on.
    pub fn resume(&mut self, carried: Carried, inherited: Inherited) -> Result<(), UpgradeError> {
        let age = Duration::from_nanos(monotonic().saturating_sub(carried.started));
        let now = Instant::now();
        self.started = now.checked_sub(age).unwrap_or(now);
        (self.generation, self.config_error, self.pace) =
            (carried.generation, carried.config_error, carried.pace);
        let rules = self.settings.plan.supervision.rules.clone();
        for (name, state) in carried.members {
            let Some(member) = self.members.get_mut(&name) else {
                let sentence = format!("the unit {name} runs, and the configuration has none of that name");
                return Err(UpgradeError::Unreadable(sentence));
            };
            member.machine = state.machine;
            member.set_rules(rules.clone());
            member.process = state.process.map(|state| take_process(&inherited, state)).transpose()?;
            (member.isolation, member.last_exit) = (state.isolation, state.last_exit);
            (member.held, member.program) = (state.held, state.program);
        }
        for state in carried.taps {
            let (end, ended) = oneshot::channel();
            if let Some(member) = self.members.get_mut(&state.unit).filter(|_| !state.ended) {
                member.log_end = Some(end);
            }
            let pipe = reader::receiver(inherited.get(state.pipe.0)?)?;
            let tap = Tap::new(pipe, self.book.log(&state.unit), state.cutter);
            self.read_log(&state.unit, state.incarnation, tap, ended);
        }
        for name in [EGRESS, GATEWAY] {
            let Some(state) = carried.peers.get(name) else { continue };
            let opened = Link::resume(inherited.get(state.socket.0)?, state.peer.clone(), Vitals::default())?;
            let incarnation = self.members.get(name).map_or(0, |member| member.machine.incarnation());
            self.put_to_work(name, incarnation, opened, state.welcomed);
        }
        self.runs = Runs::resume(carried.runs);
        self.denials = Ring::resume(carried.denials);
        for state in carried.going {
            let process = take_process(&inherited, state.process)?;
            let [out, err] = state.pipes;
            let input = state.input.map(|input| inherited.get(input.0)).transpose()?;
            let fds = RunFds { out: inherited.get(out.0)?, err: inherited.get(err.0)?, input };
            let unwatched = |error: LaunchError| UpgradeError::Unreadable(error.to_string());
            let run = Run::resume(state.run, process, fds, state.killed).map_err(unwatched)?;
            self.go_on_with(state.id, run, state.at);
        }
        for (name, member) in &self.members {
            if let Some(process) = &member.process {
                let (events, process) = (self.events.clone(), process.clone());
                let end = tell_end(events, name.clone(), member.machine.incarnation(), process);
                tokio::task::spawn_local(end);
            }
        }
        let kept = self.members.values().filter(|member| member.process.is_some()).count();
        let took = Duration::from_nanos(monotonic().saturating_sub(carried.stopped));
        self.upgrade = upgrade::Upgrade::confirming(
            carried.upgrade,
            carried.roll,
            carried.put_off,
            inherited,
            (kept, took),
            self.now(),
        );
        Ok(())
    }

    /// Starts what the configuration has and the program before this one did not know.
    pub(super) fn start_the_unknown(&mut self) {
        let fresh = |member: &&Member| member.machine.incarnation() == 0 && !member.held;
        let names: Vec<String> =
            self.members.values().filter(fresh).map(|member| member.unit.name.to_string()).collect();
        for name in names {
            self.apply(&name, crate::unit::machine::Event::Start);
        }
    }
}

fn lend_process(baggage: &mut Baggage, process: &Process) -> io::Result<ProcessState> {
    let launched = &process.0;
    let listener = match &launched.listener {
        Some((fd, port)) => Some((baggage.lend(fd)?, *port)),
        None => None,
    };
    let layers = launched.layers.iter().map(|layer| baggage.lend(layer)).collect::<io::Result<_>>()?;
    Ok(ProcessState {
        layers,
        pid: launched.pid,
        pidfd: baggage.lend(&launched.pidfd)?,
        listener,
        group: process.group_path().map(Into::into),
        isolation: launched.isolation.clone(),
        sweeps: launched.sweeps(),
    })
}

fn take_process(inherited: &Inherited, state: ProcessState) -> io::Result<Process> {
    let listener = match state.listener {
        Some((fd, port)) => Some((inherited.get(fd.0)?, port)),
        None => None,
    };
    let pidfd = inherited.get(state.pidfd.0)?;
    let layers = state.layers.iter().map(|layer| inherited.get(layer.0)).collect::<io::Result<_>>()?;
    let launched = Launched::inherit(state.pid, pidfd, listener, layers, state.isolation, state.sweeps);
    Process::inherit(launched, state.group)
}
