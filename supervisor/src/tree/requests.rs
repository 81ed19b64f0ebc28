//! Requests of the gateway and of the command line.

use std::rc::Rc;
use std::time::Duration;

use creel_ipc::ErrorClass;
use creel_ipc::msg::Empty;
use creel_ipc::msg::control::{Stop, Upgrade, UpgradeStatus};
use creel_ipc::msg::egress::EgressTest;
use creel_ipc::msg::event::EventKind;
use creel_ipc::msg::process::{ProcessKill, ProcessList, ProcessPoll, ProcessStart, ProcessWrite};
use creel_ipc::msg::sandbox::{SandboxExplain, SandboxHomes, SandboxPrune, SandboxWhy};
use creel_ipc::msg::supervisor::{
    ConfigReload, DatabaseDial, UnitName, UnitRestart, UnitStart, UnitStop, UnitsStatus,
};
use creel_ipc::msg::tool::{ToolKill, ToolRun};
use creel_ipc::rpc::{Request, RpcError, params};
use creel_link::Link;
use serde::Serialize;
use serde_json::Value;

use super::Tree;
use crate::link::Outgoing;
use crate::unit::machine;

/// How long a client of the control socket may take to take its answer.
pub(super) const WRITE_DEADLINE: Duration = Duration::from_secs(5);

impl Tree {
    /// A request of gateway or egress.
    pub(super) fn peer_request(&mut self, name: &str, id: u64, method: &str, given: Value) {
        if !self.is_gateway(name) {
            return self.post(name, Outgoing::Answer(id, Err(RpcError::no_method(method))));
        }
        let outcome = match method {
            ToolRun::METHOD => match params(method, given) {
                Ok(given) => return self.tool_run(id, given),
                Err(error) => Err(error),
            },
            ToolKill::METHOD => params(method, given).and_then(|given| {
                self.tool_kill(&given);
                answer(&Empty {})
            }),
            DatabaseDial::METHOD => match params(method, given) {
                Ok(given) => return self.database_dial(id, given),
                Err(error) => Err(error),
            },
            ProcessStart::METHOD => {
                params(method, given).and_then(|given| answer(&self.process_start(given)?))
            }
            ProcessPoll::METHOD => {
                params(method, given).and_then(|given| answer(&self.process_poll(&given)?))
            }
            ProcessList::METHOD => params(method, given).and_then(|given| answer(&self.process_list(&given))),
            ProcessWrite::METHOD => {
                params(method, given).and_then(|given| answer(&self.process_write(&given)?))
            }
            ProcessKill::METHOD => params(method, given).and_then(|given| answer(&self.process_kill(given)?)),
            _ => self.common(method, given, None),
        };
        self.post(name, Outgoing::Answer(id, outcome));
    }

    /// A request over the control socket.
    pub(super) fn control_request(&mut self, link: Link, id: u64, method: &str, given: Value, uid: u32) {
        let outcome = match method {
            EgressTest::METHOD => match params(method, given) {
                Ok(asked) => return self.egress_test(link, id, asked),
                Err(error) => Err(error),
            },
            SandboxExplain::METHOD => {
                let begun = params(method, given).and_then(|given| self.explain(link.clone(), id, &given));
                match begun {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            SandboxHomes::METHOD => return self.homes(link, id, None),
            SandboxPrune::METHOD => match params(method, given) {
                Ok(asked) => return self.homes(link, id, Some(asked)),
                Err(error) => Err(error),
            },
            SandboxWhy::METHOD => {
                params(method, given).and_then(|given| answer(&self.denials.answer(&given)))
            }
            Stop::METHOD => {
                self.stop("the command line", Some(uid));
                answer(&Empty {})
            }
            Upgrade::METHOD => params(method, given).and_then(|given| {
                self.begin_upgrade(given)?;
                answer(&self.upgrade.state)
            }),
            UpgradeStatus::METHOD => answer(&self.upgrade.state),
            _ => self.common(method, given, Some(uid)),
        };
        let answers = Rc::clone(&self.answers);
        answers.set(answers.get() + 1);
        tokio::task::spawn_local(async move {
            // A client that does not read loses its answer, not our time.
            let _late = tokio::time::timeout(WRITE_DEADLINE, link.respond(id, outcome)).await;
            answers.set(answers.get() - 1);
        });
    }

    /// `uid` is the operator's; none when the gateway asks.
    fn common(&mut self, method: &str, given: Value, uid: Option<u32>) -> Result<Value, RpcError> {
        match method {
            UnitsStatus::METHOD => answer(&self.units(uid.is_some())),
            UnitRestart::METHOD => self.order(params(method, given)?, EventKind::OperatorRestart, uid),
            UnitStop::METHOD => self.order(params(method, given)?, EventKind::OperatorStop, uid),
            UnitStart::METHOD => self.order(params(method, given)?, EventKind::OperatorStart, uid),
            ConfigReload::METHOD => answer(&self.reload(uid)?),
            _ => Err(RpcError::no_method(method)),
        }
    }

    /// What an operator, or the gateway for one, wants of a unit. One that was stopped is held down until it is wanted again.
    fn order(
        &mut self,
        UnitName { unit }: UnitName,
        kind: EventKind,
        uid: Option<u32>,
    ) -> Result<Value, RpcError> {
        self.known(&unit)?;
        let (done, held, event) = match kind {
            EventKind::OperatorStop => ("stopped", true, machine::Event::Stop),
            EventKind::OperatorStart => ("started", false, machine::Event::Start),
            _ => ("restarted", false, machine::Event::Restart),
        };
        tracing::info!("{unit} is {done} on request.");
        self.record_order(kind, &unit, uid);
        self.set_held(&unit, held);
        if held {
            self.kill_processes_of(&unit);
        }
        self.apply(&unit, event);
        answer(&Empty {})
    }

    /// Whether something can be asked of this unit.
    fn known(&self, unit: &str) -> Result<(), RpcError> {
        if self.stopping.is_some() {
            return Err(RpcError::new(ErrorClass::Conflict, "Creel is about to stop."));
        }
        if !self.members.contains_key(unit) {
            let known = self.plan_order().join(", ");
            let sentence = format!("There is no unit \"{unit}\"; there are: {known}.");
            return Err(RpcError::new(ErrorClass::BadRequest, sentence));
        }
        Ok(())
    }
}

pub(super) fn answer<T: Serialize>(result: &T) -> Result<Value, RpcError> {
    serde_json::to_value(result)
        .map_err(|error| RpcError::new(ErrorClass::BadRequest, format!("The result is no JSON: {error}.")))
}
