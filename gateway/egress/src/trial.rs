//! What would happen to a connection that nobody opens: `creel egress test`.

use std::sync::Arc;

use creel_ipc::msg::egress::{EgressTestParams, EgressTestResult};
use creel_ipc::reach::{Host, Target, find};
use creel_ipc::{ErrorClass, RpcError};

use crate::proxy;
use crate::way::Way;

/// Decides as for a connection of the unit, without its budget; `connect` dials and sends nothing.
pub(crate) async fn answer(
    way: Option<Arc<Way>>,
    asked: &EgressTestParams,
) -> Result<EgressTestResult, RpcError> {
    let bad = |sentence: String| RpcError::new(ErrorClass::BadRequest, sentence);
    let way = way.ok_or_else(|| bad(format!("{} has no listener at egress now.", asked.unit)))?;
    let host = Host::parse(&asked.host).map_err(|error| bad(format!("{:?}: {error}.", asked.host)))?;
    let target = Target { host, port: asked.port };
    let (terms, mut result) = (way.terms(), EgressTestResult::default());
    let rule = match find(&way.unit, &terms.key, &terms.rules, &target) {
        Ok(rule) => rule,
        Err(refusal) => return Ok(EgressTestResult { reason: Some(refusal.to_string()), ..result }),
    };
    (result.rule, result.tls) = (Some(rule.source.clone()), rule.tls);
    let addresses = match proxy::resolve(&way, &terms, rule, &target.host).await {
        Ok(addresses) => addresses,
        Err(error) => return Ok(EgressTestResult { reason: Some(error.to_string()), ..result }),
    };
    result.allowed = true;
    result.addresses = addresses.iter().map(ToString::to_string).collect();
    if asked.connect {
        match proxy::dial(&target, &addresses).await {
            Ok(stream) => result.connected = stream.peer_addr().ok().map(|peer| peer.to_string()),
            Err(error) => result.reason = Some(error.to_string()),
        }
    }
    Ok(result)
}
