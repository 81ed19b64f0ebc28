//! Where the body of a forwarded request ends: nothing behind it reaches the destination, so that no second request can
//! ride along.

/// Why the end of a body cannot be told for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Two lengths, or a length and chunks: two readers could disagree.
    #[error("the request says in more than one way how long its body is")]
    Ambiguous,
    /// `Content-Length: +5`, `1e3`.
    #[error("the request's Content-Length is no plain number")]
    Length,
    /// Compression and the like are the business of the two ends.
    #[error("the request's Transfer-Encoding is something other than `chunked`")]
    Encoding,
    /// A chunk that is none, an extension, a trailer.
    #[error("a chunk of the request's body has another form than length, line, data, line")]
    Chunk,
}

/// A request's body, of which only what is still missing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
}

/// Where in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// In its length; how many digits were read.
    Size(u64, u8),
    /// Behind the `\r` of its length.
    SizeEnd(u64),
    /// In its data.
    Data(u64),
    /// Behind its data.
    DataEnd,
    /// Behind the `\r` behind its data.
    DataEnded,
    /// Behind the last, empty chunk.
    Last,
    /// Behind its `\r`.
    LastEnd,
    /// All was read.
    Over,
}

impl Body {
    /// The body that a request announces.
    pub(crate) fn of(request: &httparse::Request<'_, '_>) -> Result<Self, BodyError> {
        let values = |name: &str| -> Vec<&[u8]> {
            let headers = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            headers.map(|header| header.value.trim_ascii()).collect()
        };
        match (values("content-length").as_slice(), values("transfer-encoding").as_slice()) {
            ([], []) => Ok(Self::Length(0)),
            ([length], []) => {
                let text = std::str::from_utf8(length).map_err(|_| BodyError::Length)?;
                let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                plain.then(|| text.parse().ok()).flatten().map(Self::Length).ok_or(BodyError::Length)
            }
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && request.version == Some(1) => {
                Ok(Self::Chunked(Chunk::Size(0, 0)))
            }
            ([], [_]) => Err(BodyError::Encoding),
            _ => Err(BodyError::Ambiguous),
        }
    }

    /// Whether nothing is missing.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Over))
    }

    /// How many of these bytes belong to it; less than all only when it is over.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(chunk) => {
                let mut at = 0;
                while let (Some(&byte), true) = (bytes.get(at), *chunk != Chunk::Over) {
                    let left = (bytes.len() - at) as u64;
                    let (next, taken) = chunk.step(byte, left)?;
                    *chunk = next;
                    at += usize::try_from(taken).unwrap_or(usize::MAX);
                }
                Ok(at)
            }
        }
    }
}

impl Chunk {
    fn step(self, byte: u8, left: u64) -> Result<(Self, u64), BodyError> {
        let next = match (self, byte) {
            (Self::Size(size, digits @ 0..=14), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                Self::Size(size * 16 + u64::from(digit), digits + 1)
            }
            (Self::Size(size, 1..), b'\r') => Self::SizeEnd(size),
            (Self::SizeEnd(0), b'\n') => Self::Last,
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::Data(size), _) => {
                let taken = size.min(left);
                let rest = if taken == size { Self::DataEnd } else { Self::Data(size - taken) };
                return Ok((rest, taken));
            }
            (Self::DataEnd, b'\r') => Self::DataEnded,
            (Self::DataEnded, b'\n') => Self::Size(0, 0),
            (Self::Last, b'\r') => Self::LastEnd,
            (Self::LastEnd, b'\n') => Self::Over,
            _ => return Err(BodyError::Chunk),
        };
        Ok((next, 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(headers: &str) -> Result<Body, BodyError> {
        let text = format!("POST / HTTP/1.1\r\n{headers}\r\n");
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut headers);
        assert!(request.parse(text.as_bytes()).unwrap().is_complete());
        Body::of(&request)
    }

    #[test]
    fn only_one_way_of_telling_the_end_is_taken() {
        assert_eq!(body(""), Ok(Body::Length(0)));
        assert_eq!(body("Content-Length: 12\r\n"), Ok(Body::Length(12)));
        assert_eq!(body("transfer-encoding: Chunked\r\n"), Ok(Body::Chunked(Chunk::Size(0, 0))));
        for (headers, error) in [
            ("Content-Length: 5\r\nContent-Length: 5\r\n", BodyError::Ambiguous),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", BodyError::Ambiguous),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", BodyError::Ambiguous),
            ("Content-Length: +5\r\n", BodyError::Length),
            ("Content-Length: 5, 5\r\n", BodyError::Length),
            ("Content-Length:\r\n", BodyError::Length),
            ("Content-Length: 99999999999999999999\r\n", BodyError::Length),
            ("Transfer-Encoding: gzip, chunked\r\n", BodyError::Encoding),
            ("Transfer-Encoding: xchunked\r\n", BodyError::Encoding),
        ] {
            assert_eq!(body(headers), Err(error), "{headers}");
        }
    }

    #[test]
    fn chunks_end_where_they_say() {
        let mut body = Body::Chunked(Chunk::Size(0, 0));
        let text = b"4\r\nwiki\r\nA\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(body.take(&[text.as_slice(), b"GET / HTTP/1.1"].concat()), Ok(text.len()));
        assert!(body.is_over());
        for odd in [
            "\r\n",
            "4;x=1\r\n",
            "4\nwiki",
            "4\r\nwikiX",
            "0\r\nTrailer: x\r\n",
            "ffffffffffffffff\r\n",
            "-1\r\n",
            "0x4\r\n",
        ] {
            assert_eq!(
                Body::Chunked(Chunk::Size(0, 0)).take(odd.as_bytes()),
                Err(BodyError::Chunk),
                "{odd:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_end_does_not_depend_on_the_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
            behind in prop::collection::vec(any::<u8>(), 0..20),
            cut in 1usize..50,
        ) {
            let mut text: Vec<u8> = chunks.iter().flat_map(|chunk| {
                [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()
            }).collect();
            text.extend_from_slice(b"0\r\n\r\n");
            let len = text.len();
            text.extend_from_slice(&behind);
            let mut body = Body::Chunked(Chunk::Size(0, 0));
            let mut taken = 0;
            for piece in text.chunks(cut) {
                taken += body.take(piece).unwrap();
            }
            prop_assert_eq!((taken, body.is_over()), (len, true));
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Body::Chunked(Chunk::Size(0, 0)).take(&bytes);
        }
    }
}
