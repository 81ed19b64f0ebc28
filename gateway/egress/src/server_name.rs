//! The server name in a TLS ClientHello (RFC 8446 §4.1.2, RFC 6066 §3), read without touching the stream.

/// What the first bytes of a stream turn out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Not enough bytes to tell.
    Partial,
    /// Not a TLS handshake.
    NotTls,
    /// A ClientHello without a server name.
    Nameless,
    /// A ClientHello for this name, lower case.
    Named(String),
    /// A ClientHello whose server name is encrypted (ECH), or may be: what stands in it openly says nothing.
    Hidden,
    /// A ClientHello that cannot be read.
    Malformed,
}

/// Bytes after which a ClientHello is given up on.
pub(crate) const MAX_OPENING: usize = 16 * 1024;

/// Looks at the first bytes that a client sent.
pub(crate) fn inspect(bytes: &[u8]) -> Opening {
    match bytes {
        [] => return Opening::Partial,
        [0x16, 0x03, ..] | [0x16] => {}
        _ => return Opening::NotTls,
    }
    let mut hello = Vec::new();
    let mut rest = bytes;
    // A handshake message may be spread over several records.
    loop {
        let [kind, _, _, high, low, ..] = *rest else { return Opening::Partial };
        if kind != 0x16 {
            return Opening::Malformed;
        }
        let len = usize::from(u16::from_be_bytes([high, low]));
        let body = rest.get(5..).unwrap_or_default();
        hello.extend_from_slice(&body[..body.len().min(len)]);
        if let [1, a, b, c, ..] = *hello {
            let need = 4 + usize::from(a) * 65_536 + usize::from(b) * 256 + usize::from(c);
            if need > MAX_OPENING {
                return Opening::Malformed;
            }
            if let Some(message) = hello.get(4..need) {
                return name(message).unwrap_or(Opening::Malformed);
            }
        } else if hello.first().is_some_and(|kind| *kind != 1) {
            return Opening::Malformed;
        }
        if body.len() < len {
            return Opening::Partial;
        }
        rest = &body[len..];
    }
}

/// Reads length-prefixed fields off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)))
    }

    fn vector(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let len = self.number(length_bytes)?;
        self.take(len)
    }
}

fn name(message: &[u8]) -> Option<Opening> {
    let mut hello = Fields(message);
    hello.take(2 + 32)?;
    hello.vector(1)?;
    hello.vector(2)?;
    hello.vector(1)?;
    if hello.0.is_empty() {
        return Some(Opening::Nameless);
    }
    let mut extensions = Fields(hello.vector(2)?);
    let mut opening = Opening::Nameless;
    let mut hidden = false;
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let body = extensions.vector(2)?;
        hidden |= HIDING.contains(&kind);
        if kind != 0 {
            continue;
        }
        let mut list = Fields(Fields(body).vector(2)?);
        let host_name = list.number(1)? == 0;
        let name = std::str::from_utf8(list.vector(2)?).ok()?;
        // More than one name would leave open which one the server takes.
        if !host_name || !list.0.is_empty() || opening != Opening::Nameless {
            return None;
        }
        opening = Opening::Named(name.to_ascii_lowercase());
    }
    Some(if hidden { Opening::Hidden } else { opening })
}

/// `encrypted_client_hello` and the draft before it.
const HIDING: [usize; 2] = [0xfe0d, 0xffce];

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A minimal ClientHello with the given server name.
    pub(crate) fn client_hello(name: &str) -> Vec<u8> {
        let entry = [&[0], &(name.len() as u16).to_be_bytes()[..], name.as_bytes()].concat();
        let list = [&(entry.len() as u16).to_be_bytes()[..], &entry].concat();
        let extension = [&[0, 0], &(list.len() as u16).to_be_bytes()[..], &list].concat();
        let body = [
            &[3, 3][..],
            &[7; 32],
            &[0],
            &[0, 2, 0x13, 1],
            &[1, 0],
            &(extension.len() as u16).to_be_bytes(),
            &extension,
        ]
        .concat();
        let message = [&[1, 0], &(body.len() as u16).to_be_bytes()[..], &body].concat();
        [&[0x16, 3, 1], &(message.len() as u16).to_be_bytes()[..], &message].concat()
    }

    #[test]
    fn the_name_is_found_at_whatever_cut() {
        let hello = client_hello("Api.Example.com");
        for cut in 0..hello.len() {
            assert_eq!(inspect(&hello[..cut]), Opening::Partial, "{cut}");
        }
        assert_eq!(inspect(&hello), Opening::Named("api.example.com".into()));
    }

    /// The same with a further extension behind the name.
    pub(crate) fn with_extension(hello: &[u8], kind: u16, body: &[u8]) -> Vec<u8> {
        let extension = [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat();
        let mut hello = [hello, &extension].concat();
        let mut grow = |at: usize| {
            let len = u16::from_be_bytes([hello[at], hello[at + 1]]) + extension.len() as u16;
            hello[at..at + 2].copy_from_slice(&len.to_be_bytes());
        };
        // The record, the message, and the list of extensions behind random, session, suites and compression.
        [3, 7, 50].into_iter().for_each(&mut grow);
        hello
    }

    #[test]
    fn a_hidden_name_is_no_name() {
        let hello = client_hello("api.example.com");
        assert_eq!(inspect(&with_extension(&hello, 0xfe0d, b"sealed")), Opening::Hidden);
        assert_eq!(inspect(&with_extension(&hello, 0x002b, b"x")), Opening::Named("api.example.com".into()));
        let twice = [&[0, 12, 0][..], b"\0\x09evil.test"].concat();
        assert_eq!(inspect(&with_extension(&hello, 0, &twice)), Opening::Malformed);
    }

    #[test]
    fn a_hello_in_many_records_is_one() {
        let hello = client_hello("api.example.com");
        for size in 1..20 {
            let records: Vec<u8> = hello[5..]
                .chunks(size)
                .flat_map(|piece| [&[0x16, 3, 1], &(piece.len() as u16).to_be_bytes()[..], piece].concat())
                .collect();
            assert_eq!(inspect(&records), Opening::Named("api.example.com".into()), "{size}");
            assert_eq!(inspect(&records[..records.len() - 1]), Opening::Partial, "{size}");
        }
        assert_eq!(inspect(&[0x16, 3, 1, 0, 1, 1, 0x17, 3, 1, 0, 1, 0]), Opening::Malformed);
    }

    #[test]
    fn other_protocols_are_told_apart() {
        assert_eq!(inspect(b"NICK creel\r\n"), Opening::NotTls);
        assert_eq!(inspect(b"GET / HTTP/1.1"), Opening::NotTls);
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = inspect(&bytes);
        }

        #[test]
        fn no_damage_panics(at in 0usize..80, byte in any::<u8>()) {
            let mut hello = client_hello("api.example.com");
            let at = at % hello.len();
            hello[at] = byte;
            let _ = inspect(&hello);
        }
    }
}
