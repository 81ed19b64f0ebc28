//! The way to a database server: the sealed gateway has no socket of its own, and gets one that leads to exactly a server that
//! the configuration names.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use creel_config::plan::UnitKind;
use creel_config::store::Place;
use creel_ipc::msg::Empty;
use creel_ipc::msg::supervisor::{DatabaseDialParams, DatabaseDialed};
use creel_ipc::rpc::RpcError;
use creel_ipc::{ErrorClass, Role};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{GATEWAY, Tree};
use crate::link::Outgoing;

/// How long a server may take to take a connection.
const PATIENCE: Duration = Duration::from_secs(5);

impl Tree {
    /// Connects for the gateway. The socket leaves before the answer.
    pub(super) fn database_dial(&self, id: u64, asked: DatabaseDialParams) {
        let Some(gateway) = self.members.get(GATEWAY).filter(|member| member.role == Role::Gateway) else {
            return;
        };
        let Some(post) = gateway.welcomed().cloned() else { return };
        let named = usize::try_from(asked.server).unwrap_or(usize::MAX);
        let place = self.settings.plan.units.iter().find_map(|unit| match &unit.kind {
            UnitKind::Gateway { servers, .. } => servers.get(named).cloned(),
            _ => None,
        });
        let answers = Rc::clone(&self.answers);
        answers.set(answers.get() + 1);
        tokio::task::spawn_local(async move {
            let outcome = match place {
                None => Err(RpcError::new(
                    ErrorClass::Conflict,
                    "The configuration names no such database server (store.kind is not \"postgres\", or it has fewer standbys).",
                )),
                Some(place) => dial(&place).await,
            };
            let outcome = outcome.and_then(|socket| {
                let dialed = DatabaseDialed { fds: 1, dial: asked.dial };
                // A gateway that is hopelessly behind is replaced, and its successor asks anew.
                let _wedged = post.send(Outgoing::Database(dialed, socket));
                super::requests::answer(&Empty {})
            });
            let _wedged = post.send(Outgoing::Answer(id, outcome));
            answers.set(answers.get() - 1);
        });
    }
}

async fn dial(place: &Place) -> Result<OwnedFd, RpcError> {
    let connecting = async {
        match place {
            Place::Socket(path) => Ok(OwnedFd::from(UnixStream::connect(path).await?.into_std()?)),
            Place::Port { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(OwnedFd::from(stream.into_std()?))
            }
        }
    };
    let outcome: io::Result<OwnedFd> = match timeout(PATIENCE, connecting).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
    };
    outcome.map_err(|error| {
        let sentence = format!("The database server at {} is not reached: {error}.", shown(place));
        RpcError::new(ErrorClass::Transient, sentence)
    })
}

/// The place in the operator's words.
pub(crate) fn shown(place: &Place) -> String {
    match place {
        Place::Socket(path) => path.display().to_string(),
        Place::Port { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Place::Port { host, port } => format!("{host}:{port}"),
    }
}

/// What the machine is called; nothing, when it has no name that could be written down.
pub(super) fn host_name() -> Option<String> {
    let name = rustix::system::uname();
    let name = name.nodename().to_str().ok()?;
    (!name.is_empty() && name != "(none)").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_is_reached_at_its_socket_and_at_its_port() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".s.PGSQL.5432");
        let _unix = tokio::net::UnixListener::bind(&path).unwrap();
        dial(&Place::Socket(path)).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let place = Place::Port { host: "127.0.0.1".to_owned(), port };
        dial(&place).await.unwrap();
        drop(listener);
        let error = dial(&place).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient);
        assert!(error.message.contains(&format!("127.0.0.1:{port} is not reached")), "{error}");
    }
}
