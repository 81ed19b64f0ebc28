//! `channels.irc`: connections to IRC networks.

use creel_ipc::Secret;

use super::*;
use crate::noun::{noun, within, within_if_given};

noun! {
    /// One connection.
    pub struct Irc {
        /// The server.
        "host" => host: Option<String> = None, check host;
        /// Its port; without it 6697 with TLS and 6667 without.
        "port" => port: Option<u16> = None, check within_if_given(1, u16::MAX);
        /// Whether the connection is encrypted from the first byte.
        "tls" => tls: bool = true;
        /// The nickname.
        "nick" => nick: Option<String> = None, check word;
        /// The user name; without it the nickname.
        "username" => username: Option<String> = None, check word;
        /// The real name that others see.
        "realname" => realname: Option<String> = None, check line;
        /// Channels to join.
        "channels" => channels: Vec<String> = Vec::new(), check |channels: &Vec<String>| joinable(channels);
        /// The server's password.
        "password" => password: Option<Secret> = None;
        /// Login by SASL PLAIN.
        "sasl" => sasl: Option<Sasl> = None;
        /// Login by NickServ.
        "nickserv" => nickserv: Option<Nickserv> = None;
        /// Seconds for the connection and the login.
        "connectTimeoutSeconds" => connect_timeout_seconds: u32 = 30, check within(1, 600);
        /// Lines that may be sent at once, before the server takes it for a flood.
        "floodBurst" => flood_burst: u32 = 4, check within(1, 100);
        /// Milliseconds between two lines after that.
        "floodDelayMs" => flood_delay_ms: u32 = 2000, check within(0, 60_000);
    }
}

noun! {
    /// Login by SASL PLAIN.
    pub struct Sasl {
        /// The account's name.
        "account" => account: String = String::new(), check |text: &String| given(text);
        /// Its password.
        "password" => password: Option<Secret> = None;
    }
}

noun! {
    /// Login by NickServ.
    pub struct Nickserv {
        /// The password.
        "password" => password: Option<Secret> = None;
    }
}

type Outcome = Result<(), (String, String)>;

fn wrong(what: &str, fix: &str) -> Outcome {
    Err((what.into(), fix.into()))
}

fn given(text: &str) -> Outcome {
    if text.is_empty() { wrong("this is empty", "give it a value") } else { Ok(()) }
}

fn host(host: &Option<String>) -> Outcome {
    match host {
        Some(host) if Endpoint::normal_host(host).is_none() => {
            wrong("this is no host", "write a name or an address, and the port in the key port")
        }
        _ => Ok(()),
    }
}

/// Everything of an IRC line is separated by spaces and ended by CR LF, so neither may come from here.
fn word(text: &Option<String>) -> Outcome {
    match text {
        Some(text)
            if text.is_empty()
                || text.starts_with(':')
                || text.contains([' ', '\r', '\n', '\0', '@', '!']) =>
        {
            wrong("this is no IRC name", "write one word without spaces, @ and !")
        }
        _ => Ok(()),
    }
}

fn line(text: &Option<String>) -> Outcome {
    match text {
        Some(text) if text.contains(['\r', '\n', '\0']) => {
            wrong("this is more than one line", "write one line")
        }
        _ => Ok(()),
    }
}

fn joinable(channels: &[String]) -> Outcome {
    let odd = |name: &&String| {
        !name.starts_with(['#', '&', '+', '!'])
            || name.len() < 2
            || name.contains([' ', ',', '\r', '\n', '\0', '\u{7}'])
    };
    match channels.iter().find(odd) {
        Some(name) => Err((
            format!("\"{name}\" is no IRC channel"),
            "write it with its #, and without spaces and commas".into(),
        )),
        None => Ok(()),
    }
}

impl Irc {
    /// The port, given or implied.
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or(if self.tls { 6697 } else { 6667 })
    }
}

impl Platform for Irc {
    const CHANNEL: &'static str = "irc";
    const IDENTITY: &'static [&'static str] = &["nick", "sasl", "nickserv", "name"];

    fn endpoints(&self) -> Vec<Endpoint> {
        let host = self.host.as_deref().and_then(Endpoint::normal_host);
        host.map(|host| Endpoint { host, port: self.effective_port(), tls: self.tls }).into_iter().collect()
    }

    fn complete(&mut self, id: &Id, table: &Node, at: &mut Reading<'_>) {
        self.port = Some(self.effective_port());
        for (key, missing, example) in
            [("host", self.host.is_none(), "irc.libera.chat"), ("nick", self.nick.is_none(), "creel")]
        {
            if missing && table.get(key).is_none_or(|node| node.kind == NodeKind::Null) {
                at.fault(
                    table.mark,
                    format!("the IRC account \"{id}\" has no {key}"),
                    format!("add {key}: \"{example}\", or enabled: false"),
                );
            }
        }
        for (outer, keys) in [("sasl", ["account", "password"].as_slice()), ("nickserv", &["password"])] {
            let Some(login) = table.get(outer).filter(|login| login.as_table().is_some()) else { continue };
            for key in keys {
                if login.get(key).is_none() {
                    at.fault(
                        login.mark,
                        format!("{outer} has no {key}"),
                        format!("add {key}, or remove {outer}"),
                    );
                }
            }
        }
    }
}
