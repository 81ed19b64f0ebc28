//! `gateway`: the one port, who may use it, and how changes of the file are taken up.

use creel_ipc::Secret;

use crate::noun::{noun, within, word};
use crate::unbuilt::Unbuilt;

/// The port when nothing else is said.
pub const DEFAULT_PORT: u16 = 18789;

noun! {
    /// How clients reach the gateway.
    pub struct Gateway {
        /// TCP port of the WebSocket, JSON-RPC and HTTP interfaces.
        "port" => port: u16 = DEFAULT_PORT, check within(1, u16::MAX);
        /// Which addresses the port listens on.
        "bind" => bind: Bind = Bind::default();
        /// Who may connect.
        "auth" => auth: Auth = Auth::default();
        /// How a changed file is taken up.
        "reload" => reload: Reload = Reload::default();
        /// Who may read `/metrics`.
        "metrics" => metrics: Metrics = Metrics::default();
        /// Not built yet: reverse proxies whose forwarding headers are believed. No such header is.
        "trustedProxies" => trusted_proxies: Unbuilt = Unbuilt;
    }
}

word! {
    /// Which addresses the port listens on.
    pub enum Bind = Loopback {
        /// 127.0.0.1 and ::1.
        "loopback" => Loopback,
        /// Every address of the machine.
        "lan" => Lan,
    }
}

noun! {
    /// Who may read `/metrics`, beside whoever has the gateway's token.
    pub struct Metrics {
        /// A token that opens `/metrics` and nothing else.
        "token" => token: Option<Secret> = None;
    }
}

noun! {
    /// Who may connect. A token is needed on loopback too.
    pub struct Auth {
        /// How a client proves itself.
        "mode" => mode: AuthMode = AuthMode::default();
        /// The token; without it one is made at the first start and kept in the state folder.
        "token" => token: Option<Secret> = None;
        /// The password, for mode password.
        "password" => password: Option<Secret> = None;
    }
}

word! {
    /// How a client proves itself.
    pub enum AuthMode = Token {
        /// By the gateway's token.
        "token" => Token,
        /// By the gateway's password.
        "password" => Password,
    }
}

noun! {
    /// How a changed file is taken up.
    pub struct Reload {
        /// What happens after a change.
        "mode" => mode: ReloadMode = ReloadMode::default();
        /// Milliseconds without a further change before the file is read.
        "debounceMs" => debounce_ms: u64 = 300, check within(0, 60_000);
    }
}

word! {
    /// What happens after a change of the file.
    pub enum ReloadMode = Hybrid {
        /// What can be changed in place is; units that need it are restarted.
        "hybrid" => Hybrid,
        /// Only what can be changed in place.
        "hot" => Hot,
        /// Every unit that the change touches is restarted.
        "restart" => Restart,
        /// Nothing, until the operator says reload.
        "off" => Off,
    }
}
