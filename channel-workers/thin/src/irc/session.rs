//! One connection's protocol from the first line on, without any IO.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use creel_ipc::msg::channel::{Chat, ChatKind, Inbound, Sender};
use creel_ipc::{ErrorClass, RpcError};

use super::codes::without_codes;
use super::ending::{ended, fatal};
use super::line::{Line, server_time, write};
use super::names::CaseMapping;
use super::serial::Serial;
use super::settings::IrcSettings;
use super::speech::assumed_prefix;

/// The token of the ping behind the first joins: its answer means that the session is set up.
const SET_UP: &str = "creel-ready";
/// What we can use, if the server has it.
const WANTED: [&str; 4] = ["account-tag", "message-tags", "server-time", "sasl"];
/// Nicks that are tried before it is left for later.
const NICKS: u32 = 9;

/// What a line leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    /// Goes out at once.
    Send(String),
    /// Goes out when there is room; may be left out under load.
    Reply(String),
    /// Messages can go out now.
    Ready,
    /// The nick is this now.
    Named(String),
    /// Somebody said something.
    Inbound(Box<Inbound>),
    /// The server has read everything before the ping with this token.
    Read(String),
    /// Nothing can be said to this target.
    Refused { target: String, why: String },
    /// The channel was lost, or could not be joined.
    Rejoin { channel: String, soon: bool },
    /// The connection is of no more use.
    End(RpcError),
}

#[derive(Debug)]
pub(super) struct Session {
    settings: Arc<IrcSettings>,
    serial: Arc<Serial>,
    nick: String,
    tried: u32,
    welcomed: bool,
    offered: HashSet<String>,
    caps: HashSet<String>,
    mapping: CaseMapping,
    kinds: String,
    joined: BTreeSet<String>,
    /// The length of our own `nick!user@host` as others see it.
    prefix: Option<usize>,
}

impl Session {
    pub(super) fn new(settings: Arc<IrcSettings>, serial: Arc<Serial>) -> Self {
        Self {
            nick: settings.nick.clone(),
            settings,
            serial,
            tried: 0,
            welcomed: false,
            offered: HashSet::new(),
            caps: HashSet::new(),
            mapping: CaseMapping::default(),
            kinds: "#&".to_owned(),
            joined: BTreeSet::new(),
            prefix: None,
        }
    }

    /// The first lines.
    pub(super) fn begin(&self) -> Vec<String> {
        let mut lines = vec![write(&["CAP", "LS", "302"], None)];
        if let Some(password) = &self.settings.password {
            lines.push(write(&["PASS"], Some(password.expose())));
        }
        lines.push(write(&["NICK", &self.nick], None));
        lines.push(write(&["USER", &self.settings.username, "0", "*"], Some(&self.settings.realname)));
        lines
    }

    /// The length of what the server puts before our lines.
    pub(super) fn prefix_length(&self) -> usize {
        self.prefix.unwrap_or_else(|| assumed_prefix(&self.nick, &self.settings.username))
    }

    pub(super) fn lower(&self, name: &str) -> String {
        self.mapping.lower(name)
    }

    pub(super) fn is_channel(&self, name: &str) -> bool {
        name.starts_with(|c| self.kinds.contains(c))
    }

    /// Whether it is a channel that we are meant to be in and are not.
    pub(super) fn is_missing(&self, channel: &str) -> bool {
        let channel = self.lower(channel);
        let wanted = self.settings.channels.iter().any(|(name, _)| self.lower(name) == channel);
        wanted && !self.joined.contains(&channel)
    }

    /// From time to time the nick that is ours is asked for again.
    pub(super) fn reclaim(&self) -> Option<String> {
        let ours = self.mapping.same(&self.nick, &self.settings.nick);
        (self.welcomed && !ours).then(|| write(&["NICK", &self.settings.nick], None))
    }

