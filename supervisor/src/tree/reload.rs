//! A new configuration: read and checked whole, then applied as a difference.

use creel_config::gateway::ReloadMode;
use creel_config::plan::{Unit, UnitChange, UnitKind};
use creel_config::{LoadError, Plan};
use creel_ipc::ErrorClass;
use creel_ipc::msg::event::{Event as Told, EventKind};
use creel_ipc::msg::supervisor::{ConfigApplied, Reloaded};
use creel_ipc::msg::unit::{ExitCause, UnitState};
use creel_ipc::rpc::RpcError;

use super::{GATEWAY, Member, Tree};
use crate::link::Outgoing;
use crate::settings::Settings;
use crate::unit::machine::Event;

impl Tree {
    /// On SIGHUP: nobody waits for the answer, the log has it.
    pub(super) fn reload_and_tell(&mut self) {
        match self.reload(None) {
            Ok(reloaded) if reloaded.changes.is_empty() => {
                tracing::info!("The configuration changes nothing.");
            }
            Ok(reloaded) => tracing::info!("The configuration is applied: {}", reloaded.changes.join(" ")),
            Err(error) => tracing::error!("The configuration stays as it was: {error}"),
        }
    }

    /// Reads the file again and applies what changed. Whatever is wrong with it changes nothing.
    pub(super) fn reload(&mut self, uid: Option<u32>) -> Result<Reloaded, RpcError> {
        if self.stopping.is_some() {
            return Err(RpcError::new(ErrorClass::Conflict, "Creel is about to stop."));
        }
        // Only once it is up: a service that starts is no service that reloads.
        let up =
            self.members.get(GATEWAY).is_some_and(|gateway| gateway.machine.state() == UnitState::Running);
        if up {
            crate::notify::reloading();
        }
        let outcome = self.reread(uid);
        if up {
            crate::notify::ready();
        }
        outcome
    }

    fn reread(&mut self, uid: Option<u32>) -> Result<Reloaded, RpcError> {
        let outcome = self.source.read().map_err(|error: LoadError| error.to_string());
        let outcome = outcome.and_then(|settings| {
            self.bind(&settings)?;
            Ok(settings)
        });
        match outcome {
            Ok(settings) => {
                self.config_error = None;
                let reloaded = self.adopt(settings);
                let changes = match reloaded.changes.is_empty() {
                    true => "No unit had to change.".to_owned(),
                    false => reloaded.changes.join(" "),
                };
                let detail = format!("Configuration {}. {changes}", reloaded.generation);
                self.journal.record(Told { uid, ..Told::told(EventKind::ReloadApplied, detail) });
                Ok(reloaded)
            }
            Err(error) => {
                self.config_error = Some(error.clone());
                self.journal.record(Told { uid, ..Told::told(EventKind::ReloadRefused, error.clone()) });
                Err(RpcError::new(ErrorClass::ConfigFatal, error))
            }
        }
    }

