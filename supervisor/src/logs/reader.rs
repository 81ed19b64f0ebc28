//! Reads the stderr of one process until it ends.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::{Notify, oneshot};

use super::line::Cutter;
use super::{Gap, Log};

/// What is read after the process ended: somebody it left behind may hold the pipe open.
pub const DRAIN: Duration = Duration::from_secs(2);

thread_local! {
    /// One buffer for all pipes: they are read one after the other, and a hundred buffers would be 6 MiB.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// What output can be read from.
pub trait Source {
    /// Waits until there is something to read, or nothing more to come.
    ///
    /// # Errors
    /// What the system said.
    fn readable(&self) -> impl Future<Output = io::Result<()>>;

    /// Reads what is there; 0 at the end.
    ///
    /// # Errors
    /// What the system said, or [`io::ErrorKind::WouldBlock`].
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Source for Receiver {
    async fn readable(&self) -> io::Result<()> {
        Self::readable(self).await
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::try_read(self, buffer)
    }
}

/// Reads what is there and hands it on; the number of bytes, 0 at the end.
async fn read_some(pipe: &impl Source, take: &mut impl FnMut(&[u8])) -> io::Result<usize> {
    loop {
        pipe.readable().await?;
        let read = BUFFER.with_borrow_mut(|buffer| {
            let count = pipe.try_read(buffer)?;
            take(buffer.get(..count).unwrap_or_default());
            Ok(count)
        });
        match read {
            Err(error) if io::Error::kind(&error) == io::ErrorKind::WouldBlock => {}
            other => {
                // One busy writer must not keep the thread from everybody else.
                tokio::task::yield_now().await;
                return other;
            }
        }
    }
}

/// The reading end for the runtime. Must be called inside it.
///
/// # Errors
/// What the system said.
pub fn receiver(pipe: impl Into<OwnedFd>) -> io::Result<Receiver> {
    Receiver::from_owned_fd(pipe.into())
}

/// How often missing lines of one log are news.
const NEWS: Duration = Duration::from_secs(60);
/// When lines over the budget are told in the log itself, if no line that fits comes before.
const TOLD: Duration = Duration::from_secs(1);

/// The stderr of one process on its way into a log. Between two reads everything that was read is in here, so that
/// another program can go on.
#[derive(Debug)]
pub struct Tap {
    pipe: Receiver,
    log: Log,
    cutter: RefCell<Cutter>,
}

impl Tap {
    /// A pipe from its beginning, or from where `cutter` stopped.
    pub fn new(pipe: Receiver, log: Log, cutter: Cutter) -> Self {
        Self { pipe, log, cutter: RefCell::new(cutter) }
    }

    /// Copies until the end of the pipe, or until two seconds after `ended`; the last line of the log. `missing` is told
    /// of lines that the log could not keep: of the first ones, then at most once a minute, and at the end.
    pub async fn copy(&self, ended: oneshot::Receiver<()>, mut missing: impl FnMut(Gap)) -> Option<String> {
        let over = Notify::new();
        if self.log.owes_summary() {
            over.notify_one();
        }
        let take = |bytes: &[u8]| {
            self.log.write(&mut self.cutter.borrow_mut(), bytes);
            self.log.gap(NEWS).into_iter().for_each(&mut missing);
            if self.log.owes_summary() {
                over.notify_one();
            }
        };
        // A unit that falls silent after a flood must not keep its count to itself.
        let tell = async {
            loop {
                over.notified().await;
                tokio::time::sleep(TOLD).await;
                self.log.tell_dropped();
            }
        };
        tokio::select! {
            () = collect(&self.pipe, ended, take) => {}
            () = tell => {}
        }
        self.log.finish(&mut self.cutter.borrow_mut());
        self.log.gap(Duration::ZERO).into_iter().for_each(missing);
        self.log.last()
    }

    /// The pipe.
    pub fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// The line that is not complete yet.
    pub fn cutter(&self) -> Cutter {
        self.cutter.borrow().clone()
    }
}

/// Collects a pipe until its end or until `DRAIN` after `ended`.
pub async fn collect(pipe: &impl Source, ended: oneshot::Receiver<()>, mut take: impl FnMut(&[u8])) {
    let deadline = async {
        let _dropped_too = ended.await;
        tokio::time::sleep(DRAIN).await;
    };
    let to_the_end = async { while let Ok(1..) = read_some(pipe, &mut take).await {} };
    tokio::select! {
        () = to_the_end => {}
        () = deadline => {}
    }
}
