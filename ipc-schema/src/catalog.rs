//! Every method of Creel's own links, with the schema of what it carries: the source of `schema/*.json`.

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::hello::{Hello, Ready, Reconfigure, Reject, Renew, Welcome};
use crate::msg::{Ping, agent, channel, control, egress, event, process, sandbox, supervisor, tool};
use crate::rpc::{Notify, Request};

/// One method.
#[derive(Debug, Clone)]
pub struct Method {
    /// Its name on the wire.
    pub name: &'static str,
    /// What is sent.
    pub params: Shape,
    /// What is answered; absent for notifications.
    pub result: Option<Shape>,
}

/// A type of the wire, without its type.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its JSON Schema.
    pub schema: fn() -> Schema,
    /// Reads a value as the type and writes it back: what a receiver keeps of it.
    pub through: fn(Value) -> Result<Value, serde_json::Error>,
}

impl Shape {
    fn of<T: Serialize + DeserializeOwned + JsonSchema>() -> Self {
        Self {
            schema: || schema_for!(T),
            through: |value| serde_json::to_value(serde_json::from_value::<T>(value)?),
        }
    }
}

fn request<M: Request>() -> Method {
    Method { name: M::METHOD, params: Shape::of::<M::Params>(), result: Some(Shape::of::<M::Result>()) }
}

fn notify<M: Notify>() -> Method {
    Method { name: M::METHOD, params: Shape::of::<M::Params>(), result: None }
}

/// All methods, in the order in which a reader would want to meet them.
pub fn methods() -> Vec<Method> {
    vec![
        notify::<Hello>(),
        notify::<Welcome>(),
        notify::<Reject>(),
        notify::<Renew>(),
        notify::<Ready>(),
        notify::<Reconfigure>(),
        request::<Ping>(),
        notify::<channel::Lease>(),
        request::<channel::InboundMessage>(),
        request::<channel::SendMessage>(),
        notify::<channel::PartSent>(),
        notify::<channel::Typing>(),
        notify::<channel::Draft>(),
        notify::<channel::ChannelStatus>(),
        request::<agent::TurnStart>(),
        request::<agent::TurnContext>(),
        request::<agent::TurnJournal>(),
        request::<agent::StepBegin>(),
        request::<agent::TurnAsk>(),
        request::<agent::StepEnd>(),
        request::<agent::TurnDone>(),
        request::<agent::TurnAbort>(),
        notify::<agent::TurnDelta>(),
        notify::<agent::TurnTool>(),
        notify::<agent::TurnModel>(),
        request::<tool::ToolRun>(),
        notify::<tool::ToolOutput>(),
        notify::<tool::ToolRefused>(),
        request::<tool::ToolKill>(),
        request::<process::ProcessStart>(),
        request::<process::ProcessPoll>(),
        request::<process::ProcessList>(),
        request::<process::ProcessWrite>(),
        request::<process::ProcessKill>(),
        notify::<supervisor::GatewayListen>(),
        request::<supervisor::DatabaseDial>(),
        notify::<supervisor::DatabaseDialed>(),
        notify::<supervisor::UnitAttached>(),
        notify::<supervisor::UnitGone>(),
        notify::<supervisor::UnitChanged>(),
        notify::<supervisor::UnitReady>(),
        notify::<supervisor::UnitFault>(),
        notify::<supervisor::UnitDenied>(),
        request::<supervisor::UnitsStatus>(),
        request::<supervisor::UnitRestart>(),
        request::<supervisor::UnitStop>(),
        request::<supervisor::UnitStart>(),
        request::<supervisor::UnitDrain>(),
        request::<supervisor::ConfigReload>(),
        notify::<supervisor::ConfigApplied>(),
        notify::<supervisor::Shutdown>(),
        notify::<egress::EgressAttach>(),
        notify::<egress::EgressAllow>(),
        notify::<egress::EgressDetach>(),
        notify::<egress::EgressDenied>(),
        request::<egress::EgressTest>(),
        request::<control::Stop>(),
        request::<control::Upgrade>(),
        request::<control::UpgradeStatus>(),
        request::<control::Logs>(),
        notify::<control::LogLines>(),
        request::<event::Events>(),
        notify::<event::NewEvent>(),
        request::<sandbox::SandboxExplain>(),
        request::<sandbox::SandboxWhy>(),
        request::<sandbox::SandboxHomes>(),
        request::<sandbox::SandboxPrune>(),
    ]
}

/// The files of `schema/`: for each method its name and the text with the schemas of parameters and result.
pub fn schema_files() -> Vec<(String, String)> {
    let file = |method: Method| {
        let mut schema = serde_json::json!({ "method": method.name, "params": (method.params.schema)() });
        if let Some(result) = method.result {
            schema["result"] = (result.schema)().to_value();
        }
        (format!("{}.json", method.name), format!("{schema:#}\n"))
    };
    methods().into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_used_twice() {
        let mut names: Vec<_> = methods().iter().map(|method| method.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
