//! A new program for the tests of upgrades: the real one, unless its file is called after a fault.
//!
//! `refuses` ends when it is to check; `silent` never answers; `ends` passes the check and ends when it takes over;
//! `hangs` passes it and hangs then; `breaks` panics then; `strays` takes everything over and then cannot show that
//! it works; `dies` hangs even before it has made its way back ready.
#![allow(clippy::exit, clippy::panic, reason = "it ends as its name says")]

use std::process::ExitCode;
use std::time::Duration;

use creel_config::{Env, Overrides};
use creel_supervisor::UpOptions;
use creel_supervisor::upgrade::arrival;

fn main() -> ExitCode {
    creel_launch::reenter();
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let name = own.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match (name.as_str(), arrival::is_check()) {
        ("refuses", true) => std::process::exit(1),
        ("silent", true) => sleep(),
        ("ends", false) => {
            let _arrived = arrival::arrive();
            arrival::fall_back("it ended as its name says");
        }
        ("hangs", false) => {
            let _arrived = arrival::arrive();
            sleep();
        }
        ("breaks", false) => {
            let _arrived = arrival::arrive();
            creel_supervisor::abort_on_panic();
            panic!("it broke as its name says");
        }
        ("strays", false) => {
            let _arrived = arrival::arrive();
            stray();
        }
        ("dies", false) => sleep(),
        _ => {}
    }
    creel_supervisor::cli::main()
}

/// Takes everything over and looks for its control socket where it is not.
fn stray() {
    let mut env: Env = std::env::vars().collect();
    env.insert("CREEL_RUNTIME_DIR".into(), "/nowhere".into());
    let _code = creel_supervisor::run_up(UpOptions { overrides: Overrides::default(), env });
}

fn sleep() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
