//! Hosts and addresses: what the egress process may dial for whom.

use std::fmt;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::node::Node;
use crate::shape::{Reading, Shape, Show};

/// An `http` or `https` address of a service: where a provider or a platform is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    endpoint: Endpoint,
}

/// A host and port, and whether the first bytes are a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Endpoint {
    /// Host name in lower case without a trailing dot, or an address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken from the first byte.
    pub tls: bool,
}

impl Endpoint {
    /// A host name, normalised: lower case, no trailing dot, no brackets. `None` when it can be no host.
    pub fn normal_host(text: &str) -> Option<String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inside) = bare {
            return inside.parse::<std::net::Ipv6Addr>().ok().map(|address| address.to_string());
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(address.to_string());
        }
        let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A name whose last label is a number is an address in disguise: 127.1, 0x7f.1, 2130706433.
        let disguised = host.rsplit('.').next().is_some_and(|last| {
            last.bytes().all(|b| b.is_ascii_digit()) || (last.starts_with("0x") && last.len() > 2)
        });
        (!host.is_empty() && host.len() <= 253 && !disguised && host.split('.').all(label)).then_some(host)
    }

    /// Whether the host, as it is written, is this machine or a private network: the operator wrote that very
    /// host, so egress may dial it although it refuses such addresses otherwise.
    pub fn is_private(&self) -> bool {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return is_private_address(address);
        }
        let local = [".localhost", ".local", ".lan", ".internal", ".home.arpa", ".intranet"];
        self.host == "localhost"
            || !self.host.contains('.')
            || local.iter().any(|end| self.host.ends_with(end))
    }

    /// `host:port`, as the CONNECT line writes it.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority())
    }
}

/// Loopback, private, link-local, shared, unspecified and unique-local addresses, IPv4-mapped ones included.
pub fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private_address(v4.into()),
            None => {
                let first = v6.segments()[0];
                v6.is_loopback()
                    || v6.is_unspecified()
                    || first & 0xfe00 == 0xfc00
                    || first & 0xffc0 == 0xfe80
            }
        },
    }
}

impl BaseUrl {
    /// Reads an `http://` or `https://` address without user, query and fragment.
    ///
    /// # Errors
    /// What is wrong with it, as the end of the sentence "this address …".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("is neither http nor https"),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest.contains(['?', '#']) {
            return Err("has a query or a fragment");
        }
        if authority.contains('@') {
            return Err("holds a user name or password");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err("holds a character that no address has");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or("has no valid port")?;
                (host, port)
            }
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let host = Endpoint::normal_host(host).ok_or("has no valid host")?;
        Ok(Self { text: text.trim_end_matches('/').to_owned(), endpoint: Endpoint { host, port, tls } })
    }

    /// The address without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What has to be dialled for it.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Shape for BaseUrl {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(node, at)?;
        match Self::parse(&text) {
            Ok(url) => Some(url),
            Err(why) => {
                at.fault(
                    node.mark,
                    format!("this address {why}"),
                    "write it like https://api.example.com or http://127.0.0.1:11434/v1",
                );
                None
            }
        }
    }
    fn show(&self, _: Show) -> Value {
        self.text.clone().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://"})
    }
}

/// An exact host with an optional port, as in `egress.allow`. Without a port 443 is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Normalised host.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl HostPort {
    /// Reads `host`, `host:port` or `[v6]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let whole = || Endpoint::normal_host(text).map(|host| Self { host, port: 443 });
        match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
                Some(Self { host: Endpoint::normal_host(host)?, port })
            }
            _ => whole(),
        }
    }
}

impl Shape for HostPort {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(node, at)?;
        let parsed = Self::parse(&text);
        if parsed.is_none() {
            at.fault(
                node.mark,
                format!("\"{text}\" is no exact host"),
                "write host or host:port, without scheme, path or wildcard",
            );
        }
        parsed
    }
    fn show(&self, _: Show) -> Value {
        Endpoint { host: self.host.clone(), port: self.port, tls: false }.authority().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "minLength": 1})
    }
}
