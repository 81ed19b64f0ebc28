//! The facts, and how they are gathered.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use creel_config::store::Place;
use creel_config::{Env, Paths};
use creel_ipc::release;
use creel_launch::Measured;

use crate::cgroup::{self, Controllers};
use crate::listener;
use crate::service::launchd::LABEL;
use crate::service::plan::UNIT;
use crate::service::systemd::{PACKAGED_UNIT, SYSTEM_UNIT};
use crate::uids::{Book, FIRST, LAST};
use crate::unit::template::{Binaries, PROGRAMS};

/// How long a database server may take to take a connection.
const DIAL: Duration = Duration::from_secs(5);

/// A file or folder as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: PathBuf,
    /// Permission bits and owner; `None` when it is not there.
    pub found: Option<(u32, u32)>,
}

/// Who holds the gateway's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// Nobody.
    Free,
    /// Somebody; the user, where the kernel tells.
    Taken {
        /// The user.
        uid: Option<u32>,
    },
}

/// The control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Nothing is there.
    Absent,
    /// Somebody answers.
    Answers,
    /// A file is there and nobody answers.
    Stale,
    /// It is somebody else's.
    Forbidden,
}

/// What the running supervisor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The measured isolation level of its units.
    pub level: String,
    /// Units that are down although nobody stopped them.
    pub down: Vec<String>,
}

/// The cgroups of units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroups {
    /// Units of the running supervisor have some, in this folder and with these controllers.
    Theirs(PathBuf, Controllers),
    /// They have none.
    None,
    /// Nothing runs; a supervisor started from here would divide this folder, or why it would not.
    Possible(Result<PathBuf, String>),
    /// It cannot be seen from here, and why.
    Unknown(String),
}

