//! Allow-lists: which destinations a unit may reach.

use std::net::IpAddr;

use super::host::{Host, Pattern, Target};
use super::is_private;
use crate::msg::egress::HostRule;

/// Why a destination is refused. Each sentence names the unit's rule or the key that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No rule names it.
    #[error("no rule of {unit} allows {target}; what it may reach stands in {key}")]
    NoRule {
        /// The unit.
        unit: String,
        /// The destination.
        target: Target,
        /// The configuration keys that hold the unit's hosts.
        key: String,
    },
    /// A rule names the host on another port.
    #[error("`{rule}` allows {} on port {allowed}, not on {}; write {target} to allow that", target.host, target.port)]
    Port {
        /// The destination.
        target: Target,
        /// The port of the rule.
        allowed: u16,
        /// Key of the rule.
        rule: String,
    },
    /// The name leads to an address of the machine's own surroundings.
    #[error(
        "{host} is the private address {address}, and `{rule}` does not name a private host; \
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

/// The rule that allows a destination, or why none does. The closest one counts: an exact host before a wildcard, a
/// long wildcard before a short one. `key` names where the operator would add a host.
///
/// # Errors
/// What no rule allows.
pub fn find<'a>(
    unit: &str,
    key: &str,
    rules: &'a [HostRule],
    target: &Target,
) -> Result<&'a HostRule, Refusal> {
    let closest = |port: &dyn Fn(u16) -> bool| {
        rules
            .iter()
            .filter(|rule| port(rule.port))
            .filter_map(|rule| Some((rule, Pattern::parse(&rule.host).ok()?)))
            .filter(|(_, pattern)| pattern.covers(&target.host))
            .max_by_key(|(_, pattern)| pattern.closeness())
            .map(|(rule, _)| rule)
    };
    // Port 0 of a rule is every port.
    if let Some(rule) = closest(&|port| port == target.port || port == 0) {
        return Ok(rule);
    }
    match closest(&|_| true) {
        Some(rule) => {
            Err(Refusal::Port { target: target.clone(), allowed: rule.port, rule: rule.source.clone() })
        }
        None => Err(Refusal::NoRule { unit: unit.into(), target: target.clone(), key: key.into() }),
    }
}

/// The addresses that may be dialled: private ones only if the operator wrote that very host. `own` tells which
/// addresses are this machine's.
///
/// # Errors
/// When none is left.
pub fn permitted(
    rule: &HostRule,
    host: &Host,
    addresses: &[IpAddr],
    own: impl Fn(IpAddr) -> bool,
) -> Result<Vec<IpAddr>, Refusal> {
    let fine = |address: &IpAddr| rule.private || !(is_private(*address) || own(*address));
    let allowed: Vec<_> = addresses.iter().copied().filter(fine).collect();
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

    fn rule(host: &str, port: u16, private: bool) -> HostRule {
        HostRule { host: host.into(), port, private, tls: true, source: format!("key of {host}:{port}") }
    }

    fn target(text: &str) -> Target {
        Target::parse(text, Some(443)).unwrap()
    }

    #[test]
    fn the_closest_rule_of_the_port_counts() {
        let rules = [
            rule("*", 0, false),
            rule("*.example.com", 443, false),
            rule("api.example.com", 443, true),
            rule("*.eu.example.com", 443, false),
        ];
        let found = |text: &str| find("u", "egress.allow", &rules, &target(text)).unwrap().host.clone();
        assert_eq!(found("api.example.com"), "api.example.com");
        assert_eq!(found("a.eu.example.com"), "*.eu.example.com");
        assert_eq!(found("b.example.com"), "*.example.com");
        assert_eq!(found("api.example.com:80"), "*");
        assert_eq!(found("1.1.1.1:53"), "*");
    }

    #[test]
    fn the_port_counts_and_an_empty_list_means_nothing() {
        let rules = [rule("x.test", 443, false)];
        let refusal = find("agent:main", "egress.allow", &rules, &target("x.test:80"));
        insta::assert_snapshot!(refusal.unwrap_err(), @"`key of x.test:443` allows x.test on port 443, not on 80; write x.test:80 to allow that");
        let refusal = find("agent:main", "egress.allow", &[], &target("x.test")).unwrap_err();
        insta::assert_snapshot!(refusal, @"no rule of agent:main allows x.test:443; what it may reach stands in egress.allow");
    }

    #[test]
    fn a_public_name_cannot_lead_home() {
        let host = Host::parse("rebind.example.com").unwrap();
        let addresses: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "93.184.216.34".parse().unwrap()];
        let public = rule("rebind.example.com", 443, false);
        let nobody = |_| false;
        assert_eq!(permitted(&public, &host, &addresses, nobody).unwrap(), [addresses[1]]);
        let refusal = permitted(&public, &host, &addresses[..1], nobody).unwrap_err();
        insta::assert_snapshot!(refusal, @"rebind.example.com is the private address 127.0.0.1, and `key of rebind.example.com:443` does not name a private host; add the host to `egress.allowPrivate` if that is meant");
        assert!(permitted(&public, &host, &addresses[1..], |_| true).is_err());
        let private = rule("rebind.example.com", 443, true);
        assert_eq!(permitted(&private, &host, &addresses[..1], |_| true).unwrap(), addresses[..1]);
    }
}
