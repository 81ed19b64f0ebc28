//! A sandboxed `true`, against bubblewrap with like flags, turn by turn.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use creel_kit::TestHome;

use crate::figure::{Figure, figure, percentile};

const SAMPLES: usize = 80;
const BWRAP: &str = "/usr/bin/bwrap";

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    ensure!(std::path::Path::new(BWRAP).is_file(), "{BWRAP} is missing; install bubblewrap.");
    let home = TestHome::new()?;
    let workspace = home.scratch().join("ws");
    std::fs::create_dir(&workspace)?;
    let ours = || {
        let mut command = home.command("creel");
        command.args(["sandbox", "exec", "--workspace"]).arg(&workspace);
        command.args(["--access", "rw", "--wall", "10", "--", "/bin/true"]);
        command
    };
    let theirs = || {
        let mut command = Command::new(BWRAP);
        command.args(["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
        for folder in ["/usr", "/bin", "/lib", "/lib64", "/etc"] {
            if std::path::Path::new(folder).exists() {
                command.args(["--ro-bind", folder, folder]);
            }
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind"]);
        command.arg(&workspace).arg(&workspace).arg("--chdir").arg(&workspace).arg("/bin/true");
        command
    };
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        our_times.push(timed(ours())?);
        their_times.push(timed(theirs())?);
    }
    let (our_time, their_time) = (percentile(&our_times, 0.5), percentile(&their_times, 0.5));
    let ratio = figure("sandbox", "sandboxed `true` / bubblewrap, p50", (our_time / their_time, "×"), 1.2);
    Ok(vec![ratio.of(SAMPLES).noting(format!("{our_time:.2} ms and {their_time:.2} ms"))])
}

fn timed(mut command: Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let output = command.output()?;
    let took = started.elapsed();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}
