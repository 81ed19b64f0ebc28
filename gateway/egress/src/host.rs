//! Host names as they are compared: one spelling for each, and nothing that could mean two things.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a host is refused before any rule is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    /// Nothing was named.
    #[error("the request names no host")]
    Empty,
    /// Longer than DNS allows.
    #[error("the host name has {0} bytes; 253 are allowed")]
    TooLong(usize),
    /// NUL, control characters, spaces, non-ASCII and the like: what a resolver could read differently.
    #[error("the host name contains the character {0:?}, which host names cannot have")]
    Character(char),
    /// An empty label, such as in `a..b`.
    #[error("the host name has an empty label")]
    EmptyLabel,
    /// `0x7f.1`, `127.1`, `2130706433`: numbers that some resolvers take for an address.
    #[error("the host looks like an address in an unusual spelling")]
    NumericSpelling,
}

/// A normalised destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// A DNS name in lower case without a trailing dot.
    Name(String),
    /// An address literal.
    Address(IpAddr),
}

impl Host {
    /// Normalises what a client (or a rule) wrote. Brackets around IPv6 literals are optional.
    pub(crate) fn parse(text: &str) -> Result<Self, HostError> {
        let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Address(canonical(address.into())));
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
        if name.split('.').any(str::is_empty) {
            return Err(HostError::EmptyLabel);
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        let numeric = |label: &str| {
            label.chars().all(|c| c.is_ascii_digit()) || label.starts_with("0x") || label.starts_with("0X")
        };
        if numeric(last) {
            return Err(HostError::NumericSpelling);
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }
}

/// The IPv4 address inside an IPv4-mapped one, so that it cannot hide there.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_each_host() {
        assert_eq!(Host::parse("API.Example.COM.").unwrap(), Host::Name("api.example.com".into()));
        assert_eq!(Host::parse("[::1]").unwrap(), Host::Address(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(Host::parse("::ffff:127.0.0.1").unwrap(), Host::Address(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn ambiguous_spellings_are_refused() {
        for odd in [
            "",
            ".",
            "a..b",
            "a b",
            "evil.test\0.example.com",
            "münchen.de",
            "127.1",
            "0x7f000001",
            "1.2.3",
            "a%00b",
        ] {
            assert!(Host::parse(odd).is_err(), "{odd:?}");
        }
    }
}
