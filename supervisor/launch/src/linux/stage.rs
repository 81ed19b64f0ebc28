//! The launcher stage: a fresh, single-threaded run of this very binary that confines itself and becomes the unit.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};

use super::first::{self, Realm};
use super::last::Last;
use super::ruleset::{Grant, Ports, Rules};
use super::sys::{self, Cloned};
use super::views::{self, OpenViews};
use super::{credentials, elf, filter, identity, network, outer_layer, root};
use crate::error::{At as _, LaunchError, Stage};
use crate::launching::Stdio;
use crate::note::{self, Note, Start};
use crate::profile::{self, Execute, RoleProfile, Tcp};
use crate::spec::{Access, Ids, LaunchSpec, Level, Net, Role};

/// What a stage that failed exits with; the sentence went over the launch socket.
const FAILED: i32 = 125;

/// Runs the stage to its end. Never returns to the caller's main. `in_cgroup`: it was forked into the unit's cgroup.
pub(crate) fn run(in_cgroup: bool) -> ! {
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else { sys::leave(FAILED) };
    let outcome = receive(&socket)
        .and_then(|(spec, cgroup)| launch(&spec, &socket, cgroup.as_ref().map(OwnedFd::as_fd), in_cgroup));
    fail(&socket, outcome)
}

/// Runs the stage in the caller's memory, see [`sys::in_our_place`], until it has cloned the unit or has failed and said so over
/// `socket`. The unit is a copy of that memory. Not for levels at which the stage becomes the unit: the caller stands still.
pub(crate) fn run_beside(
    spec: &LaunchSpec,
    socket: &OwnedFd,
    stdio: &Stdio,
    cgroup: Option<BorrowedFd<'_>>,
) -> io::Result<Pid> {
    sys::in_our_place(&mut || {
        let mut kept = vec![socket.as_fd()];
        kept.extend(cgroup);
        let placed = rustix::stdio::dup2_stdin(&stdio.stdin)
            .and_then(|()| rustix::stdio::dup2_stdout(&stdio.stdout))
            .and_then(|()| rustix::stdio::dup2_stderr(&stdio.stderr));
        // Not only on exec: the caller's end of the link must be open in its process alone.
        if placed.is_err() || sys::close_all_but(&kept).is_err() {
            sys::leave(FAILED);
        }
        fail(socket, launch(spec, socket, cgroup, false))
    })
}

pub(crate) fn fail(socket: &OwnedFd, outcome: Result<std::convert::Infallible, LaunchError>) -> ! {
    let Err(error) = outcome;
    let _ = note::send(socket, &Note::Failed(error), &[]);
    sys::leave(FAILED)
}

fn receive(socket: &OwnedFd) -> Result<(LaunchSpec, Option<OwnedFd>), LaunchError> {
    let lost = || LaunchError::new(Stage::Policy, "The launcher stage was started without a policy on fd 0.");
    let (start, mut fds) = note::receive::<Start>(socket, true)
        .at(Stage::Policy, || "The launcher stage cannot read its policy; it is started by creel only")?
        .ok_or_else(lost)?;
    let cgroup = if fds.len() == 3 { fds.pop() } else { None };
    let [policy, stdin] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| lost())?;
    rustix::stdio::dup2_stdin(&stdin).at(Stage::Policy, || "The unit's stdin cannot be put in place")?;
    let mut text = Vec::with_capacity(start.policy_bytes);
    File::from(policy).read_to_end(&mut text).at(Stage::Policy, || "The policy cannot be read")?;
    let spec = serde_json::from_slice(&text)
        .map_err(|e| LaunchError::new(Stage::Policy, format!("The policy is not understood: {e}.")))?;
    Ok((spec, cgroup))
}

