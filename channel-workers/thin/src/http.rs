//! The HTTP client of all platforms.

use std::time::Duration;

use creel_ipc::{ErrorClass, RpcError};
use reqwest::{Client, Proxy, redirect};
use rustls::ClientConfig;

/// Time to reach the server, proxy and TLS handshake included. Shorter than every whole request, so that a timeout
/// of the connection is never taken for one of the answer.
const CONNECT: Duration = Duration::from_secs(10);

/// Makes a client with connections of its own. HTTP/1.1 only: a dead connection then never holds up more than the
/// one call that is on it.
pub(crate) fn client(proxy: Option<&str>, tls: ClientConfig) -> Result<Client, RpcError> {
    let fault = |what: &str, error: reqwest::Error| {
        RpcError::new(ErrorClass::ConfigFatal, format!("{what}: {error}."))
    };
    let mut builder = Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(Duration::from_secs(20))
        .redirect(redirect::Policy::none())
        .user_agent(concat!("creel/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = proxy {
        let proxy =
            Proxy::all(proxy).map_err(|error| fault("HTTPS_PROXY is no address of a proxy", error))?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| fault("The HTTP client cannot be made", error))
}
