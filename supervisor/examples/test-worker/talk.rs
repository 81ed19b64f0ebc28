//! What should not be said, or not so much of it.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};

/// Writes to the link past its owner. The socket does not block, so this waits for room.
pub(crate) fn push(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if std::io::Error::from(error).kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(_gone) => return,
        }
    }
}

/// Lets go of the link and lives on.
pub(crate) fn close_the_link() {
    let _gone = shutdown(rustix::stdio::stdin(), Shutdown::Both);
    eprintln!("the link is closed");
    crate::ends::hang();
}

/// Lets go of the log and lives on.
pub(crate) fn close_stderr() {
    eprintln!("no more log");
    if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
        let _stays = rustix::stdio::dup2_stderr(&null);
    }
}

/// 20 MB of numbered lines, and one without an end.
pub(crate) fn flood_stderr() {
    let mut stderr = std::io::stderr().lock();
    for n in 0..200_000 {
        let _closed = writeln!(stderr, "{n:06} {}", "x".repeat(92));
    }
    let _closed = stderr.write_all(&[b'y'; 100_000]);
    drop(stderr);
}

/// 50,000 messages that nobody asked for.
pub(crate) fn flood_with_notifications() {
    let line =
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"test.noise\",\"params\":\"{}\"}}\n", "n".repeat(400));
    for _ in 0..50_000 {
        push(line.as_bytes());
    }
    eprintln!("all noise is made");
}

/// 20,000 requests, without reading one answer.
pub(crate) fn flood_with_requests() {
    for id in 1_000_000..1_020_000 {
        push(
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"test.none\",\"params\":{{}}}}\n")
                .as_bytes(),
        );
    }
    eprintln!("all is asked");
}

/// Lines that no protocol knows.
pub(crate) fn no_json() {
    for n in 0..12 {
        push(format!("a library says hello for the {n}th time\n").as_bytes());
    }
}

/// Answers to nothing, twice; zero bytes; bytes that are no UTF-8; a message of no kind.
pub(crate) fn strange_lines() {
    let answer = b"{\"jsonrpc\":\"2.0\",\"id\":987654321,\"result\":1}\n";
    push(answer);
    push(answer);
    push(b"{\"jsonrpc\":\"2.0\",\"id\":\"a word\",\"result\":1}\n");
    push(b"\0\0\0\n");
    push(b"\xff\xfe\xfd\n");
    push(b"{\"jsonrpc\":\"2.0\"}\n");
    eprintln!("all strange lines are said");
}

/// 100 MB without a newline, then one.
pub(crate) fn one_big_line() {
    let piece = vec![b'b'; 1 << 20];
    for _ in 0..100 {
        push(&piece);
    }
    push(b"\n");
    eprintln!("the big line is said");
}

/// Writes numbered lines without an end, each in two pieces.
pub(crate) fn count() {
    for n in 0_u32.. {
        for piece in [format!("count {:03}", n / 1000), format!("{:03}\n", n % 1000)] {
            if std::io::stderr().write_all(piece.as_bytes()).is_err() {
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