fn launch(
    spec: &LaunchSpec,
    socket: &OwnedFd,
    cgroup: Option<BorrowedFd<'_>>,
    in_cgroup: bool,
) -> Result<std::convert::Infallible, LaunchError> {
    let profile = profile::role(spec.role);
    let to_join = cgroup.filter(|_| !in_cgroup);
    if spec.net == Net::Host && spec.role != Role::Egress {
        return Err(LaunchError::new(Stage::Spec, "Only the role egress may have the host's network."));
    }
    let ids = identity::of(spec)?;
    if let Some(ids) = ids {
        identity::own_pipes(ids);
    }
    // Also ends the hold of a terminal the supervisor may have.
    let _ = rustix::process::setsid();
    rustix::process::umask(Mode::from_raw_mode(0o077));
    easier_to_kill(spec.role);
    match spec.level {
        Level::L3 if cgroup.is_none() => {
            Err(LaunchError::new(Stage::Cgroup, "Level L3 needs a cgroup, and the launcher was given none."))
        }
        Level::L3 | Level::L2 => namespaced(spec, profile, socket, ids, (cgroup, in_cgroup)),
        Level::L1 => join(to_join).and_then(|()| super::direct::launch(spec, profile, socket, ids)),
        Level::L0 => join(to_join).and_then(|()| super::direct::open(spec, socket)),
    }
}

/// When the host runs out of memory, a unit goes before the supervisor, and a tool before everybody else.
fn easier_to_kill(role: Role) {
    let path = "/proc/self/oom_score_adj";
    let own: i32 = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let more = match role {
        Role::Tool => 500,
        Role::Plugin | Role::Helper => 400,
        Role::Agent | Role::Channel | Role::HeavyChannel => 300,
        Role::Gateway | Role::Egress => 100,
    };
    // Only a wish: making oneself easier to kill is everybody's right.
    let _ = std::fs::write(path, (own + more).min(1000).to_string());
}

