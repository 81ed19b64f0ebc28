//! Every method of Creel's own links, with the schema of what it carries: the source of `schema/*.json` and of
//! `creel schema`.

use schemars::{JsonSchema, Schema, schema_for};

use crate::hello::{Hello, Ready, Reconfigure, Reject, Renew, Welcome};
use crate::msg::{Ping, agent, channel, control, egress, supervisor, tool};
use crate::rpc::{Notify, Request};

/// One method.
#[derive(Debug, Clone)]
pub struct Method {
    /// Its name on the wire.
    pub name: &'static str,
    /// What is sent.
    pub params: Schema,
    /// What is answered; absent for notifications.
    pub result: Option<Schema>,
}

fn request<M: Request>() -> Method {
    Method { name: M::METHOD, params: schema_for!(M::Params), result: Some(schema_for!(M::Result)) }
}

fn notify<M: Notify>() -> Method
where
    M::Params: JsonSchema,
{
    Method { name: M::METHOD, params: schema_for!(M::Params), result: None }
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
        request::<agent::StepEnd>(),
        request::<agent::TurnDone>(),
        request::<agent::TurnAbort>(),
        notify::<agent::TurnDelta>(),
        notify::<agent::TurnTool>(),
        notify::<agent::TurnModel>(),
        request::<tool::ToolRun>(),
        notify::<tool::ToolOutput>(),
        request::<tool::ToolKill>(),
        notify::<supervisor::GatewayListen>(),
        notify::<supervisor::UnitAttached>(),
        notify::<supervisor::UnitGone>(),
        notify::<supervisor::UnitChanged>(),
        notify::<supervisor::UnitReady>(),
        notify::<supervisor::UnitFault>(),
        notify::<supervisor::UnitDenied>(),
        request::<supervisor::UnitsStatus>(),
        request::<supervisor::UnitRestart>(),
        request::<supervisor::ConfigReload>(),
        notify::<supervisor::ConfigApplied>(),
        notify::<supervisor::Shutdown>(),
        notify::<egress::EgressAttach>(),
        notify::<egress::EgressAllow>(),
        notify::<egress::EgressDetach>(),
        notify::<egress::EgressDenied>(),
        request::<control::Stop>(),
        request::<control::Logs>(),
        notify::<control::LogLines>(),
    ]
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
