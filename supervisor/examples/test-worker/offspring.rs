//! Processes of its own, which a confined worker cannot have.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::Outcome;

/// The life of a process that this program started.
pub(crate) fn live(part: &str) -> Outcome {
    match part {
        // Keeps what it inherited open, and does not hear SIGTERM.
        "grandchild" => {
            let heard = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            signal_hook::flag::register(signal_hook::consts::SIGTERM, heard)?;
            eprintln!("grandchild is up");
            crate::ends::hang();
        }
        // In between: its child belongs to nobody.
        "parent" => {
            rustix::process::setsid()?;
            own("grandchild").spawn()?;
        }
        "bomb" => {
            bomb();
            crate::ends::hang();
        }
        // A client of a control socket, for a test that cannot change its own user.
        "knock" => {
            let path = std::env::args().nth(2).unwrap_or_default();
            let mut stream = UnixStream::connect(path)?;
            stream
                .write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"units.status\",\"params\":{}}\n")?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line)?;
            std::io::stdout().write_all(line.as_bytes())?;
        }
        other => return Err(format!("no part {other:?}").into()),
    }
    Ok(())
}

/// This program once more.
fn own(part: &str) -> Command {
    let program = std::env::args_os().next().unwrap_or_default();
    let mut command = Command::new(program);
    command.arg(part).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Two more of itself, each of which does the same, until the machine says no.
pub(crate) fn bomb() {
    let mut born = 0_u32;
    let error = loop {
        match own("bomb").spawn() {
            Ok(_child) => born += 1,
            Err(error) => break error,
        }
        if born >= 2 {
            return;
        }
    };
    eprintln!("no child after {born}: {error}");
}

/// A process in a session of its own whose parent is gone.
pub(crate) fn daemon() {
    match own("parent").spawn() {
        Ok(mut parent) => {
            let _reaped = parent.wait();
            eprintln!("a daemon was started");
        }
        Err(error) => eprintln!("no daemon: {error}"),
    }
}

/// A child in its own session that does not hear SIGTERM.
pub(crate) fn deaf_child() {
    match own("grandchild").process_group(0).spawn() {
        Ok(_child) => eprintln!("a deaf child was started"),
        Err(error) => eprintln!("no child: {error}"),
    }
}

/// Somebody who holds the log and the link open when this process is gone.
pub(crate) fn keeper_of_the_pipe() {
    let mut command = own("parent");
    // The link is a socket on both; the keeper holds it as its own stdin and stdout.
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit());
    match command.spawn().and_then(|mut parent| parent.wait()) {
        Ok(_) => std::process::exit(1),
        Err(error) => eprintln!("no keeper: {error}"),
    }
}
