//! The hosts that a unit may reach.

use std::collections::BTreeMap;

use creel_ipc::msg::egress::HostRule;
use serde::Serialize;

use crate::config::{Config, ResolvedAgent};
use crate::endpoint::Endpoint;
use crate::found::{EffectiveProvider, Found};
use crate::sandbox::ToolNetwork;
use crate::scalar::Id;

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
    /// The key that it comes from, for messages.
    pub source: String,
}

impl From<EgressHost> for HostRule {
    fn from(host: EgressHost) -> Self {
        Self { host: host.host, port: host.port, private: host.private, tls: host.tls, source: host.source }
    }
}

/// An endpoint that the operator wrote: a private one is meant.
pub(super) fn written(endpoint: Endpoint, source: String) -> EgressHost {
    EgressHost {
        private: endpoint.is_private(),
        host: endpoint.host,
        port: endpoint.port,
        tls: endpoint.tls,
        source,
    }
}

/// An entry of a list that says nothing of TLS. On its own port it is required, elsewhere it is the unit's business.
fn listed(host: &str, port: u16, private: bool, source: &str) -> EgressHost {
    EgressHost { host: host.to_owned(), port, tls: port == 443, private, source: source.to_owned() }
}

/// One rule for each host and port. Where several keys name the same, the first is shown, and what any allows
/// is allowed.
pub(super) fn merged(mut hosts: Vec<EgressHost>) -> Vec<EgressHost> {
    hosts.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
    hosts.dedup_by(|later, first| {
        let same = (&later.host, later.port) == (&first.host, first.port);
        if same {
            first.private |= later.private;
            first.tls &= later.tls;
        }
        same
    });
    hosts
}

impl Config {
    /// The hosts that tool runs of the agent may reach. An entry of `egress.allowPrivate` alone allows nothing here; it
    /// only lifts the ban of private addresses for what the sandbox lets through.
    pub(super) fn tool_hosts(&self, agent: &ResolvedAgent) -> Vec<EgressHost> {
        let policy = &agent.tool_policy;
        let private = |host: &str, port: u16| {
            self.egress.allow_private.iter().any(|entry| (entry.host.as_str(), entry.port) == (host, port))
        };
        let named = policy.allow.iter();
        let mut hosts: Vec<EgressHost> = match policy.network {
            ToolNetwork::None => Vec::new(),
            ToolNetwork::AllowList | ToolNetwork::Open => named
                .map(|entry| {
                    listed(&entry.host, entry.port, private(&entry.host, entry.port), "sandbox.allow")
                })
                .collect(),
        };
        if policy.network == ToolNetwork::Open {
            hosts.push(EgressHost {
                host: "*".to_owned(),
                port: 0,
                tls: false,
                private: false,
                source: "sandbox.network".to_owned(),
            });
        }
        merged(hosts)
    }

    /// Every provider that the agent may use, and the hosts of `egress`. A provider that only a probe showed
    /// counts when the agent's own models name it.
    pub(super) fn agent_hosts(
        &self,
        agent: &ResolvedAgent,
        found: &Found,
        providers: &BTreeMap<Id, EffectiveProvider>,
    ) -> Vec<EgressHost> {
        let chain = self.model_chain(agent, found);
        let mut hosts: Vec<EgressHost> = providers
            .iter()
            .filter(|(id, provider)| !provider.probed || chain.iter().any(|model| model.provider == **id))
            .filter_map(|(id, provider)| {
                let source = format!("models.providers.{id}");
                provider.url.as_ref().map(|url| written(url.endpoint().clone(), source))
            })
            .collect();
        let public = self.egress.allow.iter().map(|entry| (&entry.host, entry.port, false, "egress.allow"));
        let private = self.egress.allow_private.iter();
        let private = private.map(|entry| (&entry.host, entry.port, true, "egress.allowPrivate"));
        hosts.extend(
            public.chain(private).map(|(host, port, private, source)| listed(host, port, private, source)),
        );
        merged(hosts)
    }
}
