//! What every test needs: a spec, pipes, a launch, and what came out.

use std::fs::File;
use std::io::{Read as _, pipe};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use creel_launch::{Exit, LaunchError, LaunchSpec, Launched, Launching, Level, Role, Stdio};
use tempfile::TempDir;

/// A running unit and the read end of its stdout and stderr.
pub(crate) struct Running {
    pub(crate) unit: Launched,
    pub(crate) output: std::io::PipeReader,
}

impl Running {
    /// Reads until nobody holds the output any more, then reaps.
    pub(crate) fn finish(mut self) -> (Exit, String) {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        (self.unit.wait().unwrap(), text)
    }
}

pub(crate) fn launch(spec: &LaunchSpec) -> Result<Running, LaunchError> {
    let (output, write) = pipe().unwrap();
    let stderr = write.try_clone().unwrap();
    let stdin = File::open("/dev/null").unwrap();
    let stdio = Stdio { stdin: stdin.into(), stdout: write.into(), stderr: stderr.into() };
    let unit = Launching::begin(spec, stdio)?.wait()?;
    Ok(Running { unit, output })
}

pub(crate) fn run(spec: &LaunchSpec) -> (Exit, String) {
    launch(spec).unwrap().finish()
}

/// A shell command as a tool unit.
pub(crate) fn shell(script: &str) -> LaunchSpec {
    LaunchSpec::new("tool:test", Role::Tool, vec!["/bin/sh".into(), "-c".into(), script.into()])
}

pub(crate) fn at(level: Level, spec: LaunchSpec) -> LaunchSpec {
    LaunchSpec { level, ..spec }
}

/// This binary as a worker unit that runs the trial `name`.
pub(crate) fn worker(role: Role, name: &str) -> LaunchSpec {
    let program = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    let mut spec = LaunchSpec::new(
        format!("{}:test", role.name()),
        role,
        vec![program, crate::trial::ARG.into(), name.into()],
    );
    // A test binary is larger than any worker.
    spec.limits.data = None;
    spec
}

/// A folder that a unit may be shown, whoever runs the tests.
pub(crate) fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().canonicalize().unwrap();
    (dir, path)
}

pub(crate) fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap().lines().any(|l| l.starts_with("Uid:\t0\t"))
}
