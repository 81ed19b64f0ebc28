//! One connection: lines in and out at the pace that the server bears, until it ends.

use std::collections::VecDeque;
use std::time::Duration;

use creel_channel_core::{Ports, now_ms};
use creel_ipc::{ErrorClass, RpcError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::flood::Bucket;
use super::line::{Line, write};
use super::session::{Effect, Session};
use super::speech;
use super::{Irc, IrcPace};
use crate::dial::Stream;

/// Bytes of one line with its tags.
const MOST_LINE: usize = 16 * 1024;
/// Answers to CTCP that may wait; more are left out.
const MOST_REPLIES: usize = 4;
/// Time for one write.
const WRITE: Duration = Duration::from_secs(30);
/// A room that cannot be joined is tried again after this many times the pause after a kick.
const LATER: u32 = 30;

/// Something to say.
#[derive(Debug)]
pub(super) struct Speech {
    pub(super) target: String,
    pub(super) text: String,
    pub(super) addressee: Option<String>,
    /// Lines that an earlier attempt delivered.
    pub(super) skip: usize,
    /// Told of each delivered line, then of the end.
    pub(super) told: mpsc::Sender<usize>,
    pub(super) end: oneshot::Sender<Result<(), RpcError>>,
}

/// A speech under way.
struct Current {
    speech: Speech,
    lines: VecDeque<String>,
    /// Lines behind the last barrier.
    unread: usize,
    /// The ping that was sent behind them.
    barrier: Option<(String, Instant)>,
}

/// Why the connection ended, and whether it had been of use.
pub(super) struct Ended {
    pub(super) error: RpcError,
    pub(super) was_ready: bool,
}

pub(super) struct Connection<'a> {
    irc: &'a Irc,
    pace: &'a IrcPace,
    ports: &'a Ports,
    stream: Box<dyn Stream>,
    session: Session,
    bucket: Bucket,
    read: Vec<u8>,
    heard: Instant,
    pinged: Instant,
    opened: Instant,
    ready: bool,
    speeches: Option<mpsc::Receiver<Speech>>,
    current: Option<Current>,
    replies: VecDeque<String>,
    rejoins: Vec<(Instant, String)>,
    barriers: u64,
}

fn broken(what: &str) -> RpcError {
    RpcError::new(ErrorClass::Transient, format!("The connection to the IRC server {what}."))
}

impl<'a> Connection<'a> {
    pub(super) fn new(irc: &'a Irc, ports: &'a Ports, stream: Box<dyn Stream>, session: Session) -> Self {
        let now = Instant::now();
        Self {
            irc,
            pace: &irc.pace,
            ports,
            stream,
            session,
            bucket: Bucket::new(irc.settings.burst, irc.settings.every, now),
            read: Vec::new(),
            heard: now,
            pinged: now,
            opened: now,
            ready: false,
            speeches: None,
            current: None,
            replies: VecDeque::new(),
            rejoins: Vec::new(),
            barriers: 0,
        }
    }

    /// Lives until the connection ends.
    pub(super) async fn live(mut self) -> Ended {
        let error = match self.begin().await {
            Err(error) => error,
            Ok(()) => loop {
                if let Err(error) = self.step().await {
                    break error;
                }
            },
        };
        self.end_speeches(&error);
        Ended { error, was_ready: self.ready }
    }

