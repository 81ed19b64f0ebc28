//! Seals a real process: this test binary starts itself again, because a seal cannot be taken back.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test helper: a failure here is a failed test")]

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

const PART: &str = "CREEL_SEAL_TEST_PART";

fn child(part: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["the_child", "--exact", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env(creel_seal::PROMISE, "level L2\nnetwork host\noutside /etc/passwd")
        .output()
        .unwrap()
}

/// Does nothing in an ordinary test run; the other tests run it in a process of its own.
#[test]
fn the_child() {
    match std::env::var(PART).as_deref() {
        Ok("open") => assert!(!creel_seal::selftest().sealed()),
        Ok("sealed") => {
            creel_seal::seal().unwrap();
            creel_seal::seal().unwrap();
            let report = creel_seal::selftest();
            assert!(report.sealed(), "{report}");
            let spawned = Command::new("/bin/true").status();
            assert_eq!(spawned.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
        }
        Ok("unit") => {
            creel_seal::seal().unwrap();
            let escaped = creel_seal::selftest_of_unit().escaped();
            // Sealed, but with none of the launcher's walls: whatever they are for gets through.
            for name in ["read /etc/passwd", "open a unix socket", "unshare (errno 22)"] {
                assert!(escaped.iter().any(|e| e == name), "{name}: {escaped:?}");
            }
            assert!(!escaped.iter().any(|e| e.starts_with("execve") || e.starts_with("fork")), "{escaped:?}");
        }
        Ok("panic") => {
            creel_seal::seal().unwrap();
            panic!("two\nlines");
        }
        _ => {}
    }
}

/// A filter that matches no test passes, too.
fn ran_and_passed(out: &std::process::Output) {
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn an_unsealed_process_is_reported_as_such() {
    ran_and_passed(&child("open"));
}

#[test]
fn a_sealed_process_has_threads_but_neither_fork_nor_exec() {
    ran_and_passed(&child("sealed"));
}

#[test]
fn a_unit_without_the_promised_walls_says_so() {
    ran_and_passed(&child("unit"));
}

#[test]
fn a_panic_is_one_line_and_then_the_end() {
    let out = child("panic");
    assert_eq!(out.status.signal(), Some(6));
    let log = String::from_utf8(out.stderr).unwrap();
    let lines: Vec<_> = log.lines().filter(|l| l.contains("panicked")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("two lines"), "{log}");
}
