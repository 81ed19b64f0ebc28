//! Descriptors that outlive the gateway and egress: the ends of the workers' links, their listeners and the port.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use creel_config::gateway::Bind;
use creel_ipc::hello::Role;
use creel_ipc::msg::egress::{EgressAttach, EgressTerms, HostRule};
use creel_ipc::msg::supervisor::{GatewayListen, UnitAttached};
use creel_launch::succession::Inherited;
use rustix::net::{Shutdown, shutdown};
use serde::{Deserialize, Serialize};

use crate::fdstore::{self, Stored};
use crate::upgrade::{Baggage, Lent};

/// Connections that may wait for a gateway; the kernel cuts it down to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// The address of the gateway is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("The gateway cannot listen on {address}: {error}.{advice}")]
pub struct NoPort {
    address: SocketAddr,
    error: io::Error,
    advice: String,
}

/// All kept descriptors.
#[derive(Debug, Default)]
pub struct FdKeep {
    port: Option<Port>,
    /// The address that the port moves to with the next gateway.
    moving: Option<SocketAddr>,
    workers: BTreeMap<String, Worker>,
}

/// The one port: bound by the supervisor, accepted by the gateway alone.
#[derive(Debug)]
struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    fn open(address: SocketAddr) -> Result<Self, NoPort> {
        let failed = |error| NoPort::new(address, error);
        let listener = TcpListener::bind(address).map_err(failed)?;
        // Again, for a longer queue: those in it wait for the next gateway, or for the next supervisor.
        rustix::net::listen(&listener, BACKLOG).map_err(|error| failed(error.into()))?;
        fdstore::keep_port(&listener);
        Ok(Self { listener, address })
    }

    /// Frees the address, whoever still holds the socket: a service manager does.
    fn close(self) -> SocketAddr {
        let _not_connected = shutdown(&self.listener, Shutdown::Both);
        self.address
    }
}

impl NoPort {
    /// Whether somebody else has the address, perhaps not for long.
    pub fn is_taken(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }

    fn new(address: SocketAddr, error: io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                let owner = crate::listener::owner(address);
                format!(
                    " Another program{owner} has it: end that program, or set gateway.port (or CREEL_GATEWAY_PORT) to a free one."
                )
            }
            io::ErrorKind::PermissionDenied => " Set gateway.port to a number above 1023.".to_owned(),
            _ => " Set gateway.port (or CREEL_GATEWAY_PORT) to a free one.".to_owned(),
        };
        Self { address, error, advice }
    }
}

fn address(bind: Bind, port: u16) -> SocketAddr {
    let host = match bind {
        Bind::Loopback => Ipv4Addr::LOCALHOST,
        Bind::Lan => Ipv4Addr::UNSPECIFIED,
    };
    SocketAddr::new(IpAddr::V4(host), port)
}

#[derive(Debug)]
struct Worker {
    kind: Role,
    incarnation: u64,
    link: OwnedFd,
    /// Whether a gateway had the link before.
    handed_out: bool,
    listener: Option<OwnedFd>,
}

/// All kept descriptors, for the program that comes after an upgrade.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KeepState {
    port: Option<(Lent, SocketAddr)>,
    moving: Option<SocketAddr>,
    workers: BTreeMap<String, WorkerState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WorkerState {
    kind: Role,
    incarnation: u64,
    link: Lent,
    handed_out: bool,
    listener: Option<Lent>,
}

