//! `store` and `cluster`: where the state is kept, and who else works on it.

use std::path::PathBuf;

use creel_ipc::Secret;
use creel_ipc::reach::Host;

use crate::noun::{noun, within, word};

noun! {
    /// Where the gateway keeps its state.
    pub struct Store {
        /// The engine.
        "kind" => kind: StoreKind = StoreKind::default();
        /// The database file of SQLite; without it `creel.db` in the state folder.
        "path" => path: Option<PathBuf> = None;
        /// The database of PostgreSQL.
        "postgres" => postgres: Postgres = Postgres::default();
    }
}

word! {
    /// The engine that keeps the state.
    pub enum StoreKind = Sqlite {
        /// One file, for one host.
        "sqlite" => Sqlite,
        /// A database of a PostgreSQL server (15 or newer), which several hosts may share.
        "postgres" => Postgres,
    }
}

noun! {
    /// A database of a PostgreSQL server. Creel keeps everything in its schema `creel`.
    pub struct Postgres {
        /// The folder of the server's unix socket, or a host name or address. Over the network only TLS is spoken.
        "host" => host: String = "/var/run/postgresql".to_owned(), check is_place;
        /// The port, which is also part of the socket's name.
        "port" => port: u16 = 5432, check within(1, u16::MAX);
        /// The database.
        "database" => database: String = "creel".to_owned(), check is_name;
        /// The role that Creel is there. Over a unix socket the server sees the user that runs Creel's supervisor.
        "user" => user: String = "creel".to_owned(), check is_name;
        /// The role's password, where the server wants one.
        "password" => password: Option<Secret> = None;
        /// How the server is known over the network.
        "tls" => tls: Tls = Tls::default();
        /// Further servers of the same database: standbys, one of which may be promoted. The one that takes writes is used.
        "standbys" => standbys: Vec<Standby> = Vec::new();
        /// Whether a server is refused that may lose what was acknowledged: one with `fsync` off, or with standbys none
        /// of which is synchronous.
        "noLoss" => no_loss: bool = true;
    }
}

noun! {
    /// A further server of the database.
    pub struct Standby {
        /// The folder of its unix socket, or a host name or address.
        "host" => host: String = String::new(), check is_place;
        /// Its port.
        "port" => port: u16 = 5432, check within(1, u16::MAX);
    }
}

noun! {
    /// How the server is known over the network. Its name is checked in any case.
    pub struct Tls {
        /// A file in the home with the certificates (PEM) of the authorities that vouch for the server; without it
        /// those of the system do.
        "ca" => ca: Option<PathBuf> = None;
    }
}

noun! {
    /// Several hosts on one database. Only with `store.kind: "postgres"`.
    pub struct Cluster {
        /// This host's name among the others, which no two have; without it the machine's host name.
        "host" => host: Option<String> = None, check is_host_name;
        /// How early this host takes over what is free.
        "role" => role: ClusterRole = ClusterRole::default();
        /// Seconds for which an account or a turn stays a host's that is not heard of. It stops by itself when three
        /// quarters of them are over.
        "leaseSeconds" => lease_seconds: u32 = 15, check within(3, 300);
    }
}

word! {
    /// How early a host takes over what is free.
    pub enum ClusterRole = Primary {
        /// At once.
        "primary" => Primary,
        /// When it was free for the time of one lease.
        "secondary" => Secondary,
        /// When it was free for the time of two leases.
        "standby" => Standby,
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// A unix socket.
    Socket(PathBuf),
    /// A TCP port.
    Port {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

impl Postgres {
    /// Where its servers are, that of `host` first.
    pub fn places(&self) -> Vec<Place> {
        let further = self.standbys.iter().map(|standby| Place::of(&standby.host, standby.port));
        std::iter::once(Place::of(&self.host, self.port)).chain(further).collect()
    }
}

impl Place {
    fn of(host: &str, port: u16) -> Self {
        if host.starts_with('/') {
            Self::Socket(PathBuf::from(host).join(format!(".s.PGSQL.{port}")))
        } else {
            Self::Port { host: host.to_owned(), port }
        }
    }
}

type Checked = Result<(), (String, String)>;

fn is_place(text: &String) -> Checked {
    if text.starts_with('/') || Host::parse(text).is_ok() {
        return Ok(());
    }
    let fix = "write the folder of its unix socket, such as \"/var/run/postgresql\", or a host name";
    Err((format!("\"{text}\" is no place of a server"), fix.to_owned()))
}

/// What PostgreSQL takes as a name without cutting it.
fn is_name(text: &String) -> Checked {
    if (1..=63).contains(&text.len()) && !text.contains(char::is_control) {
        return Ok(());
    }
    Err((format!("\"{text}\" is no name"), "write 1 to 63 bytes of text".to_owned()))
}

fn is_host_name(text: &Option<String>) -> Checked {
    let shaped = |text: &String| {
        (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    match text {
        Some(text) if !shaped(text) => Err((
            format!("\"{text}\" is no name of a host"),
            "write 1 to 63 of a-z, A-Z, 0-9, '.', '-' and '_'".to_owned(),
        )),
        _ => Ok(()),
    }
}
