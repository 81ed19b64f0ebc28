//! Who is connected to the control socket, and what the program after an upgrade needs to serve them further.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use creel_ipc::peer::PeerState;
use creel_launch::succession::Inherited;
use creel_link::{Incoming, Link, Vitals};
use interprocess::local_socket::tokio::Listener;
use rustix::net::{Shutdown, shutdown};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::method::Access;
use crate::upgrade::{Baggage, Lent};

/// What a client follows: nothing, one unit, or all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Follows {
    /// Lines of logs.
    pub lines: Option<Option<String>>,
    /// Events.
    pub events: Option<Option<String>>,
}

/// Who is at the other end, and what it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The user.
    pub uid: u32,
    /// Whether it may change something.
    pub may: Access,
}

/// All clients and the socket they come in by. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clients(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    next: Cell<u64>,
    inside: RefCell<BTreeMap<u64, Inside>>,
    listener: RefCell<Option<OwnedFd>>,
}

#[derive(Debug)]
struct Inside {
    link: Link,
    who: Who,
    follows: Follows,
}

/// All clients, for the program that comes after an upgrade.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClientsState {
    /// The listening socket.
    pub listener: Option<Lent>,
    inside: Vec<ClientState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ClientState {
    socket: Lent,
    peer: PeerState,
    who: Who,
    follows: Follows,
}

/// One client. Its socket is shut down when this is dropped, however much a slow client has left unread.
#[derive(Debug)]
pub struct Client {
    clients: Clients,
    number: u64,
    socket: OwnedFd,
    /// The user at the other end.
    pub who: Who,
    /// Its link.
    pub link: Link,
    /// What it asks.
    pub incoming: Incoming,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _gone = shutdown(&self.socket, Shutdown::Both);
        self.clients.0.inside.borrow_mut().remove(&self.number);
    }
}

impl Client {
    /// What it follows.
    pub fn follows(&self) -> Follows {
        self.clients
            .0
            .inside
            .borrow()
            .get(&self.number)
            .map(|inside| inside.follows.clone())
            .unwrap_or_default()
    }

    /// Notes what it follows.
    pub fn set_follows(&self, follows: Follows) {
        if let Some(inside) = self.clients.0.inside.borrow_mut().get_mut(&self.number) {
            inside.follows = follows;
        }
    }
}

impl Clients {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.inside.borrow().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a connection in; `None` when it is over already.
    pub fn enter(&self, stream: UnixStream, who: Who) -> Option<Client> {
        let socket = stream.as_fd().try_clone_to_owned().ok()?;
        let (link, incoming) = Link::new(stream, 0, Vitals::default());
        Some(self.add(socket, (link, incoming), who, Follows::default()))
    }

    fn add(&self, socket: OwnedFd, (link, incoming): (Link, Incoming), who: Who, follows: Follows) -> Client {
        let number = self.0.next.replace(self.0.next.get() + 1);
        self.0.inside.borrow_mut().insert(number, Inside { link: link.clone(), who, follows });
        Client { clients: self.clone(), number, socket, who, link, incoming }
    }

    /// The socket that they come in by.
    pub fn set_listener(&self, listener: &Listener) {
        let fd = match listener {
            Listener::UdSocket(listener) => listener.as_fd().try_clone_to_owned(),
        };
        *self.0.listener.borrow_mut() = fd.ok();
    }

    /// Whether all that was asked is answered.
    pub fn is_quiet(&self) -> bool {
        self.0.inside.borrow().values().all(|inside| inside.link.is_quiet())
    }

    /// Lends everything to the program after this one.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn state(&self, baggage: &mut Baggage) -> io::Result<ClientsState> {
        let mut state = ClientsState::default();
        if let Some(listener) = &*self.0.listener.borrow() {
            state.listener = Some(baggage.lend(listener)?);
        }
        for Inside { link, who, follows } in self.0.inside.borrow().values() {
            if let Some((peer, socket)) = link.state()? {
                let socket = baggage.lend(&socket)?;
                state.inside.push(ClientState { socket, peer, who: *who, follows: follows.clone() });
            }
        }
        Ok(state)
    }

    /// Takes over whom the program before this one served.
    ///
    /// # Errors
    /// A descriptor that is not there.
    pub fn resume(&self, state: ClientsState, inherited: &Inherited) -> io::Result<Vec<Client>> {
        let client = |state: ClientState| {
            let ClientState { socket, peer, who, follows } = state;
            let socket = inherited.get(socket.0)?;
            let opened = Link::resume(socket.try_clone()?, peer, Vitals::default())?;
            Ok(self.add(socket, opened, who, follows))
        };
        state.inside.into_iter().map(client).collect()
    }
}
