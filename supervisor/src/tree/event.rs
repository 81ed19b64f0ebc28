//! What reaches the tree from its edges.

use creel_ipc::msg::tool::ToolExit;
use creel_ipc::msg::unit::ExitCause;
use creel_launch::{Exit, LaunchError};
use creel_link::Link;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::unit::process::Process;

/// Events that may wait; the edges wait when there are more.
const QUEUE: usize = 1024;

/// The way to the tree.
pub type Events = mpsc::Sender<Event>;

/// Makes the queue.
pub fn channel() -> (Events, mpsc::Receiver<Event>) {
    mpsc::channel(QUEUE)
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
    },
    /// A tool run has a process.
    ToolStarted {
        /// The run.
        run: String,
        /// Its process.
        process: Process,
    },
    /// A tool run ended.
    ToolEnded {
        /// The run.
        run: String,
        /// How.
        exit: Box<ToolExit>,
    },
}