impl FdKeep {
    /// Lends everything to the program after this one.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn state(&self, baggage: &mut Baggage) -> io::Result<KeepState> {
        let mut state = KeepState { moving: self.moving, ..KeepState::default() };
        if let Some(port) = &self.port {
            state.port = Some((baggage.lend(&port.listener)?, port.address));
        }
        for (unit, worker) in &self.workers {
            let listener = worker.listener.as_ref().map(|fd| baggage.lend(fd)).transpose()?;
            let worker = WorkerState {
                kind: worker.kind,
                incarnation: worker.incarnation,
                link: baggage.lend(&worker.link)?,
                handed_out: worker.handed_out,
                listener,
            };
            state.workers.insert(unit.clone(), worker);
        }
        Ok(state)
    }

    /// Takes over what the program before this one lent.
    ///
    /// # Errors
    /// A descriptor that is not there.
    pub fn resume(state: KeepState, inherited: &Inherited) -> io::Result<Self> {
        let port = state.port.map(|(lent, address)| {
            Ok::<_, io::Error>(Port { listener: inherited.get(lent.0)?.into(), address })
        });
        let mut keep = Self { port: port.transpose()?, moving: state.moving, workers: BTreeMap::new() };
        for (unit, worker) in state.workers {
            let listener = worker.listener.map(|lent| inherited.get(lent.0)).transpose()?;
            let WorkerState { kind, incarnation, link, handed_out, .. } = worker;
            let worker = Worker { kind, incarnation, link: inherited.get(link.0)?, handed_out, listener };
            keep.workers.insert(unit, worker);
        }
        Ok(keep)
    }

    /// Uses the port that outlived a supervisor that crashed, if it is this one; [`FdKeep::bind`] then finds it bound.
    pub fn adopt(&mut self, bind: Bind, port: u16, stored: &mut Stored) {
        let address = address(bind, port);
        self.port = stored.port(address).map(|listener| Port { listener, address });
    }

    /// Binds the port, or keeps it when it is the same.
    ///
    /// # Errors
    /// When the address is taken or forbidden; the old port stays then. The same port on other addresses is bound with
    /// the next gateway, see [`FdKeep::listen`].
    pub fn bind(&mut self, bind: Bind, port: u16) -> Result<(), NoPort> {
        let address = address(bind, port);
        self.moving = None;
        match &self.port {
            Some(kept) if kept.address == address => return Ok(()),
            Some(kept) if kept.address.port() == port => {
                // The same port on other addresses is free only when nobody listens on it any more.
                self.moving = Some(address);
                return Ok(());
            }
            _ => {}
        }
        self.port = Some(Port::open(address)?);
        Ok(())
    }

    /// The port for a gateway that starts; the one before has ended.
    ///
    /// # Errors
    /// When the port cannot be had on its new addresses; the old ones stay then.
    pub fn listen(&mut self) -> Result<Option<(GatewayListen, OwnedFd)>, NoPort> {
        if let Some(address) = self.moving.take() {
            let old = self.port.take().map(Port::close);
            let opened = Port::open(address);
            self.port = match (opened, old) {
                (Ok(port), _) => Some(port),
                (Err(error), Some(old)) => {
                    tracing::error!("{error}");
                    Some(Port::open(old)?)
                }
                (Err(error), None) => return Err(error),
            };
        }
        let Some(port) = &self.port else { return Ok(None) };
        let cloned = port.listener.try_clone();
        let fd = OwnedFd::from(cloned.map_err(|error| NoPort::new(port.address, error))?);
        Ok(Some((GatewayListen { fds: 1, address: port.address.to_string() }, fd)))
    }

    /// Keeps the descriptors of a worker that was launched.
    pub fn keep(
        &mut self,
        unit: &str,
        kind: Role,
        incarnation: u64,
        link: OwnedFd,
        listener: Option<OwnedFd>,
    ) {
        let worker = Worker { kind, incarnation, link, handed_out: false, listener };
        self.workers.insert(unit.to_owned(), worker);
    }

    /// Lets go of the descriptors of a worker that ended; whether there were any.
    pub fn release(&mut self, unit: &str) -> bool {
        self.workers.remove(unit).is_some()
    }

    /// The units that have descriptors here.
    pub fn units(&self) -> Vec<String> {
        self.workers.keys().cloned().collect()
    }

    /// A worker's link for the gateway; remembers that it was handed out.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn attach(&mut self, unit: &str) -> io::Result<Option<(UnitAttached, OwnedFd)>> {
        let Some(worker) = self.workers.get_mut(unit) else { return Ok(None) };
        let fd = worker.link.try_clone()?;
        let fresh = !std::mem::replace(&mut worker.handed_out, true);
        let attached = UnitAttached {
            fds: 1,
            unit: unit.to_owned(),
            kind: worker.kind,
            incarnation: worker.incarnation,
            fresh,
        };
        Ok(Some((attached, fd)))
    }

    /// A worker's listener for egress.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn egress(
        &self,
        unit: &str,
        allow: Vec<HostRule>,
        terms: EgressTerms,
    ) -> io::Result<Option<(EgressAttach, OwnedFd)>> {
        let Some(worker) = self.workers.get(unit) else { return Ok(None) };
        let Some(listener) = &worker.listener else { return Ok(None) };
        let attach =
            EgressAttach { fds: 1, unit: unit.to_owned(), incarnation: worker.incarnation, allow, terms };
        Ok(Some((attach, listener.try_clone()?)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn free_port() -> u16 {
        TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn a_link_is_fresh_only_the_first_time() {
        let mut keep = FdKeep::default();
        let (link, _other) = UnixStream::pair().unwrap();
        keep.keep("agent:main", Role::Agent, 1, link.into(), None);
        assert!(keep.attach("agent:main").unwrap().unwrap().0.fresh);
        assert!(!keep.attach("agent:main").unwrap().unwrap().0.fresh);
        assert!(keep.egress("agent:main", Vec::new(), EgressTerms::default()).unwrap().is_none());
        assert!(keep.release("agent:main"));
        assert!(keep.attach("agent:main").unwrap().is_none());
    }

    #[test]
    fn a_taken_address_is_named_and_costs_nothing() {
        let mut keep = FdKeep::default();
        let port = free_port();
        keep.bind(Bind::Loopback, port).unwrap();
        keep.bind(Bind::Loopback, port).unwrap();
        let mut second = FdKeep::default();
        let error = second.bind(Bind::Loopback, port).unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("gateway.port"), "{error}");
        assert!(second.listen().unwrap().is_none());
        assert_eq!(keep.listen().unwrap().unwrap().0.address, format!("127.0.0.1:{port}"));
    }

    #[test]
    fn the_same_port_moves_to_other_addresses_with_the_next_gateway() {
        let mut keep = FdKeep::default();
        let port = free_port();
        keep.bind(Bind::Lan, port).unwrap();
        // Held open by the service manager's store, as the gateway's own would be if it were not dead by then.
        let (_, _stored) = keep.listen().unwrap().unwrap();
        keep.bind(Bind::Loopback, port).unwrap();
        assert_eq!(keep.listen().unwrap().unwrap().0.address, format!("127.0.0.1:{port}"));
    }
}
