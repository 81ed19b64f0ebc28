//! The head of a proxy request: `CONNECT host:port`, or a plain HTTP request in absolute form.

use crate::host::{Host, HostError};

/// Bytes of a request head, which is all that is ever buffered of a connection.
pub(crate) const MAX_HEAD: usize = 32 * 1024;

/// Why a request is no proxy request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// Not HTTP.
    #[error("the request is not HTTP/1.x: {0}")]
    NotHttp(#[from] httparse::Error),
    /// The target is no authority or absolute URL.
    #[error("the request target {0:?} is neither `host:port` after CONNECT nor an absolute http:// URL")]
    Target(String),
    /// The host cannot be used.
    #[error("{0}")]
    Host(#[from] HostError),
}

/// A destination, and what must be sent there first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Where to.
    pub(crate) host: Host,
    /// On which port.
    pub(crate) port: u16,
    /// `None` for CONNECT; for plain HTTP the rewritten request head.
    pub(crate) forward: Option<Vec<u8>>,
    /// Bytes of the buffer that the head took.
    pub(crate) len: usize,
}

/// Reads a head; `Ok(None)` means that more bytes are needed.
pub(crate) fn parse(buffer: &[u8]) -> Result<Option<Head>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(len) = request.parse(buffer)? else { return Ok(None) };
    let target = request.path.unwrap_or_default();
    let bad = || HeadError::Target(target.chars().take(200).collect());
    if request.method == Some("CONNECT") {
        let (host, port) = authority(target, None).ok_or_else(bad)?;
        return Ok(Some(Head { host: Host::parse(host)?, port, forward: None, len }));
    }
    let rest = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).map(|_| &target[7..]);
    let rest = rest.ok_or_else(bad)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, port) = authority(&rest[..end], Some(80)).ok_or_else(bad)?;
    let path =
        if rest[end..].starts_with('/') { rest[end..].to_owned() } else { format!("/{}", &rest[end..]) };
    let forward = rewrite(&request, &path, &rest[..end]);
    Ok(Some(Head { host: Host::parse(host)?, port, forward: Some(forward), len }))
}

/// Splits `host:port`; user names are refused, since they make hosts look like others.
fn authority(text: &str, default: Option<u16>) -> Option<(&str, u16)> {
    if text.contains('@') {
        return None;
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            Some((host, port.parse().ok().filter(|port| *port > 0)?))
        }
        _ => Some((text, default?)),
    }
}

/// The head as the destination gets it: origin form, the `Host` that was checked, one request a connection.
fn rewrite(request: &httparse::Request<'_, '_>, path: &str, host: &str) -> Vec<u8> {
    let hop = ["host", "connection", "proxy-connection", "proxy-authorization", "keep-alive", "upgrade"];
    let mut out =
        format!("{} {path} HTTP/1.1\r\nHost: {host}\r\n", request.method.unwrap_or("GET")).into_bytes();
    for header in request.headers.iter().filter(|h| !hop.iter().any(|name| h.name.eq_ignore_ascii_case(name)))
    {
        out.extend_from_slice(header.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(header.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn connect_names_host_and_port() {
        let request = b"CONNECT Api.Example.com:443 HTTP/1.1\r\nHost: x\r\n\r\nrest";
        let head = parse(request).unwrap().unwrap();
        assert_eq!(
            (head.host.to_string().as_str(), head.port, head.forward.as_deref()),
            ("api.example.com", 443, None)
        );
        assert_eq!(&request[head.len..], b"rest");
    }

    #[test]
    fn plain_http_is_rewritten_to_the_host_that_was_checked() {
        let head = parse(b"POST http://127.0.0.1:11434/api?x=1 HTTP/1.1\r\nHost: evil.test\r\nA: b\r\nProxy-Connection: keep-alive\r\n\r\n");
        let head = head.unwrap().unwrap();
        assert_eq!(head.port, 11434);
        assert_eq!(
            String::from_utf8(head.forward.unwrap()).unwrap(),
            "POST /api?x=1 HTTP/1.1\r\nHost: 127.0.0.1:11434\r\nA: b\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn what_is_no_proxy_request_is_refused() {
        for bad in [
            "GET / HTTP/1.1\r\n\r\n",
            "CONNECT example.com HTTP/1.1\r\n\r\n",
            "CONNECT a@example.com:443 HTTP/1.1\r\n\r\n",
            "CONNECT example.com:0 HTTP/1.1\r\n\r\n",
            "GET https://example.com/ HTTP/1.1\r\n\r\n",
            "\x16\x03\x01\x02\x00\x01",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(parse(b"CONNECT exam").unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }
    }
}
