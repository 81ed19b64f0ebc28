//! Servers of the attacker within the host's reach: they must see nothing, and they do see what reaches them.

use std::time::Duration;

use anyhow::{Result, ensure};
use creel_kit::deadline::{PATIENCE, within};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// What got out by then is in the queues of their sockets.
const MOMENT: Duration = Duration::from_millis(100);

/// Listening servers.
pub(super) struct Witnesses {
    web: TcpListener,
    irc: TcpListener,
    git: TcpListener,
    names: UdpSocket,
}

/// Their ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) web: u16,
    pub(super) irc: u16,
    pub(super) git: u16,
    pub(super) names: u16,
}

impl Witnesses {
    pub(super) async fn new() -> Result<Self> {
        Ok(Self {
            web: TcpListener::bind("127.0.0.1:0").await?,
            irc: TcpListener::bind("127.0.0.1:0").await?,
            git: TcpListener::bind("127.0.0.1:0").await?,
            names: UdpSocket::bind("127.0.0.1:0").await?,
        })
    }

    pub(super) fn ports(&self) -> Result<Ports> {
        Ok(Ports {
            web: self.web.local_addr()?.port(),
            irc: self.irc.local_addr()?.port(),
            git: self.git.local_addr()?.port(),
            names: self.names.local_addr()?.port(),
        })
    }

    fn servers(&self) -> [(&'static str, &TcpListener); 3] {
        [("HTTP", &self.web), ("IRC", &self.irc), ("git", &self.git)]
    }

    pub(super) async fn saw_nothing(&self) -> Result<()> {
        for (what, server) in self.servers() {
            ensure!(tokio::time::timeout(MOMENT, server.accept()).await.is_err(), "{what} got out");
        }
        let mut buffer = [0; 64];
        let heard = tokio::time::timeout(MOMENT, self.names.recv_from(&mut buffer)).await;
        ensure!(heard.is_err(), "DNS got out: {heard:?}");
        Ok(())
    }

    /// That they saw nothing says something only when they see.
    pub(super) async fn do_see(&self) -> Result<()> {
        for (what, server) in self.servers() {
            let _caller = TcpStream::connect(server.local_addr()?).await?;
            within(&format!("the server for {what} sees a caller"), PATIENCE, async {
                Ok(server.accept().await?)
            })
            .await?;
        }
        let caller = UdpSocket::bind("127.0.0.1:0").await?;
        caller.send_to(b"x", self.names.local_addr()?).await?;
        let mut buffer = [0; 64];
        within("the server for names sees a caller", PATIENCE, async {
            Ok(self.names.recv_from(&mut buffer).await?)
        })
        .await?;
        Ok(())
    }
}