/// Puts this process, which becomes the unit, into the unit's cgroup.
fn join(cgroup: Option<BorrowedFd<'_>>) -> Result<(), LaunchError> {
    let Some(folder) = cgroup else { return Ok(()) };
    let procs = rustix::fs::openat(folder, "cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    procs
        .and_then(|procs| rustix::io::write(&procs, b"0"))
        .map(drop)
        .at(Stage::Cgroup, || "The unit cannot be put into its cgroup")
}

fn namespaced(
    spec: &LaunchSpec,
    profile: &RoleProfile,
    socket: &OwnedFd,
    ids: Option<Ids>,
    (cgroup, in_cgroup): (Option<BorrowedFd<'_>>, bool),
) -> Result<std::convert::Infallible, LaunchError> {
    let program = own_program(spec, profile);
    // Root opens with the host's rights; an ordinary user gains the right to mount only inside.
    let mut opened = ids.map(|ids| views::open_all(spec, program, Some(ids))).transpose()?;
    let laid = match (ids, &mut opened) {
        (Some(ids), Some(opened)) => outer_layer::lay(spec, ids, opened)?,
        _ => Vec::new(),
    };
    let unit = ids.unwrap_or_else(identity::inside);
    let (go, release) = std::io::pipe().at(Stage::Spawn, || "No pipe to the unit's first process")?;
    let wanted = NAMESPACES.iter().filter(|(name, _)| *name != "net" || spec.net != Net::Host);
    let (names, mut flags) =
        wanted.fold((Vec::new(), libc::CLONE_PARENT), |(mut names, flags), (name, flag)| {
            names.push((*name).to_owned());
            (names, flags | flag)
        });
    if cgroup.is_some() {
        // The root of a namespace of cgroups is where its maker is: the unit makes it, in its own.
        flags &= !libc::CLONE_NEWCGROUP;
    }
    // CLONE_PARENT: the unit is the supervisor's own child, and its death signal is the supervisor's.
    let mut cloned = sys::clone(flags, 0, cgroup);
    if cgroup.is_some() && cloned.as_ref().is_err_and(sys::is_absent) {
        // Without clone3 nobody is born in a cgroup: this process goes there first, and its child is born where it is.
        join(cgroup.filter(|_| !in_cgroup))?;
        cloned = sys::clone(flags, 0, None);
    }
    let cloned = cloned.at(Stage::Namespaces, || {
        "The unit's namespaces cannot be made (see `creel doctor`: user namespaces may be forbidden on this host)"
    })?;
    match cloned {
        Cloned::Child => {
            drop(release);
            let inside = Inside { spec, profile, socket, unit, ids, program, grouped: cgroup.is_some() };
            fail(socket, inside.run(&go.into(), names, (opened, laid)))
        }
        Cloned::Parent { pid, pidfd } => {
            drop(go);
            note::send(socket, &Note::Unit { pid }, &[pidfd.as_fd()])
                .at(Stage::Policy, || "The supervisor does not take the unit's pid")?;
            identity::map(pid, unit, ids.is_some())?;
            let mut release = release;
            release.write_all(b"g").at(Stage::Namespaces, || "The unit's first process is gone")?;
            sys::leave(0)
        }
    }
}

/// The side of the launch that is inside the new namespaces.
struct Inside<'a> {
    spec: &'a LaunchSpec,
    profile: &'a RoleProfile,
    socket: &'a OwnedFd,
    unit: Ids,
    ids: Option<Ids>,
    program: Option<&'a Path>,
    /// Whether it is in a cgroup of its own.
    grouped: bool,
}

impl Inside<'_> {
    fn run(
        &self,
        go: &OwnedFd,
        namespaces: Vec<String>,
        (opened, laid): (Option<OpenViews>, Vec<OwnedFd>),
    ) -> Result<std::convert::Infallible, LaunchError> {
        credentials::die_with_parent()?;
        // The first process of a tool keeps this memory.
        sys::forget_environment();
        // While the stage writes the id maps.
        let filter = Some(filter::of_role(self.spec.role)?);
        if rustix::io::read(go, &mut [0]).unwrap_or(0) != 1 {
            // The stage could not write the maps and has said so.
            sys::leave(FAILED);
        }
        if self.grouped {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWCGROUP)
                .at(Stage::Cgroup, || "The unit's namespace of cgroups cannot be made")?;
        }
        if let Some(ids) = self.ids {
            credentials::become_unit(ids)?;
        }
        supervisor_lives(self.socket)?;
        let _ = rustix::process::setsid();
        bound_namespace();
        let listener = self.network()?;
        let opened = match opened {
            Some(opened) => opened,
            None => views::open_all(self.spec, self.program, None)?,
        };
        let layers = root::enter(self.profile, self.spec, self.unit, &opened.views, laid)?;
        let mut gaps = opened.gaps;
        if !self.grouped {
            gaps.push("no cgroup: the memory of several processes together has no limit".to_owned());
        }
        let ports = ports(self.profile, self.spec, listener.as_ref().map(|(_, port)| *port));
        let rules = rules(self.spec, self.profile);
        let last = Last {
            spec: self.spec,
            socket: self.socket,
            listener,
            rules,
            ports,
            filter,
            namespaces,
            gaps,
            layers,
            scratch: None,
        };
        if self.profile.stub {
            with_first_process(last, &first::prepare()?, &Realm::Namespace, || ())
        } else {
            last.run()
        }
    }

    fn network(&self) -> Result<Option<(OwnedFd, u16)>, LaunchError> {
        if self.spec.net != Net::Host {
            network::loopback()?;
        }
        let _ = nix::unistd::sethostname("creel");
        if self.spec.net == Net::Listener { network::listener().map(Some) } else { Ok(None) }
    }
}

/// Splits off the process that becomes the program; this one stays to reap.
pub(crate) fn with_first_process(
    last: Last<'_>,
    signals: &SigSet,
    realm: &Realm,
    at_end: impl FnOnce(),
) -> Result<std::convert::Infallible, LaunchError> {
    let mut last = Some(last);
    // In our memory while we stand still: no page of it is copied. What the child leaves behind in it is not used again.
    let child = sys::in_our_place(&mut || {
        let Some(last) = last.take() else { sys::leave(FAILED) };
        let socket = last.socket;
        let outcome = credentials::die_with_parent().and_then(|()| {
            let _ = rustix::process::setsid();
            // Where its input is a terminal, it is this session's: keys like Ctrl-C become signals, and jobs can be controlled.
            let _ = rustix::process::ioctl_tiocsctty(rustix::stdio::stdin());
            last.run()
        });
        fail(socket, outcome)
    })
    .at(Stage::Spawn, || "The unit's program cannot be given a process")?;
    let _ = credentials::drop_all(matches!(realm, Realm::Namespace));
    first::keep(child, signals, realm, at_end)
}

