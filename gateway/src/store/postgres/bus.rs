//! Words between gateways that share a database: NOTIFY and LISTEN, on a connection of their own.
//!
//! Nothing of it is durable, and nothing may depend on it: a word that is lost costs the time until somebody looks.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::{Client, Statement};

use super::link::Link;
use super::reach::Reach;
use crate::store::{Kept, StoreError};

/// The longest word, in bytes: the server takes fewer than 8,000.
pub(crate) const LONGEST: usize = 7_900;
/// Words that wait to be heard; who is slower misses some.
const QUEUE: usize = 1_024;
/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(8);
/// A word is not worth waiting for the disk.
const MANNERS: &str =
    "SET application_name = 'creel-events'; SET synchronous_commit = off; SET statement_timeout = '7s';
     LISTEN creel_events";

/// One connection, to speak on.
#[derive(Debug)]
pub(crate) struct Bus {
    client: Client,
    say: Statement,
}

impl Bus {
    /// Connects. What is heard comes until the connection is lost.
    ///
    /// # Errors
    /// [`StoreError::Away`] when nobody answers.
    pub(crate) async fn open(reach: &Reach) -> Kept<(Self, mpsc::Receiver<String>)> {
        within(async {
            let (sender, words) = mpsc::channel(QUEUE);
            let client = Link::reach_for(reach, Some(sender)).await?.into_client();
            client.batch_execute(MANNERS).await?;
            let say = client.prepare("SELECT pg_notify('creel_events', $1)").await?;
            Ok((Self { client, say }, words))
        })
        .await
    }

    /// Says a word to every gateway, this one included.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    pub(crate) async fn say(&self, word: &str) -> Kept<()> {
        within(async { Ok(self.client.execute(&self.say, &[&word]).await.map(drop)?) }).await
    }
}

async fn within<T>(work: impl Future<Output = Kept<T>>) -> Kept<T> {
    let late = || Err(StoreError::Away(format!("it has not answered for {} s", PATIENCE.as_secs())));
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| late())
}