    fn bind(&mut self, settings: &Settings) -> Result<(), String> {
        let gateway = settings.plan.units.iter().find_map(|unit| match &unit.kind {
            UnitKind::Gateway { port, bind, .. } => Some((*bind, *port)),
            _ => None,
        });
        match gateway {
            Some((bind, port)) => self.keep.bind(bind, port).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn adopt(&mut self, settings: Settings) -> Reloaded {
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let old = std::mem::replace(&mut self.settings, settings);
        let moved = self.ground.config_file != self.settings.file;
        self.ground.config_file.clone_from(&self.settings.file);
        self.ground.log_level = self.settings.log_level;
        self.book.set_rules(self.settings.logs);
        if old.plan.supervision.mode != self.settings.plan.supervision.mode {
            self.measure();
            self.adopt_orphans();
        }
        let rules = self.settings.plan.supervision.rules.clone();
        for member in self.members.values_mut() {
            member.set_rules(rules.clone());
        }
        let mut changes = Plan::diff(&old.plan, &self.settings.plan);
        if moved {
            // It read the last good copy so far; its view and its file are others now.
            replace_gateway(&mut changes);
        }
        if old.plan.whole != self.settings.plan.whole || moved {
            self.generation += 1;
        }
        let sentences = changes.into_iter().filter_map(|change| self.change(change, &old.plan)).collect();
        self.retry_the_hopeless();
        self.settle_quotas();
        self.post(GATEWAY, Outgoing::Applied(ConfigApplied { generation: self.generation }));
        if let Err(error) = self.source.keep_last_good() {
            tracing::warn!("The last good configuration cannot be kept: {error}.");
        }
        Reloaded { generation: self.generation, changes: sentences }
    }

    fn change(&mut self, change: UnitChange, old: &Plan) -> Option<String> {
        let name = change.unit().to_string();
        let unit = self.settings.plan.unit(change.unit()).cloned();
        if let (Some(unit), Some(member)) = (&unit, self.member_named(change.unit())) {
            member.unit = unit.clone();
            member.leaving = false;
        }
        let mode = self.settings.plan.reload;
        let sentence = match &change {
            UnitChange::Start { .. } => {
                self.join(&name, unit?);
                format!("{name} is started.")
            }
            UnitChange::Stop { .. } => {
                self.leave(&name);
                format!("{name} is stopped.")
            }
            UnitChange::Restart { reason, .. } if mode == ReloadMode::Hot => {
                format!(
                    "{name} has to be restarted ({reason}), which gateway.reload.mode \"hot\" leaves to you."
                )
            }
            UnitChange::Restart { .. } if self.members.get(&name).is_some_and(|member| member.held) => {
                format!("{name} stays stopped; it has the new configuration when it is started.")
            }
            UnitChange::Restart { reason, .. } => {
                self.apply(&name, Event::Renew);
                format!("{name} is restarted: {reason}.")
            }
            UnitChange::Notify { .. } if mode == ReloadMode::Restart => {
                self.apply(&name, Event::Renew);
                format!("{name} is restarted: gateway.reload.mode is \"restart\".")
            }
            UnitChange::Notify { .. } | UnitChange::Keep { .. } => {
                self.tell_egress(unit.as_ref(), old);
                return None;
            }
        };
        Some(sentence)
    }

    fn join(&mut self, name: &str, unit: Unit) {
        let rules = self.settings.plan.supervision.rules.clone();
        self.members.entry(name.to_owned()).or_insert_with(|| Member::new(unit, rules));
        self.set_held(name, false);
        self.apply(name, Event::Start);
    }

    fn leave(&mut self, name: &str) {
        self.set_held(name, false);
        self.kill_processes_of(name);
        let Some(member) = self.members.get_mut(name) else { return };
        member.leaving = true;
        if member.machine.state() == UnitState::Stopped {
            self.members.remove(name);
        } else {
            self.apply(name, Event::Stop);
        }
    }

    fn tell_egress(&mut self, unit: Option<&Unit>, old: &Plan) {
        let Some((unit, before)) = unit.and_then(|unit| Some((unit, old.unit(&unit.name)?))) else { return };
        let budget = before.budget != unit.budget;
        if budget || before.egress != unit.egress {
            self.allow_egress(unit);
        }
        if let (UnitKind::Agent { id, tool_hosts, .. }, UnitKind::Agent { tool_hosts: were, .. }) =
            (&unit.kind, &before.kind)
            && (budget || tool_hosts != were)
        {
            self.change_ways(id.as_str());
        }
    }

    /// What failed for its configuration or could not be launched may work now.
    fn retry_the_hopeless(&mut self) {
        let hopeless = |member: &Member| {
            let state = matches!(member.machine.state(), UnitState::Quarantined | UnitState::Backoff);
            let cause = member.last_exit.as_ref().map(|last| last.cause);
            state && matches!(cause, Some(ExitCause::Config | ExitCause::LaunchFailed))
        };
        let names: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| hopeless(member))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.apply(&name, Event::Changed);
        }
    }
}

fn replace_gateway(changes: &mut [UnitChange]) {
    for change in changes {
        if let UnitChange::Notify { unit } | UnitChange::Keep { unit } = change
            && unit.to_string() == GATEWAY
        {
            let reason = "it reads the operator's file again".to_owned();
            *change = UnitChange::Restart { unit: unit.clone(), reason };
        }
    }
}