/// The program of a unit that may execute nothing else, when it lies outside the system folders.
fn own_program<'a>(spec: &'a LaunchSpec, profile: &RoleProfile) -> Option<&'a Path> {
    let program = Path::new(spec.argv.first()?);
    let seen = profile.system.iter().any(|s| program.starts_with(s))
        || spec.fs.iter().any(|v| program.starts_with(&v.at));
    (profile.execute == Execute::Own && program.is_absolute() && !seen).then_some(program)
}

/// The Landlock rules inside the private root: all of it readable, little of it writable.
fn rules(spec: &LaunchSpec, profile: &RoleProfile) -> Rules {
    let mut rules = Rules::default();
    let views_execute = profile.execute == Execute::Views;
    rules.allow("/", if views_execute { Grant::ReadExecute } else { Grant::Read });
    if !views_execute && let Some(program) = spec.argv.first() {
        rules.allow(program, Grant::ReadExecute);
        if let Some(loader) = elf::loader(Path::new(program)) {
            rules.allow(loader, Grant::ReadExecute);
        }
    }
    let (writable, view) = if views_execute {
        (Grant::WriteExecute, Grant::WriteExecuteView)
    } else {
        (Grant::Write, Grant::WriteView)
    };
    let below_tmp = spec.fs.iter().any(|v| v.access == Access::Rw && v.at.starts_with("/tmp"));
    // What a rule grants holds below every mount on the way: a view in /tmp would inherit it.
    rules.allow("/tmp", if below_tmp { view } else { writable });
    rules.allow("/dev", writable);
    if views_execute {
        // Names of threads, own memory limits; what administers the host is read-only below.
        rules.allow("/proc", writable);
    }
    for shown in spec.fs.iter().filter(|v| v.access == Access::Rw) {
        rules.allow(&shown.at, view);
    }
    rules
}

pub(crate) fn ports(profile: &RoleProfile, spec: &LaunchSpec, listener: Option<u16>) -> Ports {
    let extra = &spec.landlock.connect_ports;
    match profile.tcp {
        Tcp::Namespace => Ports::Any,
        Tcp::Host if extra.is_empty() => Ports::Any,
        Tcp::Host => Ports::Connect(extra.clone()),
        Tcp::Listener => Ports::Connect(extra.iter().copied().chain(listener).collect()),
    }
}

/// The death signal is not sent for a parent that died before it was set.
pub(crate) fn supervisor_lives(socket: &OwnedFd) -> Result<(), LaunchError> {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    let gone = fds.iter().any(|f| f.revents().is_some_and(|r| r.contains(PollFlags::POLLHUP)));
    if gone { Err(LaunchError::new(Stage::Session, "The supervisor is gone.")) } else { Ok(()) }
}

/// Forbids further user namespaces below this one and bounds inotify; where /proc/sys is read-only, seccomp alone
/// forbids them.
fn bound_namespace() {
    for (name, value) in [("max_user_namespaces", "0"), ("max_inotify_instances", "32")] {
        let _ = std::fs::write(PathBuf::from("/proc/sys/user").join(name), value);
    }
}

/// What a unit at L2 has of its own; `clone3` gives all of them or fails.
const NAMESPACES: [(&str, libc::c_int); 7] = [
    ("user", libc::CLONE_NEWUSER),
    ("mnt", libc::CLONE_NEWNS),
    ("pid", libc::CLONE_NEWPID),
    ("net", libc::CLONE_NEWNET),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
    ("cgroup", libc::CLONE_NEWCGROUP),
];
