//! One tool run, from its launch to the last byte of its output.

use std::cell::{Cell, Ref, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use creel_ipc::msg::tool::{ToolCause, ToolExit};
use creel_launch::{Exit, LaunchError, Signal};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::capture::{Capture, Characters};
use super::command::{Command, Writes};
use super::ends::{self, Output};
use super::layers::{self, Measured};
use super::leavings::Look;
use super::quota::Quotas;
use super::runs::Hold;
use super::scroll::Scroll;
use crate::logs::reader;
use crate::unit::process::{self, Process, spawn_error};

/// What a run has to end after it was told to.
const END_GRACE: Duration = Duration::from_secs(1);

/// Why a run was ended by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Verdict {
    Own(Exit),
    TimedOut,
    Killed,
}

/// A command that runs. Between two steps everything that is known of it is in here, so that another program can go on.
#[derive(Debug)]
pub struct Run {
    /// Its process.
    pub process: Process,
    began: Instant,
    wall: Duration,
    verdict: Cell<Option<Verdict>>,
    /// Whether the process was reaped.
    reaped: Cell<bool>,
    /// The agent whose way out it has, if it has one.
    pub reaches: Option<String>,
    /// The folder of the host that it has as its home, if that is kept.
    pub home: Option<PathBuf>,
    /// What is to be looked at when it has ended: its workspace, and the operator's folders that it may write.
    pub looks: Vec<Look>,
    /// The folders whose layers its process has, in their order.
    bounds: Vec<Measured>,
    /// The folders that their file system limits.
    pub by_quota: Vec<PathBuf>,
    out: Stream,
    err: Stream,
    /// Its standard input, as long as that is open.
    input: RefCell<Option<OwnedFd>>,
    /// What it printed, if somebody may come back for it.
    scroll: Option<RefCell<Scroll>>,
}

#[derive(Debug)]
struct Stream {
    pipe: Output,
    capture: RefCell<Capture>,
    characters: RefCell<Characters>,
}

/// A run, but for its process and its pipes, for the program that comes after an upgrade.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunState {
    age: Duration,
    wall: Duration,
    verdict: Option<Verdict>,
    reaped: bool,
    #[serde(default)]
    reaches: Option<String>,
    #[serde(default)]
    home: Option<PathBuf>,
    #[serde(default)]
    look: Option<Look>,
    #[serde(default)]
    looks: Vec<Look>,
    #[serde(default)]
    bounds: Vec<Measured>,
    #[serde(default)]
    by_quota: Vec<PathBuf>,
    out: (Capture, Characters),
    err: (Capture, Characters),
    scroll: Option<Scroll>,
}

/// The descriptors of a run: output, errors, and input as long as that is open.
#[derive(Debug)]
pub struct RunFds {
    /// Output.
    pub out: OwnedFd,
    /// Errors.
    pub err: OwnedFd,
    /// Input.
    pub input: Option<OwnedFd>,
}

impl Stream {
    fn open(
        pipe: impl Into<OwnedFd>,
        (capture, characters): (Capture, Characters),
    ) -> Result<Self, LaunchError> {
        let pipe = Output::watch(pipe.into())
            .map_err(|error| spawn_error(&error, "The command's output cannot be watched"))?;
        Ok(Self { pipe, capture: RefCell::new(capture), characters: RefCell::new(characters) })
    }

    fn state(&self) -> (Capture, Characters) {
        (self.capture.borrow().clone(), self.characters.borrow().clone())
    }

    async fn read(&self, ended: oneshot::Receiver<()>, printed: &impl Fn(String)) {
        reader::collect(&self.pipe, ended, |bytes| {
            self.capture.borrow_mut().push(bytes);
            let text = self.characters.borrow_mut().text(bytes);
            if !text.is_empty() {
                printed(text);
            }
        })
        .await;
    }
}

impl Run {
    /// Launches a command.
    ///
    /// # Errors
    /// What the run came to: it never began.
    pub async fn launch(command: &Command, quotas: &Quotas) -> Result<Rc<Self>, ToolExit> {
        let began = Instant::now();
        Self::begin(command, quotas, began).await.map(Rc::new).map_err(|error| ToolExit {
            message: Some(error.to_string()),
            wall_ms: millis(began.elapsed()),
            ..ToolExit::of(ToolCause::LaunchFailed)
        })
    }

