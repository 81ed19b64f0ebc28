//! The head of a proxy request: `CONNECT host:port`, or a plain HTTP request in absolute form.

use creel_ipc::reach::{HostError, Target};

use crate::body::{Body, BodyError};

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
    /// Its end cannot be told for certain.
    #[error("{0}")]
    Body(#[from] BodyError),
}

/// A destination, and what must be sent there first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Where to.
    pub(crate) target: Target,
    /// `None` for CONNECT; for plain HTTP the rewritten request head, and the body that follows it.
    pub(crate) forward: Option<(Vec<u8>, Body)>,
    /// Bytes of the buffer that the head took.
    pub(crate) len: usize,
}

/// Reads a head; `Ok(None)` means that more bytes are needed.
pub(crate) fn parse(buffer: &[u8]) -> Result<Option<Head>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(len) = request.parse(buffer)? else { return Ok(None) };
    let target = request.path.unwrap_or_default();
    let bad = |error: Option<HostError>| match error {
        Some(error) => HeadError::Host(error),
        None => HeadError::Target(target.chars().take(200).collect()),
    };
    if request.method == Some("CONNECT") {
        let target = Target::parse(target, None).map_err(bad)?;
        return Ok(Some(Head { target, forward: None, len }));
    }
    let rest = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).map(|_| &target[7..]);
    let rest = rest.ok_or_else(|| bad(None))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let target = Target::parse(authority, Some(80)).map_err(bad)?;
    let body = Body::of(&request)?;
    let forward = rewrite(&request, path, &target);
    Ok(Some(Head { target, forward: Some((forward, body)), len }))
}

/// What belongs to the connection with us, and not to the request.
const HOP_BY_HOP: [&str; 9] = [
    "host",
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
];

/// The head as the destination gets it: origin form, the `Host` that was checked whatever the client wrote there, one
/// request a connection.
fn rewrite(request: &httparse::Request<'_, '_>, path: &str, target: &Target) -> Vec<u8> {
    let named: Vec<&str> = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("connection"))
        .filter_map(|header| std::str::from_utf8(header.value).ok())
        .flat_map(|value| value.split(',').map(str::trim))
        // How the body ends is not the connection's to say.
        .filter(|name| {
            !["content-length", "transfer-encoding"].iter().any(|kept| name.eq_ignore_ascii_case(kept))
        })
        .collect();
    let dropped =
        |name: &str| HOP_BY_HOP.iter().chain(&named).any(|dropped| name.eq_ignore_ascii_case(dropped));
    let method = request.method.unwrap_or("GET");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let version = request.version.unwrap_or(1);
    let host = target.to_string();
    let host = host.strip_suffix(":80").unwrap_or(&host);
    let mut out = format!("{method} {slash}{path} HTTP/1.{version}\r\nHost: {host}\r\n").into_bytes();
    for header in request.headers.iter().filter(|header| !dropped(header.name)) {
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

    fn forwarded(request: &str) -> String {
        String::from_utf8(parse(request.as_bytes()).unwrap().unwrap().forward.unwrap().0).unwrap()
    }

    #[test]
    fn connect_names_host_and_port() {
        let request = b"CONNECT Api.Example.com.:443 HTTP/1.1\r\nHost: x\r\n\r\nrest";
        let head = parse(request).unwrap().unwrap();
        assert_eq!((head.target.to_string().as_str(), head.forward), ("api.example.com:443", None));
        assert_eq!(&request[head.len..], b"rest");
    }

    #[test]
    fn plain_http_is_rewritten_to_the_host_that_was_checked() {
        let text = forwarded(
            "POST http://127.0.0.1:11434/api?x=1 HTTP/1.1\r\nHost: evil.test\r\nhost: other.test\r\nA: b\r\n\
             Proxy-Connection: keep-alive\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nTE: trailers\r\n\r\n",
        );
        assert_eq!(
            text,
            "POST /api?x=1 HTTP/1.1\r\nHost: 127.0.0.1:11434\r\nA: b\r\nConnection: close\r\n\r\n"
        );
        let text = forwarded("GET http://EXAMPLE.com?q HTTP/1.0\r\n\r\n");
        assert_eq!(text, "GET /?q HTTP/1.0\r\nHost: example.com\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn the_length_of_a_body_cannot_be_named_away() {
        let text = forwarded(
            "POST http://x.test/ HTTP/1.1\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\nabc",
        );
        assert!(text.contains("Content-Length: 3\r\n"), "{text}");
    }

    #[test]
    fn what_is_no_proxy_request_is_refused() {
        for bad in [
            "GET / HTTP/1.1\r\n\r\n",
            "CONNECT example.com HTTP/1.1\r\n\r\n",
            "CONNECT http://example.com:443/ HTTP/1.1\r\n\r\n",
            "CONNECT example.com:443@evil.test:443 HTTP/1.1\r\n\r\n",
            "CONNECT a@example.com:443 HTTP/1.1\r\n\r\n",
            "CONNECT example.com:0 HTTP/1.1\r\n\r\n",
            "CONNECT example.com:+443 HTTP/1.1\r\n\r\n",
            "CONNECT example.com%00.evil.test:443 HTTP/1.1\r\n\r\n",
            "CONNECT ::1:443 HTTP/1.1\r\n\r\n",
            "connect example.com:443 HTTP/1.1\r\n\r\n",
            "GET https://example.com/ HTTP/1.1\r\n\r\n",
            "GET ftp://example.com/ HTTP/1.1\r\n\r\n",
            "GET http://user:pw@example.com/ HTTP/1.1\r\n\r\n",
            "GET http://example.com\\@evil.test/ HTTP/1.1\r\n\r\n",
            "GET http://example.com#@evil.test/ HTTP/1.1\r\n\r\n",
            "GET http:///path HTTP/1.1\r\n\r\n",
            "GET http://2130706433/ HTTP/1.1\r\n\r\n",
            "GET http://x.test/ HTTP/1.1\r\nA : b\r\n\r\n",
            "GET http://x.test/ HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
            "\x16\x03\x01\x02\x00\x01",
            "\x05\x01\x00",
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

        #[test]
        fn what_is_forwarded_is_one_request_to_the_target(
            host in "[a-z]{1,8}(:[1-9][0-9]{0,3})?",
            path in "(/[!-~]{0,12})?",
            headers in prop::collection::vec(("[A-Za-z-]{1,10}", "[ -~]{0,20}"), 0..6),
        ) {
            let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let request = format!("GET http://{host}{path} HTTP/1.1\r\n{lines}\r\n");
            if let Ok(Some(Head { forward: Some((out, _)), target, .. })) = parse(request.as_bytes()) {
                let mut headers = [httparse::EMPTY_HEADER; 64];
                let mut seen = httparse::Request::new(&mut headers);
                let whole = seen.parse(&out).unwrap();
                prop_assert_eq!(whole, httparse::Status::Complete(out.len()));
                prop_assert!(seen.path.unwrap().starts_with('/'));
                let hosts: Vec<_> = seen.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("host")).collect();
                prop_assert_eq!(hosts.len(), 1);
                let host = std::str::from_utf8(hosts[0].value).unwrap();
                prop_assert_eq!(Target::parse(host, Some(80)).unwrap(), target);
            }
        }
    }
}
