//! The async front of a store: one thread writes, two read, and writes that wait are committed together.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::{Kept, Postgres, Sqlite, Store, StoreError};

/// Writes of one commit.
const GROUP: usize = 64;
/// Calls that may wait for a thread.
const QUEUE: usize = 1024;
/// Threads that read.
const READERS: usize = 2;

/// Tells the caller, once it is known whether the group was committed.
type Tell = Box<dyn FnOnce(Kept<()>) + Send>;
/// Runs on a thread of the store, or hears why it cannot.
type Job = Box<dyn FnOnce(Kept<&mut dyn Store>) -> Tell + Send>;

/// The store, as the rest of the gateway sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    writes: mpsc::Sender<Job>,
    reads: mpsc::Sender<Job>,
}

/// A call that has its place in the order of writes already.
#[derive(Debug)]
pub(crate) struct Ticket<T>(oneshot::Receiver<Kept<T>>);

impl<T> Future for Ticket<T> {
    type Output = Kept<T>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Kept<T>> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.unwrap_or(Err(StoreError::Closed)))
    }
}

impl Desk {
    /// Puts the threads before a SQLite store.
    pub(crate) fn over_sqlite(store: Sqlite) -> Kept<Self> {
        let reads = readers(|| store.reader(), |_| Ok(()))?;
        Ok(Self { writes: writer(store)?, reads })
    }

    /// Puts the threads before a store on a server, each with a connection of its own.
    pub(crate) fn over_postgres(store: Postgres) -> Kept<Self> {
        let reads = readers(|| store.reader(), Postgres::settle)?;
        Ok(Self { writes: writer(store)?, reads })
    }

    /// Puts one thread before any other store.
    #[cfg(test)]
    pub(crate) fn over(store: impl Store + 'static) -> Kept<Self> {
        let writes = writer(store)?;
        Ok(Self { reads: writes.clone(), writes })
    }

    /// Takes a place in the order of writes; the ticket tells what came of it, once it is durable.
    pub(crate) async fn submit<T, F>(&self, call: F) -> Ticket<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Kept<T> + Send + 'static,
    {
        send(&self.writes, call).await
    }

    /// Writes, and waits until it is durable.
    pub(crate) async fn write<T, F>(&self, call: F) -> Kept<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Kept<T> + Send + 'static,
    {
        self.submit(call).await.await
    }

    /// Reads what is durable.
    pub(crate) async fn read<T, F>(&self, call: F) -> Kept<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Kept<T> + Send + 'static,
    {
        send(&self.reads, call).await.await
    }
}

async fn send<T, F>(queue: &mpsc::Sender<Job>, call: F) -> Ticket<T>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Store) -> Kept<T> + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let job: Job = Box::new(move |store| {
        let outcome = store.and_then(call);
        Box::new(move |committed: Kept<()>| {
            // Whoever asked may have gone away.
            let _gone = sender.send(committed.and(outcome));
        })
    });
    // A closed queue drops the job and with it the sender: the ticket says so.
    let _closed = queue.send(job).await;
    Ticket(receiver)
}

/// Threads that read, each by a connection of its own. What was read is told when `settle` says that it is durable.
fn readers<S: Store + 'static>(
    make: impl Fn() -> Kept<S>,
    settle: fn(&mut S) -> Kept<()>,
) -> Kept<mpsc::Sender<Job>> {
    let (reads, queue) = mpsc::channel::<Job>(QUEUE);
    let queue = Arc::new(Mutex::new(queue));
    let made: Vec<S> = (0..READERS).map(|_| make()).collect::<Kept<_>>()?;
    for (number, mut reader) in made.into_iter().enumerate() {
        let queue = Arc::clone(&queue);
        start(&format!("store-read-{number}"), move || {
            loop {
                let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                let Some(job) = job else { return };
                let tell = job(Ok(&mut reader));
                tell(settle(&mut reader));
            }
        })?;
    }
    Ok(reads)
}

fn writer(mut store: impl Store + 'static) -> Kept<mpsc::Sender<Job>> {
    let (sender, mut queue) = mpsc::channel::<Job>(QUEUE);
    start("store-write", move || {
        while let Some(first) = queue.blocking_recv() {
            write_group(&mut store, first, &mut queue);
        }
    })?;
    Ok(sender)
}

fn write_group(store: &mut dyn Store, first: Job, queue: &mut mpsc::Receiver<Job>) {
    if let Err(error) = store.begin_group() {
        tracing::error!("A write could not begin: {error}");
        return first(Err(error))(Ok(()));
    }
    let (began, grows) = (Instant::now(), store.group_for());
    let mut tellings = vec![first(Ok(&mut *store))];
    while tellings.len() < GROUP && began.elapsed() < grows {
        let Ok(next) = queue.try_recv() else { break };
        tellings.push(next(Ok(&mut *store)));
    }
    let committed = store.commit_group();
    if let Err(error) = &committed {
        tracing::error!("A group of {} writes could not be committed: {error}", tellings.len());
    }
    for tell in tellings {
        tell(committed.clone());
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Kept<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| StoreError::Engine(format!("its thread {name} cannot start: {error}")))
}
