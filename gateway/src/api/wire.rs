//! WebSocket frames without a socket: bytes in, messages out, and back. The bounds can change on the way.

use std::io::{self, Read, Write};

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Error, Message, Utf8Bytes};

/// What a client said.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// A text frame.
    Text(Utf8Bytes),
    /// A binary frame; there are none in this protocol.
    Binary,
    /// A sign of life.
    Alive,
    /// It wants to end the connection.
    Bye,
}

/// Why nothing more can be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A frame is over the bound.
    TooLarge,
    /// Text that is not UTF-8.
    NotText,
    /// Not WebSocket, or the end.
    Protocol,
}

#[derive(Debug, Default)]
struct Memory {
    incoming: Vec<u8>,
    read: usize,
    outgoing: Vec<u8>,
    written: usize,
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = &self.incoming[self.read..];
        if left.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = left.len().min(buffer.len());
        buffer[..n].copy_from_slice(&left[..n]);
        self.read += n;
        if self.read == self.incoming.len() {
            self.incoming.clear();
            self.read = 0;
        }
        Ok(n)
    }
}

impl Write for Memory {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The gateway's end of a WebSocket.
pub(crate) struct Wire {
    context: WebSocketContext,
    memory: Memory,
}

impl Wire {
    /// An open connection whose frames have at most `max_frame` bytes.
    pub(crate) fn new(max_frame: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(8 * 1024)
            .write_buffer_size(0)
            .max_message_size(Some(max_frame))
            .max_frame_size(Some(max_frame));
        Self { context: WebSocketContext::new(Role::Server, Some(config)), memory: Memory::default() }
    }

    /// Allows larger frames from now on.
    pub(crate) fn allow(&mut self, max_frame: usize) {
        self.context.set_config(|config| {
            config.max_message_size = Some(max_frame);
            config.max_frame_size = Some(max_frame);
        });
    }

    /// Takes bytes as they were read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.memory.incoming.extend_from_slice(bytes);
    }

    /// The next message; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Said>, Broken> {
        match self.context.read(&mut self.memory) {
            Ok(Message::Text(text)) => Ok(Some(Said::Text(text))),
            Ok(Message::Binary(_)) => Ok(Some(Said::Binary)),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
                // Lets the pong out that a ping calls for.
                let _ = self.context.flush(&mut self.memory);
                Ok(Some(Said::Alive))
            }
            Ok(Message::Close(_)) => {
                let _ = self.context.flush(&mut self.memory);
                Ok(Some(Said::Bye))
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(Error::Capacity(_)) => Err(Broken::TooLarge),
            Err(Error::Utf8(_)) => Err(Broken::NotText),
            Err(_) => Err(Broken::Protocol),
        }
    }

    /// Renders a text frame.
    pub(crate) fn text(&mut self, text: String) {
        self.write(Message::text(text));
    }

    /// Renders a ping.
    pub(crate) fn ping(&mut self) {
        self.write(Message::Ping(Bytes::new()));
    }

    /// Renders a close frame.
    pub(crate) fn close(&mut self, code: u16, reason: String) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        let _ = self.context.close(&mut self.memory, Some(frame));
        let _ = self.context.flush(&mut self.memory);
    }

    fn write(&mut self, message: Message) {
        // Memory takes everything; the only error is that the connection is already closing.
        let _ = self.context.write(&mut self.memory, message);
        let _ = self.context.flush(&mut self.memory);
    }

    /// Bytes that wait for the socket.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.memory.outgoing[self.memory.written..]
    }

    /// Notes that the socket took `n` of them.
    pub(crate) fn wrote(&mut self, n: usize) {
        self.memory.written += n;
        if self.memory.written >= self.memory.outgoing.len() {
            self.memory.written = 0;
            self.memory.outgoing.clear();
            self.memory.outgoing.shrink_to(64 * 1024);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            n @ 0..=125 => frame.push(0x80 | n as u8),
            n @ 126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn text_comes_whole_whatever_the_pieces() {
        let mut wire = Wire::new(1024);
        for byte in client_frame(1, b"hello") {
            assert_eq!(wire.next(), Ok(None));
            wire.feed(&[byte]);
        }
        assert_eq!(wire.next(), Ok(Some(Said::Text("hello".into()))));
        assert_eq!(wire.next(), Ok(None));
    }

    #[test]
    fn the_bound_can_grow() {
        let large = client_frame(1, &[b'x'; 2000]);
        let mut wire = Wire::new(1024);
        wire.feed(&large);
        assert_eq!(wire.next(), Err(Broken::TooLarge));

        let mut wire = Wire::new(1024);
        wire.feed(&client_frame(1, b"connect"));
        assert!(matches!(wire.next(), Ok(Some(Said::Text(_)))));
        wire.allow(4096);
        wire.feed(&large);
        assert!(matches!(wire.next(), Ok(Some(Said::Text(text))) if text.len() == 2000));
    }

    #[test]
    fn a_ping_is_answered_and_rubbish_ends_it() {
        let mut wire = Wire::new(1024);
        wire.feed(&client_frame(9, b"hi"));
        assert_eq!(wire.next(), Ok(Some(Said::Alive)));
        assert_eq!(wire.pending(), [0x8a, 2, b'h', b'i']);
        wire.wrote(4);
        assert!(wire.pending().is_empty());
        wire.feed(&[0xff; 16]);
        assert_eq!(wire.next(), Err(Broken::Protocol));
        let mut wire = Wire::new(1024);
        wire.feed(&client_frame(1, b"\xff\xfe"));
        assert_eq!(wire.next(), Err(Broken::NotText));
    }
}
