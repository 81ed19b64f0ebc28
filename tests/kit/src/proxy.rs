//! A unix socket that leads to another one, and can be cut like a cable: nothing is closed, nothing comes through.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The cable.
#[derive(Debug)]
pub struct Cable {
    folder: tempfile::TempDir,
    whole: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Cable {
    /// Leads to the socket of a database server, whose folder this is.
    ///
    /// # Errors
    /// When no socket can be made.
    pub fn to_postgres(server: &Path) -> Result<Self> {
        const NAME: &str = ".s.PGSQL.5432";
        let folder = tempfile::Builder::new().prefix("creel-cable").tempdir_in("/tmp")?;
        let listener = UnixListener::bind(folder.path().join(NAME))?;
        let (whole, watched) = watch::channel(true);
        let serving = tokio::spawn(serve(listener, server.join(NAME), watched));
        Ok(Self { folder, whole, serving })
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Nothing comes through any more, in either direction.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Everything comes through again, what waited, too.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: UnixListener, to: PathBuf, whole: watch::Receiver<bool>) {
    while let Ok((near, _)) = listener.accept().await {
        let (to, mut whole) = (to.clone(), whole.clone());
        tokio::spawn(async move {
            // A cut cable does not refuse: it says nothing.
            let _ended = whole.wait_for(|whole| *whole).await.is_err();
            let Ok(far) = UnixStream::connect(&to).await else { return };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::join!(carry(near_in, far_out, whole.clone()), carry(far_in, near_out, whole));
        });
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut whole: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let mended = whole.wait_for(|whole| *whole).await.is_ok();
        if !mended || read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
