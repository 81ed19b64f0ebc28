//! Server-sent events, cut out of a byte stream at any place.

/// Bytes of one event beyond which the stream is not believed any more.
const MAX_EVENT: usize = 4 * 1024 * 1024;

/// Splits a byte stream into events. Comments, ids and retry times are ignored, as is every event without data.
#[derive(Debug, Default)]
pub struct Splitter {
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was `\r`: a `\n` that follows belongs to it.
    after_cr: bool,
    overflown: bool,
}

impl Splitter {
    /// Takes bytes as they were read and hands each finished event (name, data) to `sink`.
    pub fn push(&mut self, mut bytes: &[u8], mut sink: impl FnMut(&[u8], &[u8])) {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            if self.line.is_empty() {
                self.field(&bytes[..end], &mut sink);
            } else {
                self.keep(&bytes[..end]);
                let line = std::mem::take(&mut self.line);
                self.field(&line, &mut sink);
            }
            let cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if cr {
                self.after_cr = bytes.is_empty();
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
        }
        self.keep(bytes);
    }

    /// The stream ended: an event whose closing blank line is missing is handed over all the same.
    pub fn finish(&mut self, mut sink: impl FnMut(&[u8], &[u8])) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.field(&line, &mut sink);
        }
        self.field(b"", &mut sink);
    }

    /// Whether an event was longer than any honest one; the rest of the stream means nothing.
    pub fn overflown(&self) -> bool {
        self.overflown
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > MAX_EVENT {
            self.overflown = true;
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn field(&mut self, line: &[u8], sink: &mut impl FnMut(&[u8], &[u8])) {
        if line.is_empty() {
            if self.has_data {
                sink(&self.name, &self.data);
            }
            self.name.clear();
            self.data.clear();
            self.has_data = false;
            return;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" if self.data.len() + value.len() > MAX_EVENT => self.overflown = true,
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |name, data| out.push((name.to_vec(), data.to_vec())));
        }
        splitter.finish(|name, data| out.push((name.to_vec(), data.to_vec())));
        out
    }

    #[test]
    fn all_three_line_ends_comments_and_joined_data_lines() {
        let stream = b": hello\nevent: a\ndata: 1\r\ndata:2\r\n\r\nid: 7\rdata: x\r\rdata: torn";
        let expected: [(&[u8], &[u8]); 3] = [(b"a", b"1\n2"), (b"", b"x"), (b"", b"torn")];
        let expected = expected.map(|(name, data)| (name.to_vec(), data.to_vec()));
        assert_eq!(events(&[stream]), expected);
    }

    #[test]
    fn an_endless_line_is_noticed_and_not_kept() {
        let mut splitter = Splitter::default();
        let piece = vec![b'x'; 1024 * 1024];
        (0..64).for_each(|_| splitter.push(&piece, |_, _| {}));
        assert!(splitter.overflown() && splitter.line.len() <= MAX_EVENT);
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            Just(b"data: ".to_vec()),
            Just(b"event: e".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n\n".to_vec()),
            Just(b": c".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..6),
        ];
        proptest::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_events(bytes in stream(), cuts in proptest::collection::vec(0usize..400, 0..12)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                chunks.push(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(events(&chunks), events(&[&bytes]));
        }
    }
}
