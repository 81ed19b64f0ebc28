//! What reaches the tree from its edges.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use creel_ipc::msg::tool::ToolExit;
use creel_ipc::msg::unit::ExitCause;
use creel_launch::{Exit, LaunchError};
use creel_link::Link;
use serde_json::Value;
use tokio::sync::mpsc;

use super::homes::Wish;
use super::upgrade::Step;
use crate::logs::Gap;
use crate::tool::Run;
use crate::tool::homes::Home;
use crate::tool::leavings::Findings;
use crate::unit::process::Process;

/// Events that may wait; the edges wait when there are more.
const QUEUE: usize = 1024;

/// The way to the tree. Cheap to clone; only for the supervisor's own thread.
#[derive(Debug, Clone)]
pub struct Events {
    queue: mpsc::Sender<Event>,
    /// Events that are not in the queue yet.
    waiting: Rc<Cell<usize>>,
}

/// The tree is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl Events {
    /// Hands an event over; waits while the tree is behind.
    ///
    /// # Errors
    /// When the tree is gone.
    pub async fn send(&self, event: Event) -> Result<(), Gone> {
        self.waiting.set(self.waiting.get() + 1);
        let sent = self.queue.send(event).await;
        self.waiting.set(self.waiting.get() - 1);
        sent.map_err(|_closed| Gone)
    }

    /// Hands over what may be lost when the tree is behind.
    pub fn offer(&self, event: Event) {
        let _busy = self.queue.try_send(event);
    }

    /// Whether no event is under way.
    pub fn is_quiet(&self) -> bool {
        self.waiting.get() == 0 && self.queue.capacity() == QUEUE
    }
}

/// Makes the queue.
pub fn channel() -> (Events, mpsc::Receiver<Event>) {
    let (queue, incoming) = mpsc::channel(QUEUE);
    (Events { queue, waiting: Rc::default() }, incoming)
}

/// Something happened to one incarnation of a unit.
#[derive(Debug)]
pub struct UnitEvent {
    /// The unit's name.
    pub unit: String,
    /// The incarnation; events of an older one are ignored.
    pub incarnation: u64,
    /// What.
    pub what: What,
}

/// What happened to a unit.
#[derive(Debug)]
pub enum What {
    /// A launch came to its end.
    Launched(Result<Process, LaunchError>),
    /// The process ended.
    Exited(Exit),
    /// Its stderr was read to the end; its last line.
    Drained(Option<String>),
    /// Lines of its log are missing.
    LogGap(Gap),
    /// It must be replaced.
    Fault(ExitCause, String),
    /// A message on its link.
    Message(creel_link::Event),
    /// Its link closed.
    Closed,
}

/// Everything that can happen.
#[derive(Debug)]
pub enum Event {
    /// Some child of this process ended; only told where orphans become its children.
    ChildEnded,
    /// To a unit.
    Unit(UnitEvent),
    /// A request over the control socket.
    Control {
        /// Where the answer goes.
        link: Link,
        /// The request's id.
        id: u64,
        /// Its method.
        method: String,
        /// Its parameters.
        params: Value,
        /// The user who asks.
        uid: u32,
    },
    /// A tool run has a process.
    ToolStarted {
        /// The run.
        run: String,
        /// What it does.
        going: Rc<Run>,
    },
    /// A tool run ended.
    ToolEnded {
        /// The run.
        run: String,
        /// How.
        exit: Box<ToolExit>,
    },
    /// What a run left was looked at.
    ToolLooked {
        /// The run.
        run: String,
        /// How it ended.
        exit: Box<ToolExit>,
        /// What it left.
        findings: Box<Findings>,
    },
    /// The homes of commands were looked for.
    Homes {
        /// Those that there are.
        found: io::Result<Vec<Home>>,
        /// What is to become of them.
        wish: Wish,
    },
    /// A step of an upgrade came to its end.
    Upgrade(Step),
}
