//! Ways to end, and ways not to go on.

use std::io::Write;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// Three hundred lines and a panic: exit code 101.
pub(crate) fn panic_with_a_long_story() {
    for n in 0..300 {
        eprintln!("before the panic {n:03}");
    }
    // Rust's own message and exit code.
    assert!(std::env::args().count() > 1000, "the worker is broken");
}

/// Ends by a signal. The first process of a pid namespace is immune to its own.
pub(crate) fn raise(signal: Signal) {
    // Twice: Rust's own handler of SIGSEGV takes the first.
    let _immune = kill_process(getpid(), signal);
    let _immune = kill_process(getpid(), signal);
    eprintln!("still there after signal {}", signal.as_raw());
}

/// Half a line on stderr, half a message on the link, and death.
pub(crate) fn in_the_middle_of_a_line() {
    crate::talk::push(b"{\"jsonrpc\":\"2.0\",\"method\":\"unit.re");
    let mut stderr = std::io::stderr().lock();
    let _closed = stderr.write_all(b"the last words are cut o");
    std::process::exit(1);
}

/// As many lines as a pipe takes at once, and death with them in it.
pub(crate) fn with_a_full_pipe() {
    let lines: String = (0..640).map(|n| format!("{n:06} {}\n", "z".repeat(92))).collect();
    let _closed = std::io::stderr().lock().write_all(lines.as_bytes());
    std::process::exit(9);
}

/// A deadlock: nothing moves, no time is used.
pub(crate) fn hang() {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// A loop that never yields.
pub(crate) fn spin() {
    loop {
        std::hint::spin_loop();
    }
}
