//! A socket that leads to another one, and can be cut like a cable: nothing is closed, nothing comes through.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The cable.
#[derive(Debug)]
pub struct Cable {
    near: Near,
    state: watch::Sender<State>,
    serving: JoinHandle<()>,
}

/// Its end on the side of who uses it.
#[derive(Debug)]
enum Near {
    Folder(tempfile::TempDir),
    Port(SocketAddr),
}

/// What it leads to, and what becomes of what was on its way when it was cut.
#[derive(Debug, Clone)]
enum Far {
    /// Comes through when the cable is mended, as packets do that are sent again.
    Socket(PathBuf),
    /// Is gone with its connection, as behind a router that has forgotten it.
    Port(SocketAddr),
}

#[derive(Debug, Clone, Copy)]
struct State {
    whole: bool,
    cuts: u64,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
type Ends = (ReadHalf<Box<dyn Stream>>, WriteHalf<Box<dyn Stream>>);

impl Cable {
    /// Leads to the socket of a database server, whose folder this is.
    ///
    /// # Errors
    /// When no socket can be made.
    pub fn to_postgres(server: &Path) -> Result<Self> {
        const NAME: &str = ".s.PGSQL.5432";
        let folder = tempfile::Builder::new().prefix("creel-cable").tempdir_in("/tmp")?;
        let path = folder.path().join(NAME);
        let listener = UnixListener::bind(&path)?;
        // A standby comes this way, too, and is another user.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777))?;
        let (state, watched) = watch::channel(State { whole: true, cuts: 0 });
        let far = Far::Socket(server.join(NAME));
        let serving = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(lead(Box::new(near), far.clone(), watched.clone()));
            }
        });
        Ok(Self { near: Near::Folder(folder), state, serving })
    }

    /// Leads from a port on the loopback interface to another one.
    ///
    /// # Errors
    /// When there is no port.
    pub fn to_port(far: SocketAddr) -> Result<Self> {
        Self::between(Ipv4Addr::LOCALHOST, far)
    }

    /// Leads from a port of another address of this machine to one.
    ///
    /// # Errors
    /// When there is no port.
    pub fn between(near: Ipv4Addr, far: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind((near, 0))?;
        listener.set_nonblocking(true)?;
        let near = Near::Port(listener.local_addr()?);
        let listener = TcpListener::from_std(listener)?;
        let (state, watched) = watch::channel(State { whole: true, cuts: 0 });
        let serving = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(lead(Box::new(near), Far::Port(far), watched.clone()));
            }
        });
        Ok(Self { near, state, serving })
    }

    /// The folder of its socket; nothing for one that leads to a port.
    pub fn folder(&self) -> &Path {
        match &self.near {
            Near::Folder(folder) => folder.path(),
            Near::Port(_) => Path::new(""),
        }
    }

    /// The address of its near end, where that is a port.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.near {
            Near::Folder(_) => None,
            Near::Port(address) => Some(*address),
        }
    }

    /// Nothing comes through any more, in either direction.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.cuts += u64::from(state.whole);
            state.whole = false;
        });
    }

    /// Everything comes through again; to a socket also what waited.
    pub fn mend(&self) {
        self.state.send_modify(|state| state.whole = true);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn lead(near: Box<dyn Stream>, far: Far, mut state: watch::Receiver<State>) {
    let begun = *state.borrow();
    // A cut cable does not refuse: it says nothing.
    let Ok(now) = state.wait_for(|state| state.whole).await.map(|state| *state) else { return };
    let forgets = matches!(far, Far::Port(_));
    let far: Box<dyn Stream> = match &far {
        Far::Socket(path) => match UnixStream::connect(path).await {
            Ok(far) => Box::new(far),
            Err(_) => return,
        },
        // Whoever called while it was cut has given up since, or calls again; it must not be heard now.
        Far::Port(_) if !begun.whole || now.cuts != begun.cuts => return,
        Far::Port(address) => match TcpStream::connect(address).await {
            Ok(far) => Box::new(far),
            Err(_) => return,
        },
    };
    let ((near_in, near_out), (far_in, far_out)) = (split(near), split(far));
    let remembered = forgets.then_some(now.cuts);
    let way = carry((near_in, far_out), state.clone(), remembered);
    let back = carry((far_in, near_out), state, remembered);
    if forgets {
        // HTTP: who hangs up wants nothing more.
        tokio::select! { () = way => {}, () = back => {} }
    } else {
        tokio::join!(way, back);
    }
}

/// `remembered` is the number of cuts after which the connection is still known; without it, it always is.
async fn carry((mut from, mut to): Ends, mut state: watch::Receiver<State>, remembered: Option<u64>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            () = forgotten(state.clone(), remembered) => break,
        };
        let Ok(now) = state.wait_for(|state| state.whole).await.map(|state| *state) else { break };
        let known = remembered.is_none_or(|cuts| now.cuts == cuts);
        if !known || read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _gone = to.shutdown().await;
}

/// Waits until the cable is whole again after a cut.
async fn forgotten(mut state: watch::Receiver<State>, remembered: Option<u64>) {
    let Some(cuts) = remembered else { return std::future::pending().await };
    let _gone = state.wait_for(|state| state.whole && state.cuts != cuts).await;
}