    async fn begin(command: &Command, quotas: &Quotas, began: Instant) -> Result<Self, LaunchError> {
        let bounds = layers::measure_aside(&command.bounds, quotas).await?;
        let layered = |folder: &PathBuf| bounds.iter().any(|measured| measured.bound.folder == *folder);
        let by_quota = command.bounds.iter().map(|bound| bound.folder.clone());
        let by_quota = by_quota.filter(|folder| !layered(folder)).collect();
        let mut spec = command.spec.clone();
        spec.layers = bounds.iter().map(Measured::layer).collect();
        let (stdio, ours) = ends::open(command.input)?;
        let looks = command.writes.iter().chain(&command.writes_binds).map(Writes::look).collect();
        let launching = process::begin(&spec, stdio, 1)?;
        let fresh = || (Capture::new(command.keep), Characters::default());
        Ok(Self {
            process: process::launched(launching).await?,
            began,
            wall: command.wall,
            verdict: Cell::new(None),
            reaped: Cell::new(false),
            reaches: command.reaches.clone(),
            home: command.home.clone(),
            looks,
            bounds,
            by_quota,
            out: Stream::open(ours.out, fresh())?,
            err: Stream::open(ours.err, fresh())?,
            input: RefCell::new(ours.input),
            scroll: command.background.is_some().then(RefCell::default),
        })
    }

    /// Writes to its input what fits; the number of bytes. `eof` closes the input of a pipe after that; a terminal is to
    /// be sent its own sign for it.
    ///
    /// # Errors
    /// A sentence, when it has no input or does not read any more.
    pub fn write(&self, text: &str, eof: bool) -> Result<usize, String> {
        let mut input = self.input.borrow_mut();
        let fd = input.as_ref().ok_or("Its input is closed.")?;
        let written =
            ends::write(fd, text.as_bytes()).map_err(|error| format!("It reads no input: {error}."))?;
        if eof && written == text.len() && !matches!(self.out.pipe, Output::Terminal(_)) {
            *input = None;
        }
        Ok(written)
    }