    async fn begin(&mut self) -> Result<(), RpcError> {
        for line in self.session.begin() {
            self.write(&line).await?;
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), RpcError> {
        let writable = if self.has_line() { Some(self.bucket.ready_at(Instant::now())) } else { None };
        let tick = self.next_tick();
        let mut buffer = [0; 4096];
        let idle = self.current.is_none();
        tokio::select! {
            read = self.stream.read(&mut buffer) => match read {
                Ok(0) => Err(broken("was closed by the server")),
                Err(error) => Err(broken(&format!("broke: {error}"))),
                Ok(n) => self.take(&buffer[..n]).await,
            },
            Some(speech) = next_speech(&mut self.speeches), if idle => {
                self.start(speech);
                Ok(())
            }
            () = sleep_until(writable.unwrap_or(tick)), if writable.is_some() => self.write_next().await,
            () = sleep_until(tick) => self.tick().await,
        }
    }

    async fn write(&mut self, line: &str) -> Result<(), RpcError> {
        let bytes = format!("{line}\r\n");
        match timeout(WRITE, self.stream.write_all(bytes.as_bytes())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(broken(&format!("broke: {error}"))),
            Err(_elapsed) => return Err(broken("takes nothing more")),
        }
        timeout(WRITE, self.stream.flush())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| broken("takes nothing more"))
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), RpcError> {
        self.heard = Instant::now();
        self.read.extend_from_slice(bytes);
        while let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.read.drain(..=end).collect();
            let Some(line) = Line::read(&line) else { continue };
            for effect in self.session.take(&line, now_ms()) {
                self.apply(effect).await?;
            }
        }
        if self.read.len() > MOST_LINE {
            return Err(broken("sent a line without an end"));
        }
        if self.ready {
            self.ports.board.alive();
        }
        Ok(())
    }

    async fn apply(&mut self, effect: Effect) -> Result<(), RpcError> {
        match effect {
            Effect::Send(line) => self.write(&line).await?,
            Effect::Reply(line) if self.replies.len() < MOST_REPLIES => self.replies.push_back(line),
            Effect::Reply(_) => {}
            Effect::Ready => {
                self.ready = true;
                self.ports.board.alive();
                self.speeches = Some(self.irc.open_speeches());
                tracing::info!(host = ?self.irc.settings.host, "The IRC server is ready for messages.");
            }
            Effect::Named(nick) => self.ports.board.named(&nick),
            Effect::Inbound(inbound) => {
                // No cursor waits for it; the network keeps nothing that could be asked for again.
                let _receipt = self.ports.inlet.submit(*inbound).await;
            }
            Effect::Read(token) => self.confirm(&token).await,
            Effect::Refused { target, why } => self.refuse(&target, &why),
            Effect::Rejoin { channel, soon } => {
                let pause = if soon { self.pace.rejoin } else { self.pace.rejoin * LATER };
                self.rejoins.retain(|(_, waiting)| *waiting != channel);
                self.rejoins.push((Instant::now() + pause, channel));
            }
            Effect::End(error) => return Err(error),
        }
        self.ports.vitals.progress();
        Ok(())
    }

    fn next_tick(&self) -> Instant {
        let mut next = self.pinged + self.pace.ping;
        next = next.min(self.heard + self.pace.dead);
        if !self.ready {
            next = next.min(self.opened + self.irc.settings.connect);
        }
        if let Some((at, _)) = self.rejoins.iter().min_by_key(|(at, _)| *at) {
            next = next.min(*at);
        }
        if let Some((_, since)) = self.current.as_ref().and_then(|current| current.barrier.as_ref()) {
            next = next.min(*since + self.pace.barrier);
        }
        next
    }

    async fn tick(&mut self) -> Result<(), RpcError> {
        let now = Instant::now();
        if !self.ready && now >= self.opened + self.irc.settings.connect {
            return Err(broken("did not get through the login in time"));
        }
        if now >= self.heard + self.pace.dead {
            return Err(broken("is dead: nothing came for long"));
        }
        let barrier = self.current.as_ref().and_then(|current| current.barrier.as_ref());
        if barrier.is_some_and(|(_, since)| now >= *since + self.pace.barrier) {
            return Err(broken("does not confirm what was said"));
        }
        let due: Vec<String> =
            self.rejoins.iter().filter(|(at, _)| *at <= now).map(|(_, channel)| channel.clone()).collect();
        self.rejoins.retain(|(at, _)| *at > now);
        for channel in due {
            if let Some(line) = self.session.join(&channel) {
                self.write(&line).await?;
            }
        }
        if now >= self.pinged + self.pace.ping {
            self.pinged = now;
            self.write(&write(&["PING"], Some("creel-alive"))).await?;
            if let Some(line) = self.session.reclaim() {
                self.write(&line).await?;
            }
        }
        Ok(())
    }

    fn start(&mut self, speech: Speech) {
        if self.session.is_missing(&speech.target) {
            let sentence = format!("The bot is not in {} at the moment.", speech.target);
            let _gone = speech.end.send(Err(RpcError::new(ErrorClass::Transient, sentence)));
            return;
        }
        let budget = speech::budget(self.session.prefix_length(), &speech.target);
        let addressee = speech.addressee.as_deref().filter(|_| self.session.is_channel(&speech.target));
        let lines = speech::lines(&speech.text, addressee, budget);
        let lines: VecDeque<String> = lines.into_iter().skip(speech.skip).collect();
        if lines.is_empty() {
            let _gone = speech.end.send(Ok(()));
            return;
        }
        self.current = Some(Current { speech, lines, unread: 0, barrier: None });
    }

    /// Whether a line waits for its turn.
    fn has_line(&self) -> bool {
        !self.replies.is_empty() || self.current.as_ref().is_some_and(|current| current.barrier.is_none())
    }

    async fn write_next(&mut self) -> Result<(), RpcError> {
        self.bucket.take(Instant::now());
        if let Some(line) = self.replies.pop_front() {
            return self.write(&line).await;
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        let Some(text) = current.lines.pop_front() else { return Ok(()) };
        current.unread += 1;
        let mut line = write(&["PRIVMSG", &current.speech.target], Some(&text));
        if current.lines.is_empty() || current.unread >= self.pace.barrier_lines {
            self.barriers += 1;
            let token = format!("creel-{}", self.barriers);
            line.push_str(&format!("\r\nPING :{token}"));
            current.barrier = Some((token, Instant::now()));
            self.bucket.take(Instant::now());
        }
        self.write(&line).await
    }

    /// The server has read everything before the ping.
    async fn confirm(&mut self, token: &str) {
        let Some(current) = &mut self.current else { return };
        if current.barrier.as_ref().is_none_or(|(barrier, _)| barrier != token) {
            return;
        }
        current.barrier = None;
        // Room for it was left; whoever asked may have gone.
        let _gone = current.speech.told.send(std::mem::take(&mut current.unread)).await;
        if current.lines.is_empty()
            && let Some(Current { speech, .. }) = self.current.take()
        {
            let _gone = speech.end.send(Ok(()));
        }
    }

    /// The server says that a target takes nothing; it says so before it answers the ping.
    fn refuse(&mut self, target: &str, why: &str) {
        let meant = self.current.as_ref().is_some_and(|current| {
            current.unread > 0 && self.session.lower(&current.speech.target) == target
        });
        if meant && let Some(Current { speech, .. }) = self.current.take() {
            let sentence = format!("The IRC server does not pass it on to {target}: {why}");
            let _gone = speech.end.send(Err(RpcError::new(ErrorClass::BadRequest, sentence)));
        }
    }

    fn end_speeches(&mut self, error: &RpcError) {
        self.irc.close();
        if let Some(Current { speech, unread, .. }) = self.current.take() {
            let (class, what) = if unread > 0 {
                (ErrorClass::UnknownOutcome, "The message may or may not have been said")
            } else {
                (ErrorClass::Transient, "The message was not said")
            };
            let _gone = speech.end.send(Err(RpcError::new(class, format!("{what}: {error}"))));
        }
        if let Some(mut waiting) = self.speeches.take() {
            waiting.close();
            while let Ok(speech) = waiting.try_recv() {
                let sentence = format!("The message was not said: {error}");
                let _gone = speech.end.send(Err(RpcError::new(ErrorClass::Transient, sentence)));
            }
        }
    }
}

/// A connection that is torn down from outside still says what became of everything.
impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.end_speeches(&broken("was given up"));
    }
}

async fn next_speech(speeches: &mut Option<mpsc::Receiver<Speech>>) -> Option<Speech> {
    match speeches {
        Some(speeches) => speeches.recv().await,
        None => std::future::pending().await,
    }
}
