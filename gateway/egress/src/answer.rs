//! The answer to a forwarded request: told to be the last of its connection, and its end found, since a server may keep
//! the connection open whatever it was asked.

use crate::body::{Body, Chunk};

/// Bytes of the heads of an answer; longer ones are passed on unread.
const MAX_HEADS: usize = 64 * 1024;

/// An answer on its way to the client.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Whether the request was `HEAD`, whose answer has no body.
    bodyless: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In the head, or in one that only announces another.
    Head(Vec<u8>),
    /// In the body.
    Body(Body),
    /// Nobody but the server knows the end.
    Endless,
}

impl Answer {
    pub(crate) fn to(request: &[u8]) -> Self {
        Self { bodyless: request.starts_with(b"HEAD "), state: State::Head(Vec::new()) }
    }

    /// Whether the client has all of it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(&self.state, State::Body(body) if body.is_over())
    }

    /// The server has ended: what is left of a head that never came to its end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        match &mut self.state {
            State::Head(head) => std::mem::take(head),
            _ => Vec::new(),
        }
    }

    /// What of these bytes goes to the client now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = bytes.to_vec();
        loop {
            match &mut self.state {
                State::Endless => {
                    out.extend_from_slice(&rest);
                    return out;
                }
                State::Body(body) => {
                    match body.take(&rest) {
                        Ok(taken) => out.extend_from_slice(rest.get(..taken).unwrap_or_default()),
                        // Trailers and the like are the client's to read.
                        Err(_) => {
                            out.extend_from_slice(&rest);
                            self.state = State::Endless;
                        }
                    }
                    return out;
                }
                State::Head(head) => {
                    head.extend_from_slice(&rest);
                    match read(head, self.bodyless) {
                        Read::Partial if head.len() < MAX_HEADS => return out,
                        Read::Partial | Read::Foreign => {
                            rest = std::mem::take(head);
                            self.state = State::Endless;
                        }
                        Read::Interim(len) => {
                            let after = head.split_off(len);
                            out.append(head);
                            rest = after;
                        }
                        Read::Final(len, body) => {
                            rest = head.split_off(len);
                            out.extend_from_slice(&last(head));
                            self.state = body.map_or(State::Endless, State::Body);
                        }
                    }
                    if rest.is_empty() {
                        return out;
                    }
                }
            }
        }
    }
}

enum Read {
    Partial,
    /// No HTTP/1 head.
    Foreign,
    /// `100 Continue` and the like; another head follows.
    Interim(usize),
    /// The head, and the body that follows; `None` is until the end of the connection.
    Final(usize, Option<Body>),
}

fn read(bytes: &[u8], bodyless: bool) -> Read {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Read::Partial,
        Err(_) => return Read::Foreign,
    };
    let status = response.code.unwrap_or_default();
    if (100..200).contains(&status) && status != 101 {
        return Read::Interim(len);
    }
    if bodyless || matches!(status, 204 | 304) {
        return Read::Final(len, Some(Body::Length(0)));
    }
    let values = |name: &str| -> Vec<&[u8]> {
        let headers = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        headers.map(|header| header.value.trim_ascii()).collect()
    };
    let body = match (values("content-length").as_slice(), values("transfer-encoding").as_slice()) {
        ([length], []) => {
            std::str::from_utf8(length).ok().and_then(|text| text.parse().ok()).map(Body::Length)
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Some(Body::Chunked(Chunk::Size(0, 0))),
        _ => None,
    };
    Read::Final(len, body)
}

/// A head that ends the connection.
fn last(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + 20);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let hop = [b"connection".as_slice(), b"keep-alive", b"proxy-connection"];
        if matches!(line, b"\r\n" | b"\n") {
            out.extend_from_slice(b"Connection: close\r\n\r\n");
        } else if !hop.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
            out.extend_from_slice(line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(request: &str, answer: &str, cut: usize) -> (String, bool) {
        let mut reader = Answer::to(request.as_bytes());
        let mut out: Vec<u8> = answer.as_bytes().chunks(cut).flat_map(|piece| reader.push(piece)).collect();
        out.extend(reader.rest());
        (String::from_utf8(out).unwrap(), reader.is_over())
    }

    #[test]
    fn the_end_of_an_answer_is_found_at_whatever_cut() {
        let close = "Connection: close\r\n\r\n";
        let cases = [
            (
                "GET",
                "HTTP/1.1 200 OK\r\nKeep-Alive: 5\r\nContent-Length: 2\r\n\r\nhi",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
                "hi",
                true,
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
                "2\r\nhi\r\n0\r\n\r\n",
                true,
            ),
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
                "",
                true,
            ),
            ("GET", "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\n", "", true),
            (
                "POST",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
                "",
                true,
            ),
            ("GET", "HTTP/1.0 200 OK\r\n\r\nuntil the end", "HTTP/1.0 200 OK\r\n", "until the end", false),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
                "0\r\nX: y\r\n\r\n",
                false,
            ),
        ];
        for (method, answer, head, body, over) in cases {
            for cut in 1..answer.len() {
                let expected = (format!("{head}{close}{body}"), over);
                assert_eq!(passed(&format!("{method} / HTTP/1.1\r\n"), answer, cut), expected, "{cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_no_answer_is_passed_on(text in "[^H\\x00][ -~]{0,60}", cut in 1usize..20) {
            prop_assert_eq!(passed("GET / HTTP/1.1\r\n", &text, cut).0, text);
        }
    }
}
