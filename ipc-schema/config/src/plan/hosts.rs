//! The hosts that a unit may reach.

use serde::Serialize;

use crate::config::{Config, ResolvedAgent};
use crate::endpoint::Endpoint;
use crate::found::Found;

/// One host that a unit may reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct EgressHost {
    /// Host name in lower case, or an address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken from the first byte, so that the server name can be checked.
    pub tls: bool,
    /// Whether the operator wrote this very host although it is on this machine or in a private network.
    pub private: bool,
}

/// Endpoints that the operator wrote: private ones are meant.
pub(super) fn written(endpoints: impl IntoIterator<Item = Endpoint>) -> Vec<EgressHost> {
    let host = |endpoint: Endpoint| EgressHost {
        private: endpoint.is_private(),
        host: endpoint.host,
        port: endpoint.port,
        tls: endpoint.tls,
    };
    let mut hosts: Vec<EgressHost> = endpoints.into_iter().map(host).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

impl Config {
    /// Every provider that the agent may use, and the hosts of `egress`. A provider that only a probe showed
    /// counts when the agent's own models name it.
    pub(super) fn agent_hosts(&self, agent: &ResolvedAgent, found: &Found) -> Vec<EgressHost> {
        let chain = self.model_chain(agent, found);
        let providers = self
            .providers(found)
            .into_iter()
            .filter(|(id, provider)| !provider.probed || chain.iter().any(|model| model.provider == *id))
            .filter_map(|(_, provider)| provider.url.map(|url| url.endpoint().clone()));
        let mut hosts = written(providers);
        // What stands in these lists is plain host:port; whether TLS is spoken there is the agent's business.
        let extra = self.egress.allow.iter().map(|entry| (entry, false));
        let private = self.egress.allow_private.iter().map(|entry| (entry, true));
        hosts.extend(extra.chain(private).map(|(entry, private)| EgressHost {
            host: entry.host.clone(),
            port: entry.port,
            tls: entry.port == 443,
            private,
        }));
        hosts.sort();
        hosts.dedup();
        hosts
    }
}
