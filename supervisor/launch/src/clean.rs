//! Output of a stranger's program as it may be shown: a terminal obeys control characters (it can be made to type, or to
//! fill the clipboard), and what goes into a pipe or a file is shown some day.

/// Replaces control characters by `?`, those of eight bits and those in UTF-8 included. Goes on from piece to piece.
#[derive(Debug, Clone, Default)]
pub struct Clean {
    /// Bytes of a character that are still to come.
    expect: u8,
    /// A 0xC2 is held back: with the next byte it may be a control character.
    held: bool,
    /// Whether a carriage return stays: it moves nothing but the cursor of a terminal.
    carriage: bool,
}

impl Clean {
    /// `terminal`: where a carriage return could overwrite what was said before.
    #[must_use]
    pub fn new(terminal: bool) -> Self {
        Self { carriage: !terminal, ..Self::default() }
    }

    /// The next piece.
    pub fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            if std::mem::take(&mut self.held) {
                match byte {
                    0x80..=0x9f => {
                        out.push(b'?');
                        continue;
                    }
                    0xa0..=0xbf => {
                        out.extend([0xc2, byte]);
                        continue;
                    }
                    _ => out.push(0xc2),
                }
            }
            if self.expect > 0 && matches!(byte, 0x80..=0xbf) {
                self.expect -= 1;
                out.push(byte);
                continue;
            }
            self.expect = match byte {
                0xc3..=0xdf => 1,
                0xe0..=0xef => 2,
                0xf0..=0xf7 => 3,
                _ => 0,
            };
            match byte {
                b'\n' | b'\t' => out.push(byte),
                b'\r' if self.carriage => out.push(byte),
                0x00..=0x1f | 0x7f..=0x9f => out.push(b'?'),
                0xc2 => self.held = true,
                _ => out.push(byte),
            }
        }
        out
    }

    /// What is still held back at the end.
    pub fn rest(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.held) { &[0xc2] } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(pieces: &[&[u8]]) -> Vec<u8> {
        let mut clean = Clean::new(true);
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| clean.piece(piece)).collect();
        out.extend(clean.rest());
        out
    }

    #[test]
    fn no_control_character_is_left_and_every_other_one_stays() {
        assert_eq!(clean(&[b"a\x1b]52;c;cnQ=\x07\tb\r\n"]), b"a?]52;c;cnQ=?\tb?\n");
        assert_eq!(clean(&[b"\xc2", b"\x9b31m \xc2", b"\xa7 \x9b \x7f \xc2"]), b"?31m \xc2\xa7 ? ? \xc2");
        let text = "größe € 🦞 \u{301}\u{2028}".as_bytes();
        assert_eq!(clean(&[text]), text);
        assert_eq!(clean(&text.chunks(1).collect::<Vec<_>>()), text);
        assert_eq!(Clean::new(false).piece(b"50%\r100%\x1b[K"), b"50%\r100%?[K");
    }
}
