//! Host names as they are compared: one spelling for each, and nothing that could mean two things.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a host is refused before any rule is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing was named.
    #[error("the request names no host")]
    Empty,
    /// Longer than DNS allows.
    #[error("the host name has {0} bytes; 253 are allowed, 63 between two dots")]
    TooLong(usize),
    /// NUL, control characters, spaces, `%`, non-ASCII and the like: what a resolver could read differently.
    #[error("the host name contains the character {0:?}; write names of other scripts in their xn-- form")]
    Character(char),
    /// An empty label, such as in `a..b`.
    #[error("the host name has an empty label")]
    EmptyLabel,
    /// `-x.example.com`.
    #[error("a part of the host name begins or ends with a hyphen")]
    Hyphen,
    /// `0x7f.1`, `127.1`, `2130706433`: numbers that some resolvers take for an address.
    #[error("the host looks like an address in an unusual spelling")]
    NumericSpelling,
    /// `[example.com]`, `::1` where a port follows, `fe80::1%eth0`.
    #[error("the address in brackets is no IPv6 address")]
    Brackets,
}

/// A normalised destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name in lower case without a trailing dot.
    Name(String),
    /// An address literal; an IPv4 address inside an IPv6 one is the IPv4 address.
    Address(IpAddr),
}

impl Host {
    /// Normalises what a client (or the operator) wrote. Brackets around IPv6 literals are optional.
    ///
    /// # Errors
    /// What makes it no host, or one that somebody else could read differently.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if let Some(inside) = text.strip_prefix('[') {
            let address = inside.strip_suffix(']').and_then(|inside| inside.parse::<Ipv6Addr>().ok());
            return address
                .map(|address| Self::Address(IpAddr::from(address).to_canonical()))
                .ok_or(HostError::Brackets);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Address(IpAddr::from(address).to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if name.len() > 253 {
            return Err(HostError::TooLong(name.len()));
        }
        if let Some(odd) =
            name.chars().find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.'))
        {
            return Err(HostError::Character(odd));
        }
        for label in name.split('.') {
            match label.len() {
                0 => return Err(HostError::EmptyLabel),
                1..=63 => {}
                long => return Err(HostError::TooLong(long)),
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(HostError::Hyphen);
            }
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        let hex = |label: &str| label.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
        if last.bytes().all(|byte| byte.is_ascii_digit()) || hex(last) {
            return Err(HostError::NumericSpelling);
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }

    /// Whether it is, as it is written, this machine or a private network.
    pub fn is_private(&self) -> bool {
        const LOCAL: [&str; 6] = [".localhost", ".local", ".lan", ".internal", ".home.arpa", ".intranet"];
        match self {
            Self::Address(address) => super::is_private(*address),
            Self::Name(name) => !name.contains('.') || LOCAL.iter().any(|end| name.ends_with(end)),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
}

impl Target {
    /// Reads `host:port`, or `host` where there is a default; an IPv6 address with a port stands in brackets.
    ///
    /// # Errors
    /// `None` inside: there is no usable port. Else what is wrong with the host. User names (`a@b`) are no host.
    pub fn parse(text: &str, default: Option<u16>) -> Result<Self, Option<HostError>> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, digits(port)),
            // Colons without brackets: an address alone, never one with a port.
            _ => (text, default),
        };
        let port = port.filter(|port| *port > 0).ok_or(None)?;
        Ok(Self { host: Host::parse(host)?, port })
    }
}

/// A port in its one spelling: no sign, no blank, no leading zero.
fn digits(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// What the host of a rule stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// This host and no other.
    Exact(Host),
    /// `*.example.org`: every name below `example.org`, at any depth; not `example.org` itself, never an address.
    Below(String),
    /// `*`: every host.
    Any,
}

impl Pattern {
    /// Reads an exact host, `*.` and a name of at least two labels, or `*`.
    ///
    /// # Errors
    /// What is wrong with the host.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let Some(suffix) = text.strip_prefix("*.") else { return Host::parse(text).map(Self::Exact) };
        match Host::parse(suffix)? {
            Host::Name(name) => Ok(Self::Below(name)),
            Host::Address(_) => Err(HostError::NumericSpelling),
        }
    }

