//! Commands in the tool sandbox, beside bubblewrap with like flags, turn by turn, and firejail.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use creel_kit::{TestHome, binaries};
use serde::Deserialize;

use crate::figure::{Figure, figure, percentile};

const SAMPLES: usize = 80;
const BWRAP: &str = "/usr/bin/bwrap";
const FIREJAIL: &str = "/usr/bin/firejail";

/// First argument of a run of this program that only opens and closes a file.
const OPEN_CLOSE: &str = "__open_close";
const OPENS: u32 = 200_000;

/// Whether this process was started to be measured inside a sandbox.
pub(crate) fn is_inside() -> bool {
    std::env::args().nth(1).is_some_and(|arg| arg == OPEN_CLOSE)
}

/// Prints nanoseconds of one open and close, the best of five rounds.
#[expect(clippy::print_stdout, reason = "that is all it does")]
pub(crate) fn open_and_close() -> Result<()> {
    let path = std::env::args().nth(2).context("no file")?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let begun = Instant::now();
        for _ in 0..OPENS {
            drop(std::fs::File::open(&path)?);
        }
        best = best.min(begun.elapsed().as_secs_f64() * 1e9 / f64::from(OPENS));
    }
    println!("{best}");
    Ok(())
}

struct Sandboxes {
    home: TestHome,
    workspace: PathBuf,
}

impl Sandboxes {
    fn ours(&self, more: &[&str]) -> Command {
        let mut command = self.home.command("creel");
        command.args(["sandbox", "exec", "--workspace"]).arg(&self.workspace);
        command.args(["--access", "rw", "--wall", "60"]).args(more).arg("--");
        command
    }

    fn bubblewrap(&self) -> Command {
        let mut command = Command::new(BWRAP);
        command.args(["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
        for folder in ["/usr", "/bin", "/lib", "/lib64", "/etc"] {
            if Path::new(folder).exists() {
                command.args(["--ro-bind", folder, folder]);
            }
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind"]);
        command.arg(&self.workspace).arg(&self.workspace).arg("--chdir").arg(&self.workspace);
        command
    }

    fn firejail() -> Command {
        let mut command = Command::new(FIREJAIL);
        command.args(["--quiet", "--noprofile", "--net=none", "--seccomp", "--caps.drop=all"]);
        command.args(["--nonewprivs", "--private-dev", "--private-tmp"]);
        command
    }
}

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    ensure!(Path::new(BWRAP).is_file(), "{BWRAP} is missing; install bubblewrap.");
    let home = TestHome::new()?;
    let workspace = home.scratch().join("ws");
    std::fs::create_dir(&workspace)?;
    let sandboxes = Sandboxes { home, workspace };
    let mut figures = starts(&sandboxes)?;
    figures.push(calls(&sandboxes)?);
    figures.push(many(&sandboxes)?);
    figures.extend(supervised()?);
    Ok(figures)
}

/// `true`, in turns. Each of the two is the first of a turn as often as the other; firejail, whose end keeps the kernel busy for a
/// while, has its own turns afterwards.
fn starts(sandboxes: &Sandboxes) -> Result<Vec<Figure>> {
    let (mut ours, mut bubblewrap, mut firejail) = (Vec::new(), Vec::new(), Vec::new());
    let run_ours = || timed(sandboxes.ours(&[]).arg("/bin/true"));
    let run_theirs = || timed(sandboxes.bubblewrap().arg("/bin/true"));
    for turn in 0..SAMPLES {
        if turn % 2 == 0 {
            ours.push(run_ours()?);
            bubblewrap.push(run_theirs()?);
        } else {
            bubblewrap.push(run_theirs()?);
            ours.push(run_ours()?);
        }
    }
    if Path::new(FIREJAIL).is_file() {
        for _ in 0..SAMPLES {
            firejail.push(timed(Sandboxes::firejail().arg("/bin/true"))?);
        }
    }
    let p50 = |times: &[Duration]| percentile(times, 0.5);
    let (our_time, theirs) = (p50(&ours), p50(&bubblewrap));
    let beside = if firejail.is_empty() {
        "firejail is not installed".to_owned()
    } else {
        format!("firejail {:.1} ms", p50(&firejail))
    };
    let ratio = figure("sandbox", "sandboxed `true` / bubblewrap, p50", (our_time / theirs, "×"), 1.2);
    Ok(vec![ratio.of(SAMPLES).noting(format!("{our_time:.2} ms and {theirs:.2} ms; {beside}"))])
}

/// A file opened and closed, inside and outside, in turns.
fn calls(sandboxes: &Sandboxes) -> Result<Figure> {
    const ROUNDS: usize = 5;
    let bench = std::env::current_exe()?;
    let folder = bench.parent().context("this program has no folder")?.to_string_lossy().into_owned();
    let file = sandboxes.workspace.join("file");
    std::fs::write(&file, "x")?;
    let nanoseconds = |mut command: Command| -> Result<f64> {
        let output = command.arg(&bench).arg(OPEN_CLOSE).arg(&file).stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (mut inside, mut outside) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        inside = inside.min(nanoseconds(sandboxes.ours(&["--ro", &folder]))?);
        outside = outside.min(nanoseconds(Command::new("/usr/bin/env"))?);
    }
    let ratio = figure("sandbox", "open and close in the sandbox / outside", (inside / outside, "×"), 1.3);
    Ok(ratio.of(ROUNDS).noting(format!("{inside:.0} ns and {outside:.0} ns")))
}

/// Whole command lines, two at a time.
fn many(sandboxes: &Sandboxes) -> Result<Figure> {
    const EACH: usize = 150;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let worker = || (0..EACH).try_for_each(|_| timed(sandboxes.ours(&[]).arg("/bin/true")).map(drop));
        let all: Vec<_> = (0..2).map(|_| scope.spawn(worker)).collect();
        all.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("it broke")))
    })?;
    let second = (2 * EACH) as f64 / begun.elapsed().as_secs_f64();
    let what = "milliseconds of one of many `creel sandbox exec -- true`, two at a time";
    Ok(figure("sandbox", what, (1e3 / second, "ms"), 5.0)
        .of(2 * EACH)
        .noting(format!("{second:.0} in a second")))
}

/// What `launch-probe` says.
#[derive(Deserialize)]
struct Supervised {
    p50_ms: f64,
    p99_ms: f64,
    in_a_second: f64,
    first_kib: f64,
}

/// Tool runs as a supervisor launches them: forked by the nursery.
fn supervised() -> Result<Vec<Figure>> {
    const ROUNDS: usize = 400;
    let probe = binaries::folder()?.join("examples/launch-probe");
    let output = Command::new(&probe).args(["--time", &ROUNDS.to_string()]).output();
    let output = output.with_context(|| format!("{} is missing", probe.display()))?;
    let said: Supervised = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stdout).into_owned())?;
    let name = "sandbox";
    let many = format!("{:.0} in a second, four at a time", said.in_a_second);
    Ok(vec![
        figure(name, "a supervisor's run of `true`, p50", (said.p50_ms, "ms"), 6.0)
            .of(ROUNDS)
            .noting(format!("p99 {:.2} ms", said.p99_ms)),
        figure(name, "milliseconds of one of many of these", (1e3 / said.in_a_second, "ms"), 5.0)
            .of(ROUNDS)
            .noting(many),
        figure(
            name,
            "memory beside a running command (PSS of its first process)",
            (said.first_kib, "KiB"),
            1024.0,
        ),
    ])
}

fn timed(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let output = command.output()?;
    let took = started.elapsed();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}
