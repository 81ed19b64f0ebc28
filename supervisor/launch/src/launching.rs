//! The supervisor's side of a launch: starts the stage, takes its report, hands out the running unit.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use serde::{Deserialize, Serialize};

use crate::error::{At as _, LaunchError, Stage};
use crate::hatching::{self, StageProcess};
use crate::isolation::Isolation;
use crate::note::{self, Note, Start};
use crate::profile;
use crate::spec::{Ids, LaunchSpec, Level};

/// The unit's standard descriptors.
#[derive(Debug)]
pub struct Stdio {
    /// Becomes fd 0.
    pub stdin: OwnedFd,
    /// Becomes fd 1.
    pub stdout: OwnedFd,
    /// Becomes fd 2; also takes a panic of the launcher stage.
    pub stderr: OwnedFd,
}

/// A launch under way. Readable (see [`AsFd`]) whenever [`Launching::poll`] has something to do. Dropping it ends what
/// was started.
#[derive(Debug)]
pub struct Launching {
    socket: OwnedFd,
    /// The launcher stage; `None` once reaped, or once it has become the unit (levels 1 and 0).
    stage: Option<StageProcess>,
    level: Level,
    /// Whether its first process must be told to end its descendants.
    sweeps: bool,
    unit: Option<(i32, OwnedFd)>,
    ready: Option<Ready>,
}

/// What the stage reported: what was applied, the listener, the layers.
type Ready = (Isolation, Option<(OwnedFd, u16)>, Vec<OwnedFd>);

/// A unit that runs its program.
#[derive(Debug)]
pub struct Launched {
    /// Its process id on the host: a direct child of the caller.
    pub pid: u32,
    /// The same process, immune to reuse of the number.
    pub pidfd: OwnedFd,
    /// The unit's listener and its port, where the spec asked for one. Close it when the unit ends.
    pub listener: Option<(OwnedFd, u16)>,
    /// The folders of the spec's layers, in its order. They hold what the unit changed as long as they are open. What is in
    /// them is the unit's: names and files may be hostile.
    pub layers: Vec<OwnedFd>,
    /// What was really applied.
    pub isolation: Isolation,
    /// Without a pid namespace the first process of a tool must be told to end its descendants.
    sweeps: bool,
}

/// How a unit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this code. The first process of a tool reports a signal as 128 + its number.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// By this signal, with a core dump.
    Dumped(i32),
}

impl Exit {
    /// The exit code a shell would show.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) | Self::Dumped(signal) => 128 + signal,
        }
    }
}

impl Launching {
    /// Starts a launch and returns at once. Call it on the thread whose end shall end the unit: for a supervisor, the
    /// main thread.
    ///
    /// # Errors
    /// When the stage itself cannot be started.
    pub fn begin(spec: &LaunchSpec, stdio: Stdio) -> Result<Self, LaunchError> {
        Self::begin_in(spec, stdio, None)
    }

    /// The same, with the unit inside a cgroup from its first moment on: the open folder of a cgroup v2 that the caller
    /// may write to.
    ///
    /// # Errors
    /// When the stage itself cannot be started.
    pub fn begin_in(
        spec: &LaunchSpec,
        stdio: Stdio,
        cgroup: Option<BorrowedFd<'_>>,
    ) -> Result<Self, LaunchError> {
        let (ours, theirs) = link()?;
        let (policy, policy_bytes) = sealed_policy(&with_ids(spec))?;
        let fds: Vec<_> = [policy.as_fd(), stdio.stdin.as_fd()].into_iter().chain(cgroup).collect();
        note::send(&ours, &Start { policy_bytes }, &fds)
            .at(Stage::Policy, || "The policy cannot be handed to the launcher stage")?;
        // Without namespaces the stage becomes the unit; with them the unit is cloned into the cgroup.
        let cgroup = cgroup.filter(|_| spec.level < Level::L2);
        let stage = hatching::stage(theirs, stdio, cgroup)?;
        Ok(Self::of(ours, stage, spec))
    }

