//! Allow-lists: which destinations a unit may reach.

use std::net::IpAddr;

use creel_ipc::msg::egress::HostRule;

use crate::address::is_private;
use crate::host::Host;

/// Why a destination is refused. Each sentence names the unit's rule or the key that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// No rule names it.
    #[error(
        "no rule of {unit} allows {host}:{port}; add the host to `egress.allow` if it should be reachable"
    )]
    NoRule {
        /// The unit.
        unit: String,
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The name leads to an address of the machine's own surroundings.
    #[error(
        "{host} resolves to the private address {address}, and `{rule}` does not name a private host; \
         add the host to `egress.allowPrivate` if that is meant"
    )]
    Private {
        /// The host.
        host: String,
        /// What it resolves to.
        address: IpAddr,
        /// Key of the rule that allowed the name.
        rule: String,
    },
    /// The TLS handshake names somebody else.
    #[error("the TLS handshake asks for {asked}, but the connection was opened to {host} under `{rule}`")]
    ServerName {
        /// The host of the request.
        host: String,
        /// The server name, or what stands in its place.
        asked: String,
        /// Key of the rule that allowed the host.
        rule: String,
    },
}

/// The rule that allows a destination, or why none does.
pub(crate) fn find<'a>(
    unit: &str,
    rules: &'a [HostRule],
    host: &Host,
    port: u16,
) -> Result<&'a HostRule, Refusal> {
    let refusal = || Refusal::NoRule { unit: unit.to_owned(), host: host.to_string(), port };
    rules.iter().find(|rule| rule.port == port && covers(&rule.host, host)).ok_or_else(refusal)
}

/// Whether a rule's host covers this one. `*.example.com` covers names below it, not `example.com` itself, and
/// never an address.
fn covers(rule: &str, host: &Host) -> bool {
    if let Some(suffix) = rule.strip_prefix("*.") {
        let (Ok(Host::Name(suffix)), Host::Name(name)) = (Host::parse(suffix), host) else { return false };
        return name
            .strip_suffix(&suffix)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|rest| !rest.is_empty());
    }
    Host::parse(rule).is_ok_and(|rule| rule == *host)
}

/// The addresses that may be dialled: private ones only if the operator wrote that very host.
pub(crate) fn permitted(rule: &HostRule, host: &Host, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Refusal> {
    let allowed: Vec<_> = addresses.iter().copied().filter(|a| rule.private || !is_private(*a)).collect();
    match (allowed.is_empty(), addresses.first()) {
        (true, Some(&address)) => {
            Err(Refusal::Private { host: host.to_string(), address, rule: rule.source.clone() })
        }
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(host: &str, private: bool) -> HostRule {
        HostRule {
            host: host.into(),
            port: 443,
            private,
            tls: true,
            source: "models.providers.x.baseUrl".into(),
        }
    }

    fn allows(pattern: &str, host: &str) -> bool {
        find("agent:main", &[rule(pattern, false)], &Host::parse(host).unwrap(), 443).is_ok()
    }

    #[test]
    fn hosts_match_exactly_or_below_a_wildcard() {
        assert!(allows("api.example.com", "API.example.com."));
        assert!(!allows("api.example.com", "example.com"));
        assert!(allows("*.example.com", "a.b.example.com"));
        assert!(!allows("*.example.com", "example.com"));
        assert!(!allows("*.example.com", "evilexample.com"));
        assert!(!allows("*.0.0.1", "127.0.0.1"));
        assert!(allows("127.0.0.1", "127.0.0.1"));
    }

    #[test]
    fn the_port_counts_and_an_empty_list_means_nothing() {
        let host = Host::parse("api.example.com").unwrap();
        assert!(find("u", &[rule("api.example.com", false)], &host, 80).is_err());
        assert!(find("u", &[], &host, 443).is_err());
    }

    #[test]
    fn a_public_name_cannot_lead_home() {
        let host = Host::parse("rebind.example.com").unwrap();
        let addresses = ["127.0.0.1".parse().unwrap(), "93.184.216.34".parse().unwrap()];
        assert_eq!(permitted(&rule("rebind.example.com", false), &host, &addresses).unwrap(), [addresses[1]]);
        let refusal = permitted(&rule("rebind.example.com", false), &host, &addresses[..1]).unwrap_err();
        insta::assert_snapshot!(refusal, @"rebind.example.com resolves to the private address 127.0.0.1, and `models.providers.x.baseUrl` does not name a private host; add the host to `egress.allowPrivate` if that is meant");
        assert_eq!(permitted(&rule("localhost", true), &host, &addresses[..1]).unwrap(), addresses[..1]);
    }
}
