//! `creel sandbox exec`: one command exactly as an agent's `exec` tool would run it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal as _, PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::Signal;

use crate::clean::Clean;
use crate::error::{LaunchError, Stage};
use crate::launching::{Exit, Launched, Launching, Stdio};
use crate::spec::{Access, LaunchSpec, Layer, Level, Role, View};

/// How many bytes of each stream are passed on; the rest is read and counted.
pub const OUTPUT_CAP: usize = 1 << 20;

/// Exit code when the wall clock ended the command.
pub const EXIT_TIMEOUT: i32 = 124;
/// Exit code when the command was not started.
pub const EXIT_LAUNCH: i32 = 125;

/// How long output that is still in the pipes is read after the command has ended.
const DRAIN: Duration = Duration::from_secs(2);

/// What the caller of the command sees of the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkspaceAccess {
    /// Nothing: the working directory is the private `/tmp`.
    None,
    /// Read-only.
    Ro,
    /// Writable, `.git` protected.
    Rw,
}

/// One foreground run.
#[derive(Debug, Clone)]
pub struct Foreground {
    /// The workspace folder on the host; also the working directory of the command.
    pub workspace: PathBuf,
    /// What the command may do there.
    pub access: WorkspaceAccess,
    /// Show `.git` of a writable workspace read-only. Without it a command can plant hooks that the host's git runs.
    pub protect_git: bool,
    /// Paths in a writable workspace that are shown read-only where they exist, such as `.git/hooks`.
    pub protect: Vec<String>,
    /// Bytes by which a writable workspace may grow; with this or [`Foreground::inodes`] its changes are kept in a layer.
    pub bytes: Option<u64>,
    /// Files and folders by which it may grow.
    pub inodes: Option<u64>,
    /// Further folders to show read-only.
    pub ro: Vec<PathBuf>,
    /// The time the command has.
    pub wall: Duration,
    /// The level to run at, as [`crate::probe_levels`] found it.
    pub level: Level,
    /// Pass every byte of the output on. Without it control characters are replaced, see [`Clean`].
    pub raw: bool,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// The launch spec of a tool run: no network, no variables of the host, the workspace as working directory.
///
/// # Errors
/// When a folder does not exist.
pub fn spec(run: &Foreground) -> Result<LaunchSpec, LaunchError> {
    let mut spec = LaunchSpec::new("tool:foreground", Role::Tool, run.command.clone());
    spec.level = run.level;
    spec.protect_git = run.protect_git;
    spec.protect.clone_from(&run.protect);
    spec.env = BTreeMap::from(
        [
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
            ("HOME", "/tmp"),
            ("TMPDIR", "/tmp"),
            ("USER", "creel"),
            // Whom git names when nobody told it a name.
            ("EMAIL", "creel@localhost"),
            ("LANG", "C.UTF-8"),
            ("TERM", "dumb"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    let workspace = real(&run.workspace)?;
    let access = match run.access {
        WorkspaceAccess::None => None,
        WorkspaceAccess::Ro => Some(Access::Ro),
        WorkspaceAccess::Rw => Some(Access::Rw),
    };
    if access == Some(Access::Rw) && (run.bytes.is_some() || run.inodes.is_some()) {
        spec.layers.push(Layer { at: workspace.clone(), bytes: run.bytes, inodes: run.inodes });
    }
    spec.cwd = if access.is_some() { workspace.clone() } else { PathBuf::from("/tmp") };
    spec.fs.extend(access.map(|access| View { path: workspace.clone(), at: workspace, access }));
    for path in &run.ro {
        spec.fs.push(View::ro(real(path)?));
    }
    Ok(spec)
}

fn real(path: &Path) -> Result<PathBuf, LaunchError> {
    path.canonicalize().map_err(|e| {
        LaunchError::io(Stage::View, &e, format!("The folder {} cannot be used", path.display()))
    })
}

/// What a foreground run came to.
#[derive(Debug)]
pub struct Ran {
    /// The exit code to leave with: the command's, 128 + signal, [`EXIT_TIMEOUT`] or [`EXIT_LAUNCH`].
    pub code: i32,
    /// What it changed, see [`Launched::layers`].
    pub layers: Vec<OwnedFd>,
}

/// Runs the command and relays its output to our stdout and stderr, where also the sentence goes when it cannot be started.
/// `cgroup`: the open folder of one with limits in force, for level 3.
#[must_use]
pub fn run_foreground(run: &Foreground, cgroup: Option<BorrowedFd<'_>>) -> Ran {
    match started(run, cgroup) {
        Ok((mut launched, streams)) => {
            let code = relay(run, &launched, streams);
            Ran { code, layers: std::mem::take(&mut launched.layers) }
        }
        Err(error) => {
            say(&error.to_string());
            Ran { code: EXIT_LAUNCH, layers: Vec::new() }
        }
    }
}

fn started(run: &Foreground, cgroup: Option<BorrowedFd<'_>>) -> Result<(Launched, [Relay; 2]), LaunchError> {
    let spec = spec(run)?;
    let pipe =
        || io::pipe().map_err(|e| LaunchError::io(Stage::Spawn, &e, "No pipe for the command's output"));
    let (out, stdout) = pipe()?;
    let (err, stderr) = pipe()?;
    let stdin = File::open("/dev/null")
        .map_err(|e| LaunchError::io(Stage::Spawn, &e, "/dev/null cannot be opened"))?;
    let stdio = Stdio { stdin: stdin.into(), stdout: OwnedFd::from(stdout), stderr: OwnedFd::from(stderr) };
    let launched = Launching::begin_at_once(&spec, stdio, cgroup)?.wait()?;
    let clean = |terminal: bool| (!run.raw).then(|| Clean::new(terminal));
    let out = Relay::new(out, "stdout", clean(io::stdout().is_terminal()));
    let err = Relay::new(err, "stderr", clean(io::stderr().is_terminal()));
    Ok((launched, [out, err]))
}

/// One stream of the command on its way to ours.
struct Relay {
    from: Option<PipeReader>,
    name: &'static str,
    clean: Option<Clean>,
    passed: usize,
    dropped: usize,
}

impl Relay {
    fn new(from: PipeReader, name: &'static str, clean: Option<Clean>) -> Self {
        Self { from: Some(from), name, clean, passed: 0, dropped: 0 }
    }

    /// Reads once; at the end of the stream the pipe is closed.
    fn turn(&mut self, buffer: &mut [u8]) {
        let Some(from) = &mut self.from else { return };
        let got = match from.read(buffer) {
            Ok(0) | Err(_) => {
                self.from = None;
                let rest = self.clean.as_mut().map_or(&b""[..], Clean::rest);
                pass(self.name, rest);
                return;
            }
            Ok(n) => buffer.get(..n).unwrap_or_default(),
        };
        let (kept, rest) = got.split_at(got.len().min(OUTPUT_CAP - self.passed));
        self.passed += kept.len();
        self.dropped += rest.len();
        match &mut self.clean {
            Some(clean) => pass(self.name, &clean.piece(kept)),
            None => pass(self.name, kept),
        }
    }
}

/// Our reader may be gone; the command goes on all the same, as in a pipe that is drained.
fn pass(name: &str, bytes: &[u8]) {
    let _ = if name == "stdout" {
        let mut out = io::stdout();
        out.write_all(bytes).and_then(|()| out.flush())
    } else {
        io::stderr().write_all(bytes)
    };
}

fn relay(run: &Foreground, launched: &Launched, mut streams: [Relay; 2]) -> i32 {
    let deadline = Instant::now() + run.wall;
    let mut state = Run::Going(deadline);
    let mut buffer = vec![0; 1 << 16];
    let exit = loop {
        turn(&state, launched, &mut streams, &mut buffer);
        let now = Instant::now();
        state = match state {
            Run::Going(deadline) | Run::Ending(deadline) if now >= deadline => {
                let last = matches!(state, Run::Ending(_));
                let _ = if last { launched.signal(Signal::KILL) } else { launched.end() };
                Run::Ending(now + Duration::from_secs(1))
            }
            other => other,
        };
        if let Run::Going(_) | Run::Ending(_) = state {
            match launched.try_wait() {
                Ok(None) => continue,
                Ok(Some(exit)) => {
                    let code = if matches!(state, Run::Ending(_)) { EXIT_TIMEOUT } else { exit.code() };
                    state = Run::Over(now + DRAIN, code);
                }
                Err(_) => state = Run::Over(now, Exit::Code(EXIT_LAUNCH).code()),
            }
        }
        if let Run::Over(until, code) = state
            && (now >= until || streams.iter().all(|s| s.from.is_none()))
        {
            break code;
        }
    };
    if exit == EXIT_TIMEOUT {
        say(&format!("The command was ended after {} s (--wall).", run.wall.as_secs_f32()));
    }
    for s in streams.iter().filter(|s| s.dropped > 0) {
        say(&format!("{} more bytes of {} were dropped after the first {OUTPUT_CAP}.", s.dropped, s.name));
    }
    exit
}

/// Where a run is, and until when.
#[derive(Clone, Copy)]
enum Run {
    Going(Instant),
    Ending(Instant),
    Over(Instant, i32),
}

/// Waits for output, the end of the unit, or the deadline, and moves what there is.
fn turn(state: &Run, launched: &Launched, streams: &mut [Relay; 2], buffer: &mut [u8]) {
    let (until, over) = match state {
        Run::Going(t) | Run::Ending(t) => (*t, false),
        Run::Over(t, _) => (*t, true),
    };
    let left = until.saturating_duration_since(Instant::now()).as_millis().saturating_add(1);
    let timeout = PollTimeout::try_from(u64::try_from(left).unwrap_or(u64::MAX).min(60_000))
        .unwrap_or(PollTimeout::MAX);
    let ready: Vec<usize> = {
        let mut fds = Vec::with_capacity(3);
        let mut which = Vec::with_capacity(3);
        for (i, stream) in streams.iter().enumerate() {
            if let Some(from) = &stream.from {
                fds.push(PollFd::new(from.as_fd(), PollFlags::POLLIN));
                which.push(i);
            }
        }
        if !over {
            fds.push(PollFd::new(launched.pidfd.as_fd(), PollFlags::POLLIN));
        }
        if poll(&mut fds, timeout).is_err() {
            return;
        }
        which.into_iter().zip(&fds).filter(|(_, f)| f.any().unwrap_or(false)).map(|(i, _)| i).collect()
    };
    for i in ready {
        if let Some(stream) = streams.get_mut(i) {
            stream.turn(buffer);
        }
    }
}

fn say(sentence: &str) {
    let _ = writeln!(io::stderr(), "creel: {sentence}");
}