    /// The same for a command line, which waits anyway: where it has a single thread, the stage runs in its memory.
    pub(crate) fn begin_at_once(
        spec: &LaunchSpec,
        stdio: Stdio,
        cgroup: Option<BorrowedFd<'_>>,
    ) -> Result<Self, LaunchError> {
        // Without namespaces the stage becomes the unit, and we would stand still until it ends.
        #[cfg(target_os = "linux")]
        if spec.level >= Level::L2 && hatching::is_alone() {
            let (ours, theirs) = link()?;
            let stage = hatching::beside(&theirs, &stdio, &with_ids(spec), cgroup)?;
            return Ok(Self::of(ours, stage, spec));
        }
        Self::begin_in(spec, stdio, cgroup)
    }

    fn of(socket: OwnedFd, stage: StageProcess, spec: &LaunchSpec) -> Self {
        Self {
            socket,
            stage: Some(stage),
            level: spec.level,
            sweeps: spec.level == Level::L1 && profile::role(spec.role).stub,
            unit: None,
            ready: None,
        }
    }

    /// Takes what the stage has said so far. `Ok(None)`: not decided yet, wait until the descriptor is readable.
    ///
    /// # Errors
    /// The launch failed, and nothing of it is left.
    pub fn poll(&mut self) -> Result<Option<Launched>, LaunchError> {
        self.advance(false)
    }

    /// Blocks until the unit runs or the launch failed.
    ///
    /// # Errors
    /// The launch failed, and nothing of it is left.
    pub fn wait(mut self) -> Result<Launched, LaunchError> {
        loop {
            if let Some(launched) = self.advance(true)? {
                return Ok(launched);
            }
        }
    }

    fn advance(&mut self, wait: bool) -> Result<Option<Launched>, LaunchError> {
        loop {
            match note::receive::<Note>(&self.socket, wait) {
                Ok(Some((note, fds))) => self.take(note, fds)?,
                Ok(None) => return self.finish().map(Some),
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => {
                    self.end();
                    return Err(LaunchError::io(
                        Stage::Policy,
                        &e.into(),
                        "The launcher stage cannot be understood",
                    ));
                }
            }
        }
    }

    fn take(&mut self, note: Note, mut fds: Vec<OwnedFd>) -> Result<(), LaunchError> {
        match note {
            Note::Unit { pid } => self.unit = fds.pop().map(|fd| (pid, fd)),
            Note::Ready { isolation, port } => {
                let listener = port.filter(|_| !fds.is_empty()).map(|port| (fds.remove(0), port));
                self.ready = Some((isolation, listener, fds));
            }
            Note::Failed(error) => {
                self.end();
                return Err(error);
            }
        }
        Ok(())
    }

    /// The other side is closed: by exec if the report came before, else by death.
    fn finish(&mut self) -> Result<Launched, LaunchError> {
        let Some((isolation, listener, layers)) = self.ready.take() else {
            let status = self.end();
            return Err(LaunchError::new(
                Stage::Lost,
                format!(
                    "The launcher stage ended without a word ({status}); the kernel may have run out of memory."
                ),
            ));
        };
        let (pid, pidfd) = if self.level >= Level::L2 {
            self.reap_stage();
            self.unit
                .take()
                .ok_or_else(|| LaunchError::new(Stage::Lost, "The launcher stage named no unit."))?
        } else {
            // The stage has become the unit.
            let Some(stage) = self.stage.take() else {
                return Err(LaunchError::new(Stage::Lost, "This launch was finished before."));
            };
            stage.into_unit().at(Stage::Lost, || "The unit has no pidfd")?
        };
        let sweeps = self.sweeps;
        Ok(Launched { pid: pid.unsigned_abs(), pidfd, listener, layers, isolation, sweeps })
    }

    fn reap_stage(&mut self) -> String {
        self.stage.take().map_or_else(String::new, StageProcess::reap)
    }