/// Everything that is judged.
#[derive(Debug, Clone)]
pub struct Facts {
    /// This user.
    pub uid: u32,
    /// The version of this program.
    pub version: &'static str,
    /// What the supervisor says, when there is one.
    pub running: Option<Running>,
    /// The control socket.
    pub socket: PathBuf,
    /// What became of asking it.
    pub door: Door,
    /// Unit files of a service manager, and whether they are enabled.
    pub services: Vec<(PathBuf, bool)>,
    /// The gateway's port.
    pub port: u16,
    /// Who holds it.
    pub holder: Port,
    /// The home and its folders.
    pub folders: Vec<Entry>,
    /// Files that hold secrets.
    pub secrets: Vec<Entry>,
    /// What is wrong with the configuration, and which file it is.
    pub config: (PathBuf, Result<(), String>),
    /// Programs that are not beside this one.
    pub missing: Vec<PathBuf>,
    /// Versions of the others; `None` when a program does not tell.
    pub versions: Vec<(PathBuf, Option<String>)>,
    /// What the system says when a line is to be written in the folder of logs.
    pub logs: (PathBuf, Result<(), String>),
    /// Free bytes of the home's disk, and free inodes in hundredths; `None` when it cannot be asked.
    pub disk: Option<(u64, Option<u64>)>,
    /// The database servers that the configuration names, and what became of connecting to each.
    pub databases: Vec<(String, Result<(), String>)>,
    /// The wall clock, and the time of the newest event of the journal, in milliseconds since the epoch.
    pub clock: (i64, Option<i64>),
    /// The user ids of units that a root supervisor gave, or why it gives none; `None` where it does not run as root.
    pub users: Option<Result<Vec<u32>, String>>,
    /// `user.max_user_namespaces`.
    pub max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, which some kernels have.
    pub unprivileged_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`.
    pub apparmor_restricts: Option<u64>,
    /// The cgroups of units.
    pub cgroups: Cgroups,
    /// What a probe unit of this very program was given.
    pub measured: Measured,
}

impl Entry {
    /// Looks.
    pub fn at(path: PathBuf) -> Self {
        let found = std::fs::metadata(&path).ok().map(|data| (data.permissions().mode() & 0o777, data.uid()));
        Self { path, found }
    }
}

/// Unit files at the places where service managers look.
pub fn services(user_home: &Path) -> Vec<(PathBuf, bool)> {
    let wanted = |folder: &Path| folder.join(UNIT).symlink_metadata().is_ok();
    let by_machine = wanted(Path::new("/etc/systemd/system/multi-user.target.wants"));
    let user = user_home.join(".config/systemd/user");
    let by_user = wanted(&user.join("default.target.wants"));
    let plist = format!("{LABEL}.plist");
    let places = [
        (PathBuf::from(SYSTEM_UNIT), by_machine),
        (PathBuf::from(PACKAGED_UNIT), by_machine),
        (user.join(UNIT), by_user),
        // launchd starts what lies there.
        (Path::new("/Library/LaunchDaemons").join(&plist), true),
        (user_home.join("Library/LaunchAgents").join(&plist), true),
    ];
    places.into_iter().filter(|(path, _)| path.exists()).collect()
}

/// The user ids that units have when this user, or the owner of the state folder, starts them.
pub fn users(state: &Path) -> Option<Result<Vec<u32>, String>> {
    let starts = std::fs::metadata(state).map(|state| state.uid());
    if starts.unwrap_or(rustix::process::geteuid().as_raw()) != 0 {
        return None;
    }
    Some(match Book::open(state) {
        Ok(book) if !book.is_mapped() => Err(format!("this container has no user ids {FIRST} to {LAST}")),
        Ok(book) => Ok(book.all().map(|(_, id)| id).collect()),
        Err(error) => Err(error.to_string()),
    })
}

/// Who listens on a port of this machine.
pub fn holder(port: u16) -> Port {
    match std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)) {
        Ok(_free) => Port::Free,
        Err(_taken) => Port::Taken { uid: listener::user(port) },
    }
}

/// Tries to write where logs are written.
pub fn writable(folder: &Path) -> Result<(), String> {
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    let outcome = crate::place::private(folder).and_then(|()| std::fs::write(&probe, "creel doctor\n"));
    let _gone = std::fs::remove_file(&probe);
    outcome.map_err(|error| error.to_string())
}

/// Free bytes and the hundredths of inodes that are free.
pub fn disk(path: &Path) -> Option<(u64, Option<u64>)> {
    let disk = rustix::fs::statvfs(path).ok()?;
    let inodes = (disk.f_files > 0).then(|| disk.f_favail * 100 / disk.f_files);
    Some((disk.f_bavail * disk.f_frsize, inodes))
}

/// Connects to a database server, as the supervisor does for the gateway. Says nothing to it.
pub fn reached(place: &Place) -> Result<(), String> {
    let outcome = match place {
        Place::Socket(path) => std::os::unix::net::UnixStream::connect(path).map(drop),
        Place::Port { host, port } => (host.as_str(), *port).to_socket_addrs().and_then(|addresses| {
            let refused = || std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
            let tried = addresses.map(|address| TcpStream::connect_timeout(&address, DIAL).map(drop));
            tried.reduce(Result::or).unwrap_or_else(|| Err(refused()))
        }),
    };
    outcome.map_err(|error| error.to_string())
}

/// A number of the kernel's settings.
pub fn setting(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Programs of a home that are not where they should be.
pub fn missing(env: &Env) -> Vec<PathBuf> {
    let Ok(binaries) = Binaries::find(env) else { return Vec::new() };
    let absent = |path: &PathBuf| {
        std::fs::metadata(path).map_or(true, |data| !data.is_file() || data.permissions().mode() & 0o111 == 0)
    };
    PROGRAMS.iter().map(|name| binaries.path(name)).filter(absent).collect()
}

/// The versions of the programs beside this one, as they tell it themselves. They are this release's own programs and run
/// for that moment as this user, with nothing in their environment.
pub fn versions(env: &Env) -> Vec<(PathBuf, Option<String>)> {
    let Ok(binaries) = Binaries::find(env) else { return Vec::new() };
    let present = PROGRAMS.iter().map(|name| binaries.path(name)).filter(|path| path.is_file());
    present.map(|path| (path.clone(), version(&path))).collect()
}

/// An old program that does not know the question takes it for a start without a link, and ends.
fn version(program: &Path) -> Option<String> {
    let mut asked = Command::new(program);
    asked.arg("--version").env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let output = asked.output().ok().filter(|output| output.status.success())?;
    release::version(std::str::from_utf8(&output.stdout).ok()?).map(str::to_owned)
}

/// What units have, or would have.
pub fn cgroups(supervisor: Option<u32>) -> Cgroups {
    let Some(pid) = supervisor else { return Cgroups::Possible(cgroup::place()) };
    match cgroup::of_units(pid) {
        Ok(Some((folder, controllers))) => Cgroups::Theirs(folder, controllers),
        Ok(None) => Cgroups::None,
        Err(why) => Cgroups::Unknown(why),
    }
}

/// The home and what lies in it.
pub fn folders(paths: &Paths) -> Vec<Entry> {
    [paths.home.clone(), paths.state(), paths.logs(), paths.runtime.clone()].map(Entry::at).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_holds_is_found() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let own = rustix::process::geteuid().as_raw();
        assert!(matches!(holder(port), Port::Taken { uid: Some(uid) } if uid == own));
    }
}
