//! A worker in a task of its own, and the gateway's end of its link in the test's hands.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use creel_channel::{Irc, IrcPace, Pace, Surroundings, Telegram};
use creel_channel_core::{Account, Worker};
use creel_ipc::hello::{Reconfigure, WorkerConfig};
use creel_ipc::msg::channel::*;
use creel_ipc::{
    ErrorClass, ExitCode, Hello, Limits, Notify, PROTOCOL, Request, RpcError, SecretJson, Welcome,
};
use creel_link::{CallError, Event, Incoming, Link, Vitals};
use fake_telegram::{Fake, TOKEN};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

pub(crate) type Opener = dyn Fn(&ChannelConfig) -> Result<Arc<dyn Account>, RpcError> + Send + Sync;

/// What a worker under test stands on.
#[derive(Clone, Default)]
pub(crate) struct Stand {
    pub(crate) around: Surroundings,
    pub(crate) streaming: bool,
}

/// The gateway's end.
pub(crate) struct Rig {
    pub(crate) link: Link,
    pub(crate) seen: Seen,
    worker: JoinHandle<ExitCode>,
    /// A duplicate of the gateway's end, as the supervisor keeps it.
    kept: OwnedFd,
    config: ChannelConfig,
}

/// What came from the worker and was not looked at yet.
pub(crate) struct Seen {
    events: mpsc::Receiver<Event>,
    waiting: VecDeque<Event>,
    pump: AbortHandle,
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

pub(crate) fn pace() -> Pace {
    let ms = Duration::from_millis;
    Pace {
        retry: (ms(20), ms(100)),
        conflict: ms(50),
        call: Duration::from_secs(5),
        poll_margin: Duration::from_secs(5),
        watchdog: Duration::from_secs(5),
        typing: ms(40),
        draft: ms(20),
    }
}

pub(crate) fn direct() -> Route {
    Route { chat_id: "501".to_owned(), kind: ChatKind::Direct, thread: None, reply_to: None, addressee: None }
}

pub(crate) fn send(key: &str, text: &str) -> SendParams {
    let (key, text) = (key.to_owned(), text.to_owned());
    SendParams { key, route: direct(), text, attachments: vec![], parts_sent: 0, draft: None }
}

pub(crate) fn telegram_settings(fake: &Fake, token: &str) -> Value {
    json!({"botToken": token, "apiRoot": fake.api_root(), "pollTimeoutSeconds": 1})
}

fn config(channel: &str, settings: Value, streaming: bool) -> ChannelConfig {
    ChannelConfig {
        channel: channel.to_owned(),
        account: "default".to_owned(),
        settings: SecretJson::new(settings),
        streaming,
        text_limit: None,
        log_level: None,
    }
}

fn welcome(config: &ChannelConfig) -> Welcome {
    Welcome {
        protocol: PROTOCOL,
        session: "s".to_owned(),
        epoch: 1,
        limits: Limits::default(),
        config: WorkerConfig::Channel(config.clone()),
        cursor: None,
        lease: None,
    }
}

impl Rig {
    pub(crate) async fn telegram(fake: &Fake) -> Self {
        let stand = Stand { streaming: true, ..Stand::default() };
        Self::telegram_with(telegram_settings(fake, TOKEN), stand).await
    }

    pub(crate) async fn telegram_with(settings: Value, stand: Stand) -> Self {
        let around = stand.around.clone();
        let open = move |config: &ChannelConfig| {
            Ok(Arc::new(Telegram::open(config, &around, pace())?) as Arc<dyn Account>)
        };
        Self::start(config("telegram", settings, stand.streaming), Box::new(open)).await
    }

    pub(crate) async fn irc(settings: Value, around: Surroundings) -> Self {
        let ms = Duration::from_millis;
        Self::irc_at(
            settings,
            around,
            IrcPace { retry: (ms(20), ms(200)), rejoin: ms(50), ..IrcPace::default() },
        )
        .await
    }

    pub(crate) async fn irc_at(settings: Value, around: Surroundings, pace: IrcPace) -> Self {
        let open = move |config: &ChannelConfig| {
            Ok(Arc::new(Irc::open(config, &around, pace.clone())?) as Arc<dyn Account>)
        };
        Self::start(config("irc", settings, false), Box::new(open)).await
    }

    pub(crate) async fn start(config: ChannelConfig, open: Box<Opener>) -> Self {
        let (worker_end, gateway_end) = UnixStream::pair().unwrap();
        let gateway_end: OwnedFd = gateway_end.into_std().unwrap().into();
        let kept = gateway_end.try_clone().unwrap();
        let vitals = Vitals::default();
        let (link, incoming) = Link::new(worker_end, 0, vitals.clone());
        let worker = Worker {
            selftest: None,
            unit: "channel:test:default".to_owned(),
            build: "0".to_owned(),
            open,
            configured: Box::new(|_| {}),
        };
        let worker = tokio::spawn(worker.run(link, incoming, vitals, std::future::pending()));
        let (link, incoming) = Link::from_fd(gateway_end, 0, Vitals::default()).unwrap();
        let mut rig = Self { link, seen: Seen::new(incoming), worker, kept, config };
        rig.welcome().await;
        rig
    }

    async fn welcome(&mut self) -> Hello {
        let hello = self.seen.notification(Hello::METHOD).await;
        let hello: Hello = serde_json::from_value(hello).unwrap();
        self.link.notify::<Welcome>(&welcome(&self.config)).await.unwrap();
        self.seen.notification("ready").await;
        hello
    }

