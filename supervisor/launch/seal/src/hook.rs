//! What happens on a panic: one line in the log, then death. A worker with a broken invariant must not go on.

use std::io::Write as _;

pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        let line = sentence(info);
        if tracing::dispatcher::has_been_set() {
            tracing::error!(target: "panic", "{line}");
        } else {
            // No subscriber yet: stderr is the unit's log all the same.
            let _ = writeln!(std::io::stderr(), "panic: {line}");
        }
        die();
    }));
}

fn sentence(info: &std::panic::PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("a value that is no text");
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    one_line(&format!("panicked at {place}: {what}"))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn die() -> ! {
    if std::process::id() == 1 {
        // The kernel ignores SIGABRT for the first process of a pid namespace; what abort() falls back to would be
        // reported as a segmentation fault. 101 is what a panic exits with everywhere else.
        // SAFETY: _exit takes no pointers and does not return.
        unsafe { libc::_exit(101) }
    }
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_panic_of_many_lines_stays_one_log_line() {
        assert_eq!(one_line("left: 1\nright: 2\u{1b}[0m"), "left: 1 right: 2 [0m");
    }
}
