//! A model server for tests. It speaks OpenAI's chat completions and Anthropic's Messages, both streamed and
//! whole, and its answers are decided by the last line that the user wrote:
//!
//! | line | answer |
//! |---|---|
//! | `echo TEXT` | `TEXT` |
//! | `tool COMMAND` | a call of `exec` with that command; on its result, `tool said: ` and its first line |
//! | `call TOOL JSON` | a call of that tool with those arguments; answered likewise |
//! | `slow MS TEXT` | `TEXT` in pieces over that time |
//! | `long N` | N characters of one to four bytes each |
//! | `deltas N` | N small pieces as fast as they can be written |
//! | `obey`, anywhere | the lines below it, one after the other: the next one on each result of a tool |
//! | anything else | `re: ` and the text |

mod anthropic;
mod control;
mod openai;
pub mod script;
mod server;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use control::{Asked, Control, Fault, Pace, Stats};

/// A running server. Ends when it is dropped.
#[derive(Debug)]
pub struct FakeModel {
    address: SocketAddr,
    control: Control,
    task: JoinHandle<()>,
}

impl FakeModel {
    /// Starts on loopback; port 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("Port {port} of 127.0.0.1 cannot be bound by the fake model."))?;
        let address = listener.local_addr()?;
        let control = Control::default();
        let router = server::router(control.clone());
        let task = tokio::spawn(async move {
            // It ends with the process or by `drop`; a failed accept is no reason to stop.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, control, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address, for `models.providers.<id>.baseUrl` of `openai-completions`.
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The address, for `models.providers.<id>.baseUrl` of `anthropic-messages`.
    pub fn anthropic_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Pace, faults and the record.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Runs until the process ends.
    pub async fn run(mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        self.task.abort();
    }
}
