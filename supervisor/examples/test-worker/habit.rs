//! Every way to misbehave, by name.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{ends, greed, offspring, talk};

/// What a unit of that name does before it says hello.
pub(crate) const AT_START: [&str; 6] = ["exit", "crash", "wrong", "busy", "flood", "counts"];
/// What a unit of that name does once it is ready. `mute` and `deaf` are no deeds but omissions.
pub(crate) const WHEN_READY: [&str; 7] =
    ["nonjson", "bigline", "strange", "closeout", "chatter", "requests", "threads"];

static DEAF: AtomicBool = AtomicBool::new(false);

/// Whether it was told to ignore what asks it to end.
pub(crate) fn is_deaf() -> bool {
    DEAF.load(Ordering::Relaxed)
}

/// Does it.
pub(crate) fn act(what: &str) {
    match what {
        "exit" => std::process::exit(0),
        "crash" => std::process::exit(101),
        "busy" => std::process::exit(75),
        "wrong" => std::process::exit(78),
        "panic" => ends::panic_with_a_long_story(),
        "abort" => std::process::abort(),
        "segv" => ends::raise(rustix::process::Signal::SEGV),
        "sigsys" => ends::raise(rustix::process::Signal::SYS),
        "halfline" => ends::in_the_middle_of_a_line(),
        "fullpipe" => ends::with_a_full_pipe(),
        "hang" => ends::hang(),
        "spin" => ends::spin(),
        "noterm" => DEAF.store(true, Ordering::Relaxed),
        "closeout" => talk::close_the_link(),
        "closeerr" => talk::close_stderr(),
        "flood" => talk::flood_stderr(),
        "counts" => drop(std::thread::spawn(talk::count)),
        "chatter" => talk::flood_with_notifications(),
        "requests" => talk::flood_with_requests(),
        "nonjson" => talk::no_json(),
        "strange" => talk::strange_lines(),
        "bigline" => talk::one_big_line(),
        "hog" => greed::memory(),
        "leakfd" => greed::files(),
        "threads" => greed::threads(),
        "cpu" => greed::processor(),
        "trespass" => greed::foreign_file(),
        "forkbomb" => offspring::bomb(),
        "dfork" => offspring::daemon(),
        "deafchild" => offspring::deaf_child(),
        "keeppipe" => offspring::keeper_of_the_pipe(),
        other => eprintln!("no habit {other:?}"),
    }
}