    /// Whether it stands for this host.
    pub fn covers(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(exact), host) => exact == host,
            (Self::Below(suffix), Host::Name(name)) => name
                .strip_suffix(suffix.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty()),
            (Self::Below(_), Host::Address(_)) => false,
        }
    }

    /// How much it says: an exact host is closer than any wildcard, a long one closer than a short one.
    pub(super) fn closeness(&self) -> usize {
        match self {
            Self::Any => 0,
            Self::Below(suffix) => suffix.len(),
            Self::Exact(_) => usize::MAX,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
            Self::Exact(host) => write!(f, "{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_spelling_for_each_host() {
        assert_eq!(Host::parse("API.Example.COM.").unwrap(), Host::Name("api.example.com".into()));
        assert_eq!(Host::parse("xn--mnchen-3ya.de").unwrap(), Host::Name("xn--mnchen-3ya.de".into()));
        assert_eq!(Host::parse("[::1]").unwrap(), Host::Address(Ipv6Addr::LOCALHOST.into()));
        for mapped in ["::ffff:127.0.0.1", "[::FFFF:7f00:1]"] {
            assert_eq!(Host::parse(mapped).unwrap(), Host::Address(Ipv4Addr::LOCALHOST.into()));
        }
    }

    #[test]
    fn ambiguous_spellings_are_refused() {
        let long_label = format!("{}.example.com", "a".repeat(64));
        let long_name = format!("{}com", "a.".repeat(126));
        for odd in [
            "",
            ".",
            "..",
            "a..b",
            "a.b..",
            "a b",
            "evil.test\0.example.com",
            "münchen.de",
            "example。com",
            "user@example.com",
            "a%00b",
            "fe80::1%eth0",
            "127.1",
            "127.0.1",
            "2130706433",
            "017700000001",
            "0x7f000001",
            "0x7f.1",
            "0X7F.0.0.0x1",
            "0177.0.0.1",
            "127.0.0.01",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4:80",
            "[127.0.0.1]",
            "[example.com]",
            "[::1",
            "::1]",
            "-a.example.com",
            "a-.example.com",
            "*.example.com",
            long_label.as_str(),
            long_name.as_str(),
        ] {
            assert!(Host::parse(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_target_has_one_port_and_brackets_decide() {
        let parse = |text: &str| Target::parse(text, None).map(|target| target.to_string());
        assert_eq!(parse("Example.com.:443").unwrap(), "example.com:443");
        assert_eq!(parse("[::1]:80").unwrap(), "[::1]:80");
        for odd in [
            "example.com",
            "example.com:",
            "a:0",
            "a:+80",
            "a:080",
            "a:65536",
            "::1:80",
            "a:b@c:80",
            "a@b:80",
        ] {
            assert!(parse(odd).is_err(), "{odd}");
        }
        assert_eq!(Target::parse("::1", Some(443)).unwrap().to_string(), "[::1]:443");
    }

    #[test]
    fn a_wildcard_stands_for_names_below_it_only() {
        let covers =
            |pattern: &str, host: &str| Pattern::parse(pattern).unwrap().covers(&Host::parse(host).unwrap());
        assert!(covers("*.example.org", "a.b.example.org"));
        assert!(!covers("*.example.org", "example.org"));
        assert!(!covers("*.example.org", "evilexample.org"));
        assert!(!covers("*.example.org", "example.org.evil.test"));
        assert!(covers("*", "10.0.0.1") && covers("*", "example.org"));
        assert!(Pattern::parse("*.0.0.1").is_err() && Pattern::parse("*.10.0.0.1").is_err());
        assert!(Pattern::parse("a.*.org").is_err() && Pattern::parse("**.org").is_err());
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(text in "\\PC{0,40}|[0-9a-fxX.:\\[\\]%@-]{0,24}") {
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()), Ok(host.clone()));
                if let Host::Name(name) = host {
                    // No resolver can take it for an address.
                    prop_assert!(name.parse::<IpAddr>().is_err());
                    prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && b != b'%' && b != b'@'));
                }
            }
        }

        #[test]
        fn no_number_is_a_name(parts in prop::collection::vec(any::<u32>(), 1..5), radix in 0usize..3) {
            let spell = |n: &u32| match radix { 0 => format!("{n}"), 1 => format!("0x{n:x}"), _ => format!("0{n:o}") };
            let text = parts.iter().map(spell).collect::<Vec<_>>().join(".");
            let host = Host::parse(&text);
            prop_assert!(!matches!(host, Ok(Host::Name(_))), "{text}");
        }

        #[test]
        fn a_wildcard_never_covers_more_than_its_suffix(host in "[a-c.]{1,12}", suffix in "[a-c]{1,3}\\.[a-c]{1,3}") {
            if let (Ok(host), Ok(pattern)) = (Host::parse(&host), Pattern::parse(&format!("*.{suffix}"))) {
                prop_assert_eq!(pattern.covers(&host), host.to_string().ends_with(&format!(".{suffix}")));
            }
        }
    }
}
