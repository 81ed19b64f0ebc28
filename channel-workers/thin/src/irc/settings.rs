//! What an IRC account is told.

use std::time::Duration;

use creel_ipc::msg::channel::ChannelConfig;
use creel_ipc::{RpcError, Secret};

use crate::settings::Settings;

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct IrcSettings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) nick: String,
    pub(super) username: String,
    pub(super) realname: String,
    /// Channels with their keys.
    pub(super) channels: Vec<(String, Option<String>)>,
    pub(super) password: Option<Secret>,
    /// Account and password.
    pub(super) sasl: Option<(String, Secret)>,
    pub(super) nickserv: Option<Secret>,
    /// For the connection and the login together.
    pub(super) connect: Duration,
    /// Lines that may go out at once.
    pub(super) burst: u32,
    /// Time for each further line.
    pub(super) every: Duration,
}

impl IrcSettings {
    pub(super) fn read(config: &ChannelConfig) -> Result<Self, RpcError> {
        let settings = Settings::of(config)?;
        let word = |key: &str| match settings.text(key)? {
            Some(text) if !is_word(text) => Err(settings.fault(key, "must be one word without `@` and `!`")),
            text => Ok(text.map(str::to_owned)),
        };
        let host = settings.text("host")?.filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| settings.fault("host", "is missing; write the server's name"))?;
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(settings.fault("host", "must be a name or an address, without a port"));
        }
        let nick = word("nick")?.ok_or_else(|| settings.fault("nick", "is missing; write the nickname"))?;
        let tls = settings.flag("tls")?.unwrap_or(true);
        let port = settings.number("port", 1, 65535)?.and_then(|port| u16::try_from(port).ok());
        let realname = settings.text("realname")?.unwrap_or(&nick).to_owned();
        if realname.contains(['\r', '\n', '\0']) {
            return Err(settings.fault("realname", "must be one line"));
        }
        let mut channels = Vec::new();
        for entry in settings.texts("channels")? {
            let (name, key) = entry.split_once(' ').map_or((entry, None), |(name, key)| (name, Some(key)));
            if !is_channel(name) || key.is_some_and(|key| !is_word(key)) {
                let what =
                    format!("holds {entry:?}, which is no channel; write it like `#room`, or `#room key`");
                return Err(settings.fault("channels", &what));
            }
            channels.push((name.to_owned(), key.map(str::to_owned)));
        }
        let sasl = match settings.table("sasl")? {
            None => None,
            Some(sasl) => match (sasl.text("account")?, sasl.secret("password")?) {
                (Some(account), Some(password)) if !account.contains('\0') => {
                    Some((account.to_owned(), password))
                }
                _ => return Err(settings.fault("sasl", "needs an account and a password")),
            },
        };
        let nickserv = match settings.table("nickserv")? {
            None => None,
            Some(nickserv) => {
                let password = nickserv.secret("password")?;
                Some(password.ok_or_else(|| settings.fault("nickserv", "needs a password"))?)
            }
        };
        let millis = |key, most| settings.number(key, 0, most);
        Ok(Self {
            host: host.to_owned(),
            port: port.unwrap_or(if tls { 6697 } else { 6667 }),
            tls,
            username: word("username")?.unwrap_or_else(|| nick.clone()),
            nick,
            realname,
            channels,
            password: settings.secret("password")?,
            sasl,
            nickserv,
            connect: Duration::from_secs(settings.number("connectTimeoutSeconds", 1, 600)?.unwrap_or(30)),
            burst: millis("floodBurst", 100)?.and_then(|n| u32::try_from(n).ok()).unwrap_or(4).max(1),
            every: Duration::from_millis(millis("floodDelayMs", 60_000)?.unwrap_or(2000)),
        })
    }
}

/// Whether a text can be one parameter in the middle of a line.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(':')
        && !text.contains(|c: char| c == ' ' || c.is_control() || matches!(c, '@' | '!' | ','))
}

pub(super) fn is_channel(name: &str) -> bool {
    name.len() > 1
        && name.starts_with(['#', '&', '+', '!'])
        && !name.contains(|c: char| c == ' ' || c == ',' || c.is_control())
}