    /// Ends and reaps everything of this launch.
    fn end(&mut self) -> String {
        if let Some((_, pidfd)) = self.unit.take() {
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        }
        if let Some(stage) = &mut self.stage {
            // At level 1 the stage may be the first process already, with descendants and a folder to clear away.
            stage.signal(if self.sweeps { Signal::QUIT } else { Signal::KILL });
        }
        self.reap_stage()
    }
}

impl AsFd for Launching {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Launching {
    fn drop(&mut self) {
        self.end();
    }
}

impl Launched {
    /// Whether the first process must be told to end its descendants; see [`Launched::inherit`].
    #[must_use]
    pub fn sweeps(&self) -> bool {
        self.sweeps
    }

    /// A unit that the program before this one launched, from what that one knew of it.
    #[must_use]
    pub fn inherit(
        pid: u32,
        pidfd: OwnedFd,
        listener: Option<(OwnedFd, u16)>,
        layers: Vec<OwnedFd>,
        isolation: Isolation,
        sweeps: bool,
    ) -> Self {
        Self { pid, pidfd, listener, layers, isolation, sweeps }
    }

    /// Whether the unit has ended; it stays to be reaped by [`Launched::try_wait`].
    ///
    /// # Errors
    /// When the unit was reaped by somebody else.
    pub fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(self.wait_with(options)?.is_some())
    }

    /// The exit of the unit, once; `None` while it runs.
    ///
    /// # Errors
    /// When the unit was reaped by somebody else.
    pub fn try_wait(&self) -> io::Result<Option<Exit>> {
        self.wait_with(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Blocks until the unit has ended.
    ///
    /// # Errors
    /// When the unit was reaped by somebody else.
    pub fn wait(&self) -> io::Result<Exit> {
        self.wait_with(WaitIdOptions::EXITED)?.ok_or_else(|| io::ErrorKind::Other.into())
    }

    fn wait_with(&self, options: WaitIdOptions) -> io::Result<Option<Exit>> {
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), options)?;
        Ok(status.map(|s| match (s.exit_status(), s.terminating_signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) if s.dumped() => Exit::Dumped(signal),
            (None, signal) => Exit::Signal(signal.unwrap_or(0)),
        }))
    }

    /// Sends a signal to the unit's first process; a tool's passes it on to its program.
    ///
    /// # Errors
    /// When the unit has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, signal)?)
    }

    /// Ends the unit with everything it started, now. Where there is no pid namespace the first process of a tool does
    /// it, so that a unit which does not end within a second should be given [`Launched::signal`] `KILL`.
    ///
    /// # Errors
    /// When the unit has ended.
    pub fn end(&self) -> io::Result<()> {
        self.signal(if self.sweeps { Signal::QUIT } else { Signal::KILL })
    }
}

/// The socket between a launcher and its stage: our end and the stage's.
fn link() -> Result<(OwnedFd, OwnedFd), LaunchError> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .at(Stage::Spawn, || "No launch socket can be made; the open-files limit may be reached")
}

/// The spec with a user of its own for the unit, where it names none and root launches it.
fn with_ids(spec: &LaunchSpec) -> LaunchSpec {
    let mut spec = spec.clone();
    if spec.ids.is_none() && spec.level != Level::L0 && rustix::process::geteuid().is_root() {
        spec.ids = Some(Ids::for_units()).filter(|ids| crate::linux::identity::is_somebody(*ids));
    }
    spec
}

fn sealed_policy(spec: &LaunchSpec) -> Result<(OwnedFd, usize), LaunchError> {
    let text = serde_json::to_vec(spec).map_err(|e| {
        LaunchError::new(Stage::Spec, format!("The launch spec cannot be written as JSON: {e}."))
    })?;
    let fd = memfd_create("creel-policy", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .at(Stage::Policy, || "No memory file for the policy")?;
    let mut file = File::from(fd);
    file.write_all(&text)
        .and_then(|()| file.rewind())
        .at(Stage::Policy, || "The policy cannot be written")?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK)
        .at(Stage::Policy, || "The policy cannot be sealed")?;
    Ok((OwnedFd::from(file), text.len()))
}