    pub(super) fn join(&self, channel: &str) -> Option<String> {
        let lower = self.lower(channel);
        let (name, key) = self.settings.channels.iter().find(|(name, _)| self.lower(name) == lower)?;
        let words: Vec<&str> = ["JOIN", name.as_str()].into_iter().chain(key.as_deref()).collect();
        Some(write(&words, None))
    }

    /// A line came.
    pub(super) fn take(&mut self, line: &Line, now_ms: i64) -> Vec<Effect> {
        match line.command.as_str() {
            "PING" => vec![Effect::Send(write(&["PONG"], Some(line.last())))],
            "PONG" if line.last() == SET_UP => vec![Effect::Ready],
            "PONG" => vec![Effect::Read(line.last().to_owned())],
            "PRIVMSG" => self.message(line, now_ms).into_iter().collect(),
            "JOIN" | "PART" | "KICK" | "NICK" => self.moved(line),
            "CAP" => self.capabilities(line),
            "AUTHENTICATE" if line.param(0) == "+" => self.credentials(),
            "903" | "907" => vec![Effect::Send("CAP END".to_owned())],
            "902" | "904" | "905" | "906" => {
                vec![refusal(ErrorClass::AuthFatal, "refuses the SASL login; check `sasl`", line)]
            }
            "ERROR" => vec![Effect::End(ended(line))],
            number if number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.numeric(number, line)
            }
            _ => Vec::new(),
        }
    }

    fn numeric(&mut self, number: &str, line: &Line) -> Vec<Effect> {
        match number {
            "001" => self.welcome(line),
            "005" => {
                for token in &line.params {
                    match token.split_once('=') {
                        Some(("CASEMAPPING", mapping)) => self.mapping = CaseMapping::named(mapping),
                        Some(("CHANTYPES", kinds)) => self.kinds = kinds.to_owned(),
                        _ => {}
                    }
                }
                Vec::new()
            }
            // The end of the greeting, with or without a message of the day.
            "376" | "422" => self.set_up(),
            "311" if self.is_me(line.param(1)) => {
                self.prefix = Some(self.nick.len() + line.param(2).len() + line.param(3).len() + 2);
                Vec::new()
            }
            "396" => {
                // The host that others see was changed; user name and its `~` are the assumed ones.
                self.prefix = Some(self.nick.len() + self.settings.username.len() + line.param(1).len() + 3);
                Vec::new()
            }
            "433" | "436" | "432" | "437" if !self.welcomed => self.next_nick(number, line),
            "464" => vec![refusal(ErrorClass::AuthFatal, "refuses the password; check `password`", line)],
            "465" => vec![refusal(ErrorClass::AuthFatal, "has banned this account", line)],
            "403" | "405" | "437" | "471" | "473" | "474" | "475" | "476" | "477" | "489"
                if self.is_missing(line.param(1)) =>
            {
                tracing::warn!(channel = ?line.param(1), why = ?line.last(), "A channel cannot be joined.");
                vec![Effect::Rejoin { channel: line.param(1).to_owned(), soon: false }]
            }
            "401" | "402" | "403" | "404" | "406" | "407" | "442" | "482" | "486" | "531" => {
                vec![Effect::Refused { target: self.lower(line.param(1)), why: line.last().to_owned() }]
            }
            _ => Vec::new(),
        }
    }

    fn capabilities(&mut self, line: &Line) -> Vec<Effect> {
        let words = line.last().split_whitespace();
        match line.param(1).to_ascii_uppercase().as_str() {
            "LS" => {
                self.offered.extend(words.map(|cap| cap.split('=').next().unwrap_or(cap).to_owned()));
                if line.param(2) == "*" { Vec::new() } else { self.choose() }
            }
            "ACK" => {
                self.caps.extend(words.map(str::to_owned));
                let login = self.caps.contains("sasl") && self.settings.sasl.is_some() && !self.welcomed;
                vec![Effect::Send(if login { "AUTHENTICATE PLAIN" } else { "CAP END" }.to_owned())]
            }
            "NAK" => vec![Effect::Send("CAP END".to_owned())],
            _ => Vec::new(),
        }
    }

    fn choose(&self) -> Vec<Effect> {
        if self.settings.sasl.is_some() && !self.offered.contains("sasl") {
            // Networks leave it out while their services are down.
            let sentence = "The IRC server offers no SASL login now; the login is tried again later.";
            return vec![Effect::End(RpcError::new(ErrorClass::Transient, sentence))];
        }
        let login = self.settings.sasl.is_some();
        let chosen: Vec<&str> = WANTED
            .into_iter()
            .filter(|cap| self.offered.contains(*cap) && (*cap != "sasl" || login))
            .collect();
        let line = if chosen.is_empty() {
            "CAP END".to_owned()
        } else {
            write(&["CAP", "REQ"], Some(&chosen.join(" ")))
        };
        vec![Effect::Send(line)]
    }

    /// The login, in pieces of 400 bytes; a last piece of just that length is followed by an empty one.
    fn credentials(&self) -> Vec<Effect> {
        let Some((account, password)) = &self.settings.sasl else { return Vec::new() };
        let login = STANDARD.encode(format!("\0{account}\0{}", password.expose()));
        let pieces = login.as_bytes().chunks(400).map(String::from_utf8_lossy);
        let mut lines: Vec<String> = pieces.map(|piece| format!("AUTHENTICATE {piece}")).collect();
        if login.len().is_multiple_of(400) {
            lines.push("AUTHENTICATE +".to_owned());
        }
        lines.into_iter().map(Effect::Send).collect()
    }

    fn next_nick(&mut self, number: &str, line: &Line) -> Vec<Effect> {
        if number == "432" && self.tried == 0 {
            return vec![refusal(ErrorClass::ConfigFatal, "does not take the nickname; check `nick`", line)];
        }
        self.tried += 1;
        if self.tried > NICKS {
            let sentence = "Every nickname that was tried is in use on the IRC server.";
            return vec![Effect::End(RpcError::new(ErrorClass::Transient, sentence))];
        }
        let wanted = &self.settings.nick;
        self.nick = if self.tried == 1 {
            format!("{wanted}_")
        } else {
            // Where a longer nick is not allowed, one of the same length is.
            let mut nick = wanted.clone();
            if nick.len() > 1 {
                nick.pop();
            }
            format!("{nick}{}", self.tried)
        };
        vec![Effect::Send(write(&["NICK", &self.nick], None))]
    }

    fn welcome(&mut self, line: &Line) -> Vec<Effect> {
        self.welcomed = true;
        if !line.param(0).is_empty() {
            self.nick = line.param(0).to_owned();
        }
        let mut effects = vec![Effect::Named(self.nick.clone())];
        if let Some(password) = &self.settings.nickserv {
            let identify = format!("IDENTIFY {}", password.expose());
            effects.push(Effect::Send(write(&["PRIVMSG", "NickServ"], Some(&identify))));
        }
        effects
    }

    fn set_up(&self) -> Vec<Effect> {
        let whois = write(&["WHOIS", &self.nick], None);
        let joins = self.settings.channels.iter().filter_map(|(name, _)| self.join(name));
        let lines = std::iter::once(whois).chain(joins).chain([write(&["PING"], Some(SET_UP))]);
        lines.map(Effect::Send).collect()
    }

    /// Somebody came, went or changed the nick; only what happens to us matters.
    fn moved(&mut self, line: &Line) -> Vec<Effect> {
        let me = self.is_me(line.nick());
        let channel = self.lower(line.param(0));
        match line.command.as_str() {
            "JOIN" if me => {
                self.prefix = Some(line.prefix.len());
                self.joined.insert(channel);
                Vec::new()
            }
            "PART" if me => {
                self.joined.remove(&channel);
                vec![Effect::Rejoin { channel: line.param(0).to_owned(), soon: true }]
            }
            "KICK" if self.is_me(line.param(1)) => {
                self.joined.remove(&channel);
                tracing::warn!(channel = ?line.param(0), by = ?line.nick(), why = ?line.last(), "The bot was kicked.");
                vec![Effect::Rejoin { channel: line.param(0).to_owned(), soon: true }]
            }
            "NICK" if me => {
                let length = self.prefix.map(|length| length - self.nick.len() + line.param(0).len());
                self.prefix = length;
                self.nick = line.param(0).to_owned();
                vec![Effect::Named(self.nick.clone())]
            }
            _ => Vec::new(),
        }
    }

    fn message(&self, line: &Line, now_ms: i64) -> Option<Effect> {
        let nick = line.nick();
        // Lines of a server have no nick, and our own may come back.
        if nick.is_empty() || !line.prefix.contains('!') || self.is_me(nick) {
            return None;
        }
        let text = match line.last().strip_prefix('\u{1}') {
            Some(asked) => {
                let asked = asked.trim_end_matches('\u{1}');
                let (word, rest) = asked.split_once(' ').unwrap_or((asked, ""));
                let answer = match word.to_ascii_uppercase().as_str() {
                    "ACTION" => None,
                    "VERSION" => Some(concat!("VERSION Creel ", env!("CARGO_PKG_VERSION")).to_owned()),
                    "PING" => Some(format!("PING {rest}")),
                    _ => return None,
                };
                if let Some(answer) = answer {
                    let answer = format!("\u{1}{answer}\u{1}");
                    return Some(Effect::Reply(write(&["NOTICE", nick], Some(&answer))));
                }
                format!("* {nick} {rest}")
            }
            None => line.last().to_owned(),
        };
        let text = without_codes(&text);
        if text.trim().is_empty() {
            return None;
        }
        // A message to the operators of a channel is said in the channel.
        let target = line.param(0).trim_start_matches(['@', '+', '%', '~', '&']);
        let target = if self.is_channel(line.param(0)) { line.param(0) } else { target };
        let in_channel = self.is_channel(target);
        let (id, kind) = if in_channel {
            (self.lower(target), ChatKind::Group)
        } else {
            (self.lower(nick), ChatKind::Direct)
        };
        let title = Some(if in_channel { target } else { nick }.to_owned());
        let chat = Chat { id, kind, title, thread: None, parent: None, guild: None, team: None };
        let ext_id = line.tags.get("msgid").filter(|id| !id.is_empty()).cloned();
        let ext_id = ext_id.unwrap_or_else(|| self.serial.take());
        Some(Effect::Inbound(Box::new(Inbound {
            message_id: ext_id.clone(),
            ext_id,
            chat,
            sender: self.sender(line),
            mentioned: in_channel && self.mapping.mentions(&text, &self.nick),
            text,
            quote: None,
            attachments: Vec::new(),
            at_ms: line.tags.get("time").and_then(|time| server_time(time)).unwrap_or(now_ms),
            cursor: None,
        })))
    }

    /// An account is who it says. A nick is whoever took it first: where the network tells the two apart, a nick
    /// without an account is marked, so that it can never pass for the account of the same name.
    fn sender(&self, line: &Line) -> Sender {
        let nick = self.lower(line.nick());
        let id = match line.tags.get("account").filter(|account| *account != "*" && !account.is_empty()) {
            Some(account) => account.clone(),
            None if self.caps.contains("account-tag") => format!("~{nick}"),
            None => nick,
        };
        let name = Some(line.nick().to_owned());
        Sender { id, username: name.clone(), name, roles: Vec::new(), is_bot: line.tags.contains_key("bot") }
    }

    fn is_me(&self, nick: &str) -> bool {
        self.mapping.same(nick, &self.nick)
    }
}

fn refusal(class: ErrorClass, what: &str, line: &Line) -> Effect {
    Effect::End(fatal(class, what, line))
}

#[cfg(test)]
mod tests;
