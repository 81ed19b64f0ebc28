//! Hosts and addresses: what the egress process may dial for whom.

use std::fmt;

use creel_ipc::reach::{Host, Pattern, Target};
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
        Host::parse(text).ok().map(|host| host.to_string())
    }

    /// Whether the host, as it is written, is this machine or a private network: the operator wrote that very
    /// host, so egress may dial it although it refuses such addresses otherwise.
    pub fn is_private(&self) -> bool {
        Host::parse(&self.host).is_ok_and(|host| host.is_private())
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

/// An exact host with an optional port, as in `egress.allowPrivate`. Without a port 443 is meant.
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
        let Target { host, port } = Target::parse(text, Some(443)).ok()?;
        Some(Self { host: host.to_string(), port })
    }
}

impl Shape for HostPort {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        at.text(
            node,
            Self::parse,
            "is no exact host",
            "write host or host:port, without scheme, path or wildcard",
        )
    }
    fn show(&self, _: Show) -> Value {
        Endpoint { host: self.host.clone(), port: self.port, tls: false }.authority().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "minLength": 1})
    }
}

/// An exact host or `*.` and a name, with an optional port, as in `egress.allow`. Without a port 443 is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct HostPattern {
    /// Normalised host, or `*.` and a normalised name.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl HostPattern {
    /// Reads `host`, `host:port`, `[v6]:port`, `*.name` or `*.name:port`. A wildcard needs a name of two labels: one for
    /// a whole top-level domain is no allow-list.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(rest) = text.strip_prefix("*.") else {
            return HostPort::parse(text).map(|HostPort { host, port }| Self { host, port });
        };
        let HostPort { host, port } = HostPort::parse(rest)?;
        let host = Pattern::parse(&format!("*.{host}")).ok().filter(|_| host.contains('.'))?.to_string();
        Some(Self { host, port })
    }

    /// Whether it is an exact host on this machine or in a private network.
    pub fn is_private(&self) -> bool {
        Host::parse(&self.host).is_ok_and(|host| host.is_private())
    }
}

impl Shape for HostPattern {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        at.text(node, Self::parse, "is no host", "write example.org, example.org:8443 or *.example.org (the names below it), without scheme or path")
    }
    fn show(&self, _: Show) -> Value {
        Endpoint { host: self.host.clone(), port: self.port, tls: false }.authority().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "minLength": 1})
    }
}
