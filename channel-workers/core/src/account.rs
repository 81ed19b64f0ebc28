//! What a platform has to be able to do. Nothing here knows a platform.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use creel_ipc::RpcError;
use creel_ipc::msg::channel::{ChannelConfig, PartSent, Route, SendParams};
use creel_link::{Link, Vitals};

use crate::inbound::Inlet;
use crate::lock;
use crate::status::Board;

/// A boxed future, so that accounts of all platforms have one type.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an account is given to receive with.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Where messages go that came in.
    pub inlet: Inlet,
    /// Where the account says how it is doing.
    pub board: Board,
    /// Counts real steps of work.
    pub vitals: Vitals,
}

/// One account of one platform.
pub trait Account: fmt::Debug + Send + Sync + 'static {
    /// Connects and receives. It reconnects by itself and ends only with an error that needs a human.
    fn run(self: Arc<Self>, ports: Ports) -> Pending<'static, RpcError>;

    /// Delivers one message and tells `order.parts` of each part that the platform accepted. One at a time for
    /// each chat.
    fn send<'a>(&'a self, order: &'a Order) -> Pending<'a, Result<(), RpcError>>;

    /// How often [`Account::typing`] must be repeated; `None` when the platform has no such thing.
    fn typing_every(&self) -> Option<Duration> {
        None
    }

    /// Shows the typing indicator once.
    fn typing<'a>(&'a self, _route: &'a Route) -> Pending<'a, ()> {
        Box::pin(async {})
    }

    /// The least time between two versions of a draft; `None` when drafts cannot be shown.
    fn draft_every(&self) -> Option<Duration> {
        None
    }

    /// Shows a draft, or a newer version of the one with the id `shown`.
    fn draft<'a>(
        &'a self,
        _route: &'a Route,
        _text: &'a str,
        _shown: Option<&'a str>,
    ) -> Pending<'a, Drafted> {
        Box::pin(async { Drafted::GaveUp })
    }

    /// Takes over what may change without a new connection (text limit, streaming).
    fn retune(&self, _config: &ChannelConfig) {}
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drafted {
    /// It is shown as the message with this id.
    Shown(String),
    /// Nothing changed; a later version may work, not before the pause is over.
    Later(Duration),
    /// No more versions of this draft.
    GaveUp,
}

/// One message to deliver.
#[derive(Debug)]
pub struct Order {
    /// What the gateway asks for.
    pub params: SendParams,
    /// The message that shows the draft, to become the first part.
    pub draft_message: Option<String>,
    /// The parts so far.
    pub parts: Parts,
}

/// Counts the delivered parts of one message and tells the gateway of each.
#[derive(Debug)]
pub struct Parts {
    key: String,
    delivered: Mutex<(u32, Vec<String>)>,
    link: Link,
    vitals: Vitals,
}

impl Parts {
    pub(crate) fn new(key: String, sent: u32, ids: Vec<String>, link: Link, vitals: Vitals) -> Self {
        Self { key, delivered: Mutex::new((sent, ids)), link, vitals }
    }

    /// Parts delivered so far, by earlier attempts too.
    pub fn sent(&self) -> u32 {
        lock(&self.delivered).0
    }

    /// The platform accepted the next part as the message `id`.
    pub async fn delivered(&self, id: &str) {
        let parts_sent = {
            let mut delivered = lock(&self.delivered);
            delivered.0 += 1;
            delivered.1.push(id.to_owned());
            delivered.0
        };
        self.vitals.progress();
        let part = PartSent { key: self.key.clone(), parts_sent, message_id: id.to_owned() };
        // A closed link has nobody left to tell.
        let _closed = self.link.notify::<PartSent>(&part).await;
    }

    /// The next part will never be delivered and is passed over.
    pub fn passed_over(&self) {
        lock(&self.delivered).0 += 1;
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        lock(&self.delivered).1.clone()
    }
}

/// An account that cannot work until a human acts: it refuses every send with the reason.
#[derive(Debug)]
pub struct Refusing(pub RpcError);

impl Account for Refusing {
    fn run(self: Arc<Self>, _ports: Ports) -> Pending<'static, RpcError> {
        Box::pin(async move { self.0.clone() })
    }

    fn send<'a>(&'a self, _order: &'a Order) -> Pending<'a, Result<(), RpcError>> {
        Box::pin(async { Err(self.0.clone()) })
    }
}
