//! The way out: everything goes through the proxy, and what it refuses was never sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[cfg(test)]
mod rig;

use creel_channel::Surroundings;
use creel_ipc::ErrorClass;
use creel_ipc::msg::channel::ChannelState;
use fake_telegram::{Fake, TOKEN};
use rig::{Rig, Stand, send, telegram_settings};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that connects every tunnel and every plain request to one address, or answers with a refusal.
async fn proxy(
    to: Result<std::net::SocketAddr, &'static str>,
) -> (Surroundings, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(client, to));
        }
    });
    (Surroundings { proxy: Some(format!("http://{address}")), ..Surroundings::default() }, serving)
}

async fn serve(mut client: TcpStream, to: Result<std::net::SocketAddr, &'static str>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    match to {
        Err(refusal) => {
            client.write_all(refusal.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
        }
        Ok(to) => {
            let mut server = TcpStream::connect(to).await.unwrap();
            if head.starts_with(b"CONNECT ") {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            } else {
                server.write_all(&head).await.unwrap();
            }
            let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
    }
}

const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nX-Creel-Egress: denied\r\nContent-Length: 31\r\nConnection: close\r\n\r\ncreel: the host is not allowed\n";

fn through(around: Surroundings) -> Stand {
    Stand { around, streaming: false }
}

#[tokio::test]
async fn a_plain_api_is_reached_through_the_proxy() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let (around, serving) = proxy(Ok(fake.address())).await;
    // The name is the proxy's to resolve.
    let settings = json!({"botToken": TOKEN, "apiRoot": "http://api.invalid:81", "pollTimeoutSeconds": 1});
    let mut rig = Rig::telegram_with(settings, through(around)).await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    rig.send(&send("k", "through")).await.unwrap();
    assert_eq!(fake.sent().len(), 1);
    serving.abort();
}

#[tokio::test]
async fn a_refusal_of_the_proxy_means_that_nothing_was_sent() {
    let fake = Fake::start().await.unwrap();
    for root in [fake.api_root(), "https://api.telegram.org".to_owned()] {
        let (around, serving) = proxy(Err(DENIED)).await;
        let mut settings = telegram_settings(&fake, TOKEN);
        settings["apiRoot"] = root.clone().into();
        let mut rig = Rig::telegram_with(settings, through(around)).await;
        let status = rig.status_when(|status| status.error.is_some()).await;
        assert_eq!(status.error.unwrap().class(), ErrorClass::Transient);
        let error = rig.send(&send("k", "x")).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{root}: {error}");
        assert!(!error.message.contains(TOKEN), "{error}");
        serving.abort();
    }
}

#[tokio::test]
async fn a_tunnel_that_breaks_before_tls_means_that_nothing_was_sent() {
    // A server that accepts the tunnel and hangs up.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hanging_up = tokio::spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let (around, serving) = proxy(Ok(address)).await;
    let settings = json!({"botToken": TOKEN, "apiRoot": "https://api.telegram.org"});
    let rig = Rig::telegram_with(settings, through(around)).await;
    let error = rig.send(&send("k", "x")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    serving.abort();
    hanging_up.abort();
}

#[tokio::test]
async fn irc_goes_through_a_tunnel_and_says_why_it_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (around, serving) = proxy(Ok(listener.local_addr().unwrap())).await;
    let settings = json!({"host": "irc.invalid", "nick": "creel", "tls": false});
    let rig = Rig::irc(settings.clone(), around).await;
    let (mut server, _) = listener.accept().await.unwrap();
    let mut first = [0; 12];
    server.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"CAP LS 302\r\n");
    rig.kill().await;
    serving.abort();

    let (around, serving) = proxy(Err(DENIED)).await;
    let mut rig = Rig::irc(settings, around).await;
    let error = rig.status_when(|status| status.error.is_some()).await.error.unwrap();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(error.message.contains("the host is not allowed"), "{error}");
    serving.abort();
}

/// A server that speaks TLS with the tests' certificate and passes everything on.
async fn behind_tls(to: std::net::SocketAddr) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(to).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, serving)
}

#[tokio::test]
async fn a_secure_api_is_reached_through_a_tunnel_and_only_a_trusted_one() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let (address, serving) = behind_tls(fake.address()).await;
    let (mut around, tunnelling) = proxy(Ok(address)).await;
    let settings = json!({"botToken": TOKEN, "apiRoot": "https://localhost", "pollTimeoutSeconds": 1});
    let rig = Rig::telegram_with(settings.clone(), through(around.clone())).await;
    let error = rig.send(&send("k", "to a stranger")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    around.roots = vec![include_bytes!("tls/ca.der").to_vec()];
    let mut rig = Rig::telegram_with(settings, through(around)).await;
    rig.status_when(|status| status.state == ChannelState::Connected).await;
    rig.send(&send("k", "in private")).await.unwrap();
    assert_eq!(fake.sent().len(), 1);
    serving.abort();
    tunnelling.abort();
}
