//! One tool run, from its launch to the last byte of its output.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::time::Duration;

use creel_ipc::msg::tool::{ToolCause, ToolExit};
use creel_launch::{Exit, LaunchError, Signal, Stdio};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::capture::{Capture, Characters};
use super::command::Command;
use crate::logs::reader;
use crate::unit::process::{self, Process, spawn_error};

/// What a run has to end after it was told to.
const END_GRACE: Duration = Duration::from_secs(1);

/// Why a run was ended by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Own(Exit),
    TimedOut,
    Killed,
}

/// Runs a command. `started` is told of the process, `printed` of each piece of its output; `kill` ends it, also when
/// its sender is dropped.
pub async fn run(
    command: Command,
    kill: oneshot::Receiver<()>,
    started: impl FnOnce(&Process),
    printed: impl Fn(String),
) -> ToolExit {
    let began = Instant::now();
    match launch(&command).await {
        Ok(running) => attend(command, running, kill, started, printed, began).await,
        Err(error) => ToolExit {
            cause: ToolCause::LaunchFailed,
            code: None,
            signal: None,
            message: Some(error.to_string()),
            stdout: String::new(),
            stderr: String::new(),
            dropped_bytes: 0,
            wall_ms: millis(began.elapsed()),
        },
    }
}

async fn launch(command: &Command) -> Result<(Process, PipeReader, PipeReader), LaunchError> {
    let pipe =
        || io::pipe().map_err(|error| spawn_error(&error, "No pipe can be made for the command's output"));
    let (out, stdout) = pipe()?;
    let (err, stderr) = pipe()?;
    let stdin = std::fs::File::open("/dev/null");
    let stdin = stdin.map_err(|error| spawn_error(&error, "/dev/null cannot be opened"))?;
    let stdio = Stdio { stdin: stdin.into(), stdout: OwnedFd::from(stdout), stderr: OwnedFd::from(stderr) };
    let launching = process::begin(&command.spec, stdio)?;
    Ok((process::launched(launching).await?, out, err))
}

async fn attend(
    command: Command,
    (process, out, err): (Process, PipeReader, PipeReader),
    kill: oneshot::Receiver<()>,
    started: impl FnOnce(&Process),
    printed: impl Fn(String),
    began: Instant,
) -> ToolExit {
    started(&process);
    let (mut stdout, mut stderr) = (Capture::new(command.keep), Capture::new(command.keep));
    let (out_ended, out_end) = oneshot::channel();
    let (err_ended, err_end) = oneshot::channel();
    let read_out = stream(out, out_end, &mut stdout, &printed);
    let read_err = stream(err, err_end, &mut stderr, &printed);
    let verdict = async {
        let verdict = wait(&process, command.wall, kill).await;
        // From here on the pipes have two seconds.
        drop((out_ended, err_ended));
        verdict
    };
    let (verdict, (), ()) = tokio::join!(verdict, read_out, read_err);
    let (stdout, out_dropped) = stdout.finish();
    let (stderr, err_dropped) = stderr.finish();
    let (cause, code, signal, message) = told(verdict, command.wall);
    ToolExit {
        cause,
        code,
        signal,
        message,
        stdout,
        stderr,
        dropped_bytes: out_dropped + err_dropped,
        wall_ms: millis(began.elapsed()),
    }
}

async fn stream(
    pipe: PipeReader,
    ended: oneshot::Receiver<()>,
    capture: &mut Capture,
    printed: &impl Fn(String),
) {
    let Ok(pipe) = reader::receiver(pipe) else { return };
    let mut characters = Characters::default();
    reader::collect(pipe, ended, |bytes| {
        capture.push(bytes);
        let text = characters.text(bytes);
        if !text.is_empty() {
            printed(text);
        }
    })
    .await;
}

async fn wait(process: &Process, wall: Duration, kill: oneshot::Receiver<()>) -> Verdict {
    let ended = process.ended();
    tokio::pin!(ended);
    let verdict = tokio::select! {
        exit = &mut ended => return Verdict::Own(exit.unwrap_or(Exit::Code(-1))),
        () = sleep(wall) => Verdict::TimedOut,
        _ = kill => Verdict::Killed,
    };
    process.end();
    if timeout(END_GRACE, &mut ended).await.is_err() {
        process.signal(Signal::KILL);
        let _reaped = ended.await;
    }
    verdict
}

fn told(verdict: Verdict, wall: Duration) -> (ToolCause, Option<i32>, Option<i32>, Option<String>) {
    match verdict {
        // The first process of a run reports a signal as a shell does.
        Verdict::Own(Exit::Code(code @ 129..=192)) => {
            let message = format!("It ended with code {code}: probably killed by signal {}.", code - 128);
            (ToolCause::Exited, Some(code), None, Some(message))
        }
        Verdict::Own(Exit::Code(code)) => (ToolCause::Exited, Some(code), None, None),
        Verdict::Own(Exit::Signal(signal) | Exit::Dumped(signal)) => {
            let message = format!("It was killed by signal {signal}.");
            (ToolCause::Signalled, None, Some(signal), Some(message))
        }
        Verdict::TimedOut => {
            let message = format!("It was ended because its time of {} ms was up.", wall.as_millis());
            (ToolCause::TimedOut, None, None, Some(message))
        }
        Verdict::Killed => (ToolCause::Killed, None, None, Some("It was ended on request.".to_owned())),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