    /// The gateway dies and another takes the link over.
    pub(crate) async fn take_over(self) -> Self {
        let Self { link, seen, worker, kept, config } = self;
        drop((link, seen));
        // The dead gateway's tasks let go of the socket before the new one reads from it.
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        let socket = kept.try_clone().unwrap();
        let (link, incoming) = Link::from_fd(socket, 1 << 32, Vitals::default()).unwrap();
        let mut rig = Self { link, seen: Seen::new(incoming), worker, kept, config };
        rig.link.renew("second").await.unwrap();
        let hello = rig.welcome().await;
        assert_eq!(hello.session.as_deref(), Some("second"));
        rig
    }

    pub(crate) async fn reconfigure(&mut self, settings: Value) {
        self.config.settings = SecretJson::new(settings);
        let config = WorkerConfig::Channel(self.config.clone());
        self.link.notify::<Reconfigure>(&Reconfigure { config }).await.unwrap();
    }

    pub(crate) async fn send(&self, params: &SendParams) -> Result<Sent, RpcError> {
        match self.link.call::<SendMessage>(params).await {
            Ok(sent) => Ok(sent),
            Err(CallError::Refused(error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }

    /// Asks for a message and dies before the answer.
    pub(crate) async fn ask_and_forget(&self, params: &SendParams) {
        let asked =
            tokio::time::timeout(Duration::from_millis(20), self.link.call::<SendMessage>(params)).await;
        assert!(asked.is_err());
    }

    /// Sends, after as many pauses as the platform asks for.
    pub(crate) async fn send_when_allowed(&self, params: &SendParams) -> Sent {
        loop {
            match self.send(params).await {
                Err(error) if error.class() == ErrorClass::RetryAfter => {
                    tokio::time::sleep(Duration::from_millis(error.data.unwrap().retry_after_ms.unwrap()))
                        .await;
                }
                outcome => return outcome.unwrap(),
            }
        }
    }

    pub(crate) async fn typing(&self, route: Route, on: bool) {
        self.link.notify::<Typing>(&Typing { route, on }).await.unwrap();
    }

    pub(crate) async fn draft(&self, draft: &str, text: &str) {
        let draft = Draft { draft: draft.to_owned(), route: direct(), text: text.to_owned() };
        self.link.notify::<Draft>(&draft).await.unwrap();
    }

    pub(crate) async fn inbound(&mut self) -> (u64, Inbound) {
        inbound(&mut self.seen).await
    }

    /// Takes the next message and stores it.
    pub(crate) async fn store(&mut self) -> Inbound {
        let (id, inbound) = self.inbound().await;
        answer_stored(&self.link, id).await;
        inbound
    }

    pub(crate) async fn refuse(&self, id: u64, class: ErrorClass) {
        self.link.respond(id, Err(RpcError::new(class, "The disk is full."))).await;
    }

    pub(crate) async fn part(&mut self) -> PartSent {
        serde_json::from_value(self.seen.notification(PartSent::METHOD).await).unwrap()
    }

    pub(crate) async fn status_when(&mut self, wanted: impl Fn(&ChannelStatus) -> bool) -> ChannelStatus {
        loop {
            let status = self.seen.notification(ChannelStatus::METHOD).await;
            let status: ChannelStatus = serde_json::from_value(status).unwrap();
            if wanted(&status) {
                return status;
            }
        }
    }

    /// The worker's process dies on the spot.
    pub(crate) async fn kill(self) {
        self.worker.abort();
        assert!(self.worker.await.unwrap_err().is_cancelled());
    }

    /// The gateway closes the link for good.
    pub(crate) async fn hang_up(self) -> ExitCode {
        let Self { link, seen, worker, kept, .. } = self;
        drop((link, seen, kept));
        worker.await.unwrap()
    }
}

impl Seen {
    /// A test does not always look; events must not hold up the answers behind them.
    fn new(mut incoming: Incoming) -> Self {
        let (sender, events) = mpsc::channel(1 << 16);
        let pump = tokio::spawn(async move {
            while let Some(event) = incoming.recv().await {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        Self { events, waiting: VecDeque::new(), pump: pump.abort_handle() }
    }

    /// The next event that is wanted; others keep their place.
    async fn next(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        if let Some(at) = self.waiting.iter().position(&wanted) {
            return self.waiting.remove(at).unwrap();
        }
        let patience = Duration::from_secs(30);
        loop {
            let event = tokio::time::timeout(patience, self.events.recv()).await;
            let event = event.expect("the worker says nothing more").expect("the worker is gone");
            if wanted(&event) {
                return event;
            }
            self.waiting.push_back(event);
        }
    }

    pub(crate) async fn notification(&mut self, name: &str) -> Value {
        let found =
            self.next(|event| matches!(event, Event::Notification { method, .. } if method == name)).await;
        let Event::Notification { params, .. } = found else { unreachable!() };
        params
    }
}

pub(crate) async fn inbound(seen: &mut Seen) -> (u64, Inbound) {
    let wanted =
        |event: &Event| matches!(event, Event::Request { method, .. } if method == InboundMessage::METHOD);
    let Event::Request { id, params, .. } = seen.next(wanted).await else { unreachable!() };
    (id, serde_json::from_value(params).unwrap())
}

pub(crate) async fn answer_stored(link: &Link, id: u64) {
    link.answer::<InboundMessage>(id, Ok(Stored { duplicate: false })).await;
}

/// One plain HTTP call, as another client would make it.
pub(crate) async fn post(fake: &Fake, path: &str, body: &Value) {
    let mut stream = TcpStream::connect(fake.address()).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 15]).await.unwrap();
}
