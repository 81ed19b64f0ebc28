//! IRC: one connection to one network.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use creel_channel_core::{Account, Backoff, Order, Pending, Ports};
use creel_ipc::msg::channel::ChannelConfig;
use creel_ipc::{ErrorClass, RpcError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::Surroundings;
use crate::dial::{DialError, dial};

mod codes;
mod connection;
mod ending;
mod flood;
mod line;
mod names;
mod serial;
mod session;
mod settings;
mod speech;

use connection::{Connection, Ended, Speech};
use serial::Serial;
use session::Session;
use settings::IrcSettings;

/// How fast things go. Tests make them faster.
#[derive(Debug, Clone)]
pub struct IrcPace {
    /// The first pause before a new connection, and the longest.
    pub retry: (Duration, Duration),
    /// How often the server is pinged, and a lost nick asked for.
    pub ping: Duration,
    /// Silence after which the connection is dead.
    pub dead: Duration,
    /// Pause between a kick and coming back.
    pub rejoin: Duration,
    /// Time for the server to confirm what it has read.
    pub barrier: Duration,
    /// Lines that go out before it has to confirm them.
    pub barrier_lines: usize,
}

impl Default for IrcPace {
    fn default() -> Self {
        Self {
            retry: (Duration::from_secs(2), Duration::from_secs(300)),
            ping: Duration::from_secs(60),
            dead: Duration::from_secs(120),
            rejoin: Duration::from_secs(10),
            barrier: Duration::from_secs(60),
            barrier_lines: 8,
        }
    }
}

/// One connection to one network.
pub struct Irc {
    settings: Arc<IrcSettings>,
    around: Surroundings,
    pace: IrcPace,
    serial: Arc<Serial>,
    /// Where speeches go while the connection is ready.
    speeches: Mutex<Option<mpsc::Sender<Speech>>>,
}

impl fmt::Debug for Irc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Irc").field("host", &self.settings.host).finish_non_exhaustive()
    }
}

impl Irc {
    /// The connection that the configuration describes. Does not connect yet.
    ///
    /// # Errors
    /// With class `config_fatal`: which setting is missing or wrong, and what to write.
    pub fn open(config: &ChannelConfig, around: &Surroundings, pace: IrcPace) -> Result<Self, RpcError> {
        Ok(Self {
            settings: Arc::new(IrcSettings::read(config)?),
            around: around.clone(),
            pace,
            serial: Arc::new(Serial::new()),
            speeches: Mutex::default(),
        })
    }

    fn way_out(&self) -> MutexGuard<'_, Option<mpsc::Sender<Speech>>> {
        self.speeches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_speeches(&self) -> mpsc::Receiver<Speech> {
        let (speeches, waiting) = mpsc::channel(16);
        *self.way_out() = Some(speeches);
        waiting
    }

    fn close(&self) {
        *self.way_out() = None;
    }

    async fn receive(&self, ports: &Ports) -> RpcError {
        // A predecessor that was aborted may have left its sender behind.
        self.close();
        let mut backoff = Backoff::new(self.pace.retry.0, self.pace.retry.1);
        loop {
            let Ended { error, was_ready } = self.connect(ports).await;
            if matches!(error.class(), ErrorClass::AuthFatal | ErrorClass::ConfigFatal) {
                return error;
            }
            if was_ready {
                backoff.reset();
            }
            let told = error.data.as_ref().and_then(|data| data.retry_after_ms).map(Duration::from_millis);
            let pause = backoff.pause().max(told.unwrap_or_default());
            tracing::warn!(?pause, "{error}");
            ports.board.connecting(Some(error));
            tokio::time::sleep(pause).await;
        }
    }

    async fn connect(&self, ports: &Ports) -> Ended {
        let IrcSettings { host, port, tls, connect, .. } = &*self.settings;
        let dialled = timeout(*connect, dial(host, *port, *tls, &self.around)).await;
        let failed =
            |class, sentence: String| Ended { error: RpcError::new(class, sentence), was_ready: false };
        let stream = match dialled {
            Ok(Ok(stream)) => stream,
            Ok(Err(error @ (DialError::NoProxy(_) | DialError::Setup(_)))) => {
                return failed(ErrorClass::ConfigFatal, format!("IRC cannot be set up: {error}."));
            }
            Ok(Err(error)) => {
                return failed(ErrorClass::Transient, format!("The IRC server is not reached: {error}."));
            }
            Err(_elapsed) => {
                let sentence = format!("The IRC server {host}:{port} does not answer.");
                return failed(ErrorClass::Transient, sentence);
            }
        };
        let session = Session::new(Arc::clone(&self.settings), Arc::clone(&self.serial));
        Connection::new(self, ports, stream, session).live().await
    }

    async fn deliver(&self, order: &Order) -> Result<(), RpcError> {
        let route = &order.params.route;
        if !settings::is_word(&route.chat_id) {
            let sentence = format!("{:?} is no nick or channel of IRC.", route.chat_id);
            return Err(RpcError::new(ErrorClass::BadRequest, sentence));
        }
        if !order.params.attachments.is_empty() && order.params.text.trim().is_empty() {
            let sentence = "IRC carries no files, and there is no text to say instead.";
            return Err(RpcError::new(ErrorClass::BadRequest, sentence));
        }
        let (told, mut delivered) = mpsc::channel(1);
        let (end, ended) = oneshot::channel();
        let skip = usize::try_from(order.parts.sent()).unwrap_or(usize::MAX);
        let speech = Speech {
            target: route.chat_id.clone(),
            text: order.params.text.clone(),
            addressee: route.addressee.clone().filter(|nick| settings::is_word(nick)),
            skip,
            told,
            end,
        };
        let way = self.way_out().clone();
        let offline =
            || RpcError::new(ErrorClass::Transient, "The IRC server is not connected at the moment.");
        way.ok_or_else(offline)?.send(speech).await.map_err(|_closed| offline())?;
        while let Some(lines) = delivered.recv().await {
            for _ in 0..lines {
                order.parts.delivered(&self.serial.take()).await;
            }
        }
        // Whoever had the speech always says how it ended, unless it was torn down in the middle.
        ended.await.unwrap_or_else(|_gone| {
            let sentence = "The message may or may not have been said: the connection was torn down.";
            Err(RpcError::new(ErrorClass::UnknownOutcome, sentence))
        })
    }
}

impl Account for Irc {
    fn run(self: Arc<Self>, ports: Ports) -> Pending<'static, RpcError> {
        Box::pin(async move { self.receive(&ports).await })
    }

    fn send<'a>(&'a self, order: &'a Order) -> Pending<'a, Result<(), RpcError>> {
        Box::pin(self.deliver(order))
    }
}
