//! Background processes of agents, relayed: the supervisor has them, and an agent cannot say whose they are.

use creel_ipc::msg::process::{
    ProcessKill, ProcessKillParams, ProcessList, ProcessListParams, ProcessPoll, ProcessPollParams,
    ProcessStart, ProcessStartParams, ProcessWrite, ProcessWriteParams,
};
use creel_ipc::{Request, RpcError};
use serde_json::Value;

use super::agent::{reply, tools};
use super::worker::Attached;

/// Parameters that say whose a process is.
trait Owned {
    /// Says it, whatever the worker said.
    fn attribute(&mut self, this: &Attached) -> Result<(), RpcError>;
}

impl Owned for ProcessStartParams {
    fn attribute(&mut self, this: &Attached) -> Result<(), RpcError> {
        tools::attribute(this, &mut self.command)
    }
}

macro_rules! owned {
    ($($params:ty),*) => {$(
        impl Owned for $params {
            fn attribute(&mut self, this: &Attached) -> Result<(), RpcError> {
                this.name().clone_into(&mut self.agent);
                Ok(())
            }
        }
    )*};
}

owned!(ProcessPollParams, ProcessListParams, ProcessWriteParams, ProcessKillParams);

/// Answers a request for a process, if it is one.
pub(super) async fn process(this: &Attached, id: u64, method: &str, params: Value) {
    match method {
        ProcessStart::METHOD => pass::<ProcessStart>(this, id, params).await,
        ProcessPoll::METHOD => pass::<ProcessPoll>(this, id, params).await,
        ProcessList::METHOD => pass::<ProcessList>(this, id, params).await,
        ProcessWrite::METHOD => pass::<ProcessWrite>(this, id, params).await,
        ProcessKill::METHOD => pass::<ProcessKill>(this, id, params).await,
        _ => this.link.respond(id, Err(RpcError::no_method(method))).await,
    }
}

async fn pass<M>(this: &Attached, id: u64, params: Value)
where
    M: Request<Params: Owned>,
{
    reply::<M, _, _>(this, id, params, |this, mut params| async move {
        tools::may_run(&this)?;
        params.attribute(&this)?;
        tools::supervisor(&this.core)?.call::<M>(&params).await.map_err(tools::wire)
    })
    .await;
}