    /// What it printed.
    pub fn scroll(&self) -> Option<Ref<'_, Scroll>> {
        self.scroll.as_ref().map(RefCell::borrow)
    }

    /// What the program after this one needs to go on.
    pub fn state(&self) -> RunState {
        RunState {
            age: self.began.elapsed(),
            wall: self.wall,
            verdict: self.verdict.get(),
            reaped: self.reaped.get(),
            reaches: self.reaches.clone(),
            home: self.home.clone(),
            look: None,
            looks: self.looks.clone(),
            bounds: self.bounds.clone(),
            by_quota: self.by_quota.clone(),
            out: self.out.state(),
            err: self.err.state(),
            scroll: self.scroll.as_ref().map(|scroll| scroll.borrow().clone()),
        }
    }

    /// The layers with what it changed, for when it has ended.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn layers(&self) -> io::Result<Vec<(Measured, OwnedFd)>> {
        let layers = self.bounds.iter().cloned().zip(&self.process.0.layers);
        layers.map(|(bound, layer)| Ok((bound, layer.try_clone()?))).collect()
    }

    /// The folders with limits that it writes.
    pub fn holds(&self) -> Vec<Hold> {
        let alone = self.bounds.iter().map(|measured| (&measured.bound.folder, false));
        let all = alone.chain(self.by_quota.iter().map(|folder| (folder, true)));
        all.map(|(folder, shared)| Hold { folder: folder.clone(), shared }).collect()
    }

    /// The pipes: output and errors.
    pub fn pipes(&self) -> [BorrowedFd<'_>; 2] {
        [self.out.pipe.as_fd(), self.err.pipe.as_fd()]
    }

    /// Its input.
    pub fn input(&self) -> Ref<'_, Option<OwnedFd>> {
        self.input.borrow()
    }

    /// Goes on where the program before this one stopped. `killed`: it was told to end the run.
    ///
    /// # Errors
    /// When a pipe cannot be watched.
    pub fn resume(
        state: RunState,
        process: Process,
        RunFds { out, err, input }: RunFds,
        killed: bool,
    ) -> Result<Rc<Self>, LaunchError> {
        let now = Instant::now();
        Ok(Rc::new(Self {
            process,
            began: now.checked_sub(state.age).unwrap_or(now),
            wall: state.wall,
            verdict: Cell::new(state.verdict.or(killed.then_some(Verdict::Killed))),
            reaped: Cell::new(state.reaped),
            reaches: state.reaches,
            home: state.home,
            looks: state.look.into_iter().chain(state.looks).collect(),
            bounds: state.bounds,
            by_quota: state.by_quota,
            out: Stream::open(out, state.out)?,
            err: Stream::open(err, state.err)?,
            input: RefCell::new(input),
            scroll: state.scroll.map(RefCell::new),
        }))
    }

    /// Stays with the run to the last byte of its output. `printed` is told of each piece of it; `kill` ends the run,
    /// also when its sender is dropped.
    pub async fn attend(&self, kill: oneshot::Receiver<()>, printed: impl Fn(String)) -> ToolExit {
        let (out_ended, out_end) = oneshot::channel();
        let (err_ended, err_end) = oneshot::channel();
        let printed = |text: String| {
            if let Some(scroll) = &self.scroll {
                scroll.borrow_mut().push(&text);
            }
            printed(text);
        };
        let read_out = self.out.read(out_end, &printed);
        let read_err = self.err.read(err_end, &printed);
        let verdict = async {
            let verdict = self.wait(kill).await;
            // From here on the pipes have two seconds.
            drop((out_ended, err_ended));
            verdict
        };
        let (verdict, (), ()) = tokio::join!(verdict, read_out, read_err);
        let (stdout, out_dropped) = self.out.capture.borrow().clone().finish();
        let (stderr, err_dropped) = self.err.capture.borrow().clone().finish();
        let (cause, code, signal, mut message) = told(verdict, self.wall);
        if self.process.oom() {
            message = Some("It used more memory than sandbox.memory allows and was killed.".to_owned());
        }
        ToolExit {
            code,
            signal,
            message,
            stdout,
            stderr,
            dropped_bytes: out_dropped + err_dropped,
            wall_ms: millis(self.began.elapsed()),
            ..ToolExit::of(cause)
        }
    }

    async fn wait(&self, kill: oneshot::Receiver<()>) -> Verdict {
        if let (true, Some(verdict)) = (self.reaped.get(), self.verdict.get()) {
            return verdict;
        }
        let ended = self.process.ended();
        tokio::pin!(ended);
        let verdict = match self.verdict.get() {
            Some(verdict) => verdict,
            None => tokio::select! {
                exit = &mut ended => {
                    let verdict = Verdict::Own(exit.unwrap_or(Exit::Code(-1)));
                    self.reaped.set(true);
                    self.verdict.set(Some(verdict));
                    return verdict;
                }
                () = sleep_until(self.began + self.wall) => Verdict::TimedOut,
                _ = kill => Verdict::Killed,
            },
        };
        self.verdict.set(Some(verdict));
        self.process.kill();
        if timeout(END_GRACE, &mut ended).await.is_err() {
            self.process.signal(Signal::KILL);
            let _reaped = ended.await;
        }
        self.reaped.set(true);
        verdict
    }
}

fn told(verdict: Verdict, wall: Duration) -> (ToolCause, Option<i32>, Option<i32>, Option<String>) {
    match verdict {
        // The first process of a run reports a signal as a shell does.
        Verdict::Own(Exit::Code(code @ 129..=192)) => {
            let message = format!("It ended with code {code}: probably killed by signal {}.", code - 128);
            (ToolCause::Exited, Some(code), None, Some(message))
        }
        Verdict::Own(Exit::Code(code)) => (ToolCause::Exited, Some(code), None, None),
        Verdict::Own(Exit::Signal(signal) | Exit::Dumped(signal)) => {
            let message = format!("It was killed by signal {signal}.");
            (ToolCause::Signalled, None, Some(signal), Some(message))
        }
        Verdict::TimedOut => {
            let message = format!("It was ended because its time of {} ms was up.", wall.as_millis());
            (ToolCause::TimedOut, None, None, Some(message))
        }
        Verdict::Killed => (ToolCause::Killed, None, None, Some("It was ended on request.".to_owned())),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
