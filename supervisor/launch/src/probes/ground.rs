//! The outer side of the probes: decoys that somebody unconfined could reach, and the launch.

use std::fs::{self, Permissions};
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Aim, PROBE_ARG, Probe};
use crate::error::{At as _, LaunchError, Stage};
use crate::isolation::Isolation;
use crate::launching::{Exit, Launching, Stdio};
use crate::spec::{LaunchSpec, Level, Limits, Role, View};

/// The limits of the probe: small, so that hitting them costs nothing.
const LIMITS: Limits = Limits {
    nofile: Some(64),
    fsize: Some(1 << 20),
    data: Some(96 << 20),
    nproc: Some(48),
    cpu_seconds: None,
    cpu_percent: None,
};
const TMP_BYTES: u64 = 4 << 20;
/// The probes take a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the probes in a tool sandbox of this level, with the walls of the `exec` tool and small limits. The calling
/// binary's `main` must call [`crate::reenter`]. Blocks.
///
/// # Errors
/// When the sandbox cannot be built, or its probes give no verdict.
pub fn probe_tool(level: Level) -> Result<(Isolation, Vec<Probe>), LaunchError> {
    let decoys = Decoys::new(level)?;
    let program = std::env::current_exe().at(Stage::Spawn, || "The path of this binary is unknown")?;
    let aim = Aim {
        secret: text(&decoys.path("secret")),
        workspace: text(&decoys.workspace),
        port: decoys.listener.local_addr().map_or(0, |address| address.port()),
        socket: text(&decoys.path("socket")),
        prober: i32::try_from(std::process::id()).unwrap_or(1),
        namespaces: level >= Level::L2,
        landlock: landlock(),
        memory: LIMITS.data.unwrap_or(0),
        pids: LIMITS.nproc.unwrap_or(0),
        file: LIMITS.fsize.unwrap_or(0),
        files: LIMITS.nofile.unwrap_or(0),
        tmp: TMP_BYTES,
    };
    let aim = serde_json::to_string(&aim).map_err(|e| LaunchError::new(Stage::Spec, e.to_string()))?;
    let argv = vec![text(&program), PROBE_ARG.to_owned(), aim];
    let mut spec = LaunchSpec::new("tool:probe", Role::Tool, argv);
    spec.level = level;
    spec.limits = LIMITS;
    spec.tmp_bytes = TMP_BYTES;
    spec.env.insert("HOME".to_owned(), "/tmp".to_owned());
    spec.cwd.clone_from(&decoys.workspace);
    spec.fs.push(View::rw(&decoys.workspace));
    if !program.starts_with("/usr") {
        spec.fs.push(View::ro(program));
    }
    launch(&spec)
}

fn launch(spec: &LaunchSpec) -> Result<(Isolation, Vec<Probe>), LaunchError> {
    let (mut answer, stdout) = io::pipe().at(Stage::Spawn, || "No pipe for the probes' answer")?;
    let null = || {
        fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .at(Stage::Spawn, || "/dev/null cannot be opened")
    };
    let stdio = Stdio { stdin: null()?.into(), stdout: OwnedFd::from(stdout), stderr: null()?.into() };
    let launched = Launching::begin(spec, stdio)?.wait()?;
    let isolation = launched.isolation.clone();
    // A probe that hangs must not hang its operator.
    let watched = launched.pidfd.try_clone().at(Stage::Spawn, || "No descriptor is left")?;
    std::thread::spawn(move || {
        std::thread::sleep(PATIENCE);
        let _ended = rustix::process::pidfd_send_signal(&watched, rustix::process::Signal::KILL);
    });
    let mut text = String::new();
    let read = answer.read_to_string(&mut text);
    let exit = launched.wait().unwrap_or(Exit::Code(-1));
    match (read, exit, serde_json::from_str::<Vec<Probe>>(&text)) {
        (Ok(_), Exit::Code(0), Ok(probes)) => Ok((isolation, probes)),
        _ => Err(LaunchError::new(
            Stage::Lost,
            format!("The sandbox was built, but the probes in it gave no verdict (exit {}).", exit.code()),
        )),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn landlock() -> u32 {
    #[cfg(target_os = "linux")]
    return u32::try_from(crate::linux::sys::landlock_abi()).unwrap_or(0);
    #[cfg(not(target_os = "linux"))]
    0
}

/// Things that a confined command must not reach, although their permissions would let it.
struct Decoys {
    dir: PathBuf,
    /// Elsewhere: the folders above it exist in the unit, too.
    workspace: PathBuf,
    listener: TcpListener,
    _socket: UnixListener,
}

impl Decoys {
    fn new(level: Level) -> Result<Self, LaunchError> {
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let dir = std::env::temp_dir().join(format!("creel-test-{}-{now:x}", std::process::id()));
        let workspace = dir.with_added_extension("workspace");
        let failed = || format!("The folder {} for the probes' decoys cannot be made", dir.display());
        fs::create_dir(&dir).at(Stage::Spawn, failed)?;
        let made = || -> io::Result<UnixListener> {
            let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
            open(&dir, 0o755)?;
            fs::write(dir.join("secret"), "decoy")?;
            open(&dir.join("secret"), 0o666)?;
            fs::create_dir(&workspace)?;
            open(&workspace, 0o777)?;
            if level >= Level::L2 {
                // Level 1 cannot protect it, and refuses such a workspace.
                fs::create_dir_all(workspace.join(".git/hooks"))?;
                open(&workspace.join(".git"), 0o777)?;
                open(&workspace.join(".git/hooks"), 0o777)?;
            }
            let socket = UnixListener::bind(dir.join("socket"))?;
            open(&dir.join("socket"), 0o666)?;
            Ok(socket)
        };
        let socket = made();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        match (socket, listener) {
            (Ok(socket), Ok(listener)) => {
                let owned = Self { dir, workspace, listener, _socket: socket };
                owned.give_away(level)?;
                Ok(owned)
            }
            (socket, listener) => {
                let error =
                    socket.err().or_else(|| listener.err()).unwrap_or_else(|| io::ErrorKind::Other.into());
                let _ = fs::remove_dir_all(&dir);
                let _ = fs::remove_dir_all(&workspace);
                Err(error).at(Stage::Spawn, failed)
            }
        }
    }

    /// At level 1 a writable folder must belong to the unit.
    fn give_away(&self, level: Level) -> Result<(), LaunchError> {
        if level >= Level::L2 || !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let ids = crate::spec::Ids::for_units();
        std::os::unix::fs::chown(&self.workspace, Some(ids.uid), Some(ids.gid))
            .at(Stage::Spawn, || "The probes' workspace cannot be given to the unit's user")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Drop for Decoys {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
        let _ = fs::remove_dir_all(&self.workspace);
    }
}
