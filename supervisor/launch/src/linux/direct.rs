//! Level 1, where user namespaces are forbidden: Landlock, seccomp and limits on the host's own view. What this form cannot
//! express it refuses. And level 0, which the operator must have written.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::SigSet;

use super::first::{self, Realm};
use super::last::Last;
use super::ruleset::{Grant, NO_LANDLOCK, Ports, Rules};
use super::stage::{ports, supervisor_lives, with_first_process};
use super::{credentials, elf, filter, network, scratch, sys};
use crate::error::{At as _, LaunchError, Stage};
use crate::profile::{self, Execute, RoleProfile};
use crate::spec::{Access, Ids, LaunchSpec, Net};

/// Launches at L1.
pub(crate) fn launch(
    spec: &LaunchSpec,
    profile: &RoleProfile,
    socket: &OwnedFd,
    ids: Option<Ids>,
) -> Result<std::convert::Infallible, LaunchError> {
    let mut gaps = expressible(spec, ids, sys::landlock_abi())?;
    if let Some(ids) = ids {
        credentials::become_unit(ids)?;
    }
    credentials::die_with_parent()?;
    supervisor_lives(socket)?;
    let listener = if spec.net == Net::Listener { Some(network::listener()?) } else { None };
    let mut classes: Vec<&str> = profile.classes.iter().map(String::as_str).collect();
    classes.push("no_shared_ipc");
    match spec.net {
        Net::None => classes.push("no_socket"),
        Net::Listener => classes.push("stream_only"),
        Net::Host => {}
    }
    let filter = Some(filter::program(profile::seccomp(), &classes)?);
    let first = if profile.stub { Some(first_process(socket)?) } else { None };
    // From here on the supervisor's death is a signal that waits for the first process: what is made now is taken away.
    let (scratch, lock) = if profile.stub { Some(scratch::make()?) } else { None }.unzip();
    let ports = match ports(profile, spec, listener.as_ref().map(|(_, port)| *port)) {
        // There is no namespace here to do it.
        Ports::Any if spec.net != Net::Host => Ports::Connect(Vec::new()),
        other => other,
    };
    gaps.push(
        "no namespaces: names, sizes and times of every file are visible; /tmp is not private".to_owned(),
    );
    gaps.push(
        "no namespaces: background processes are ended by their first process, not by the kernel".to_owned(),
    );
    let rules = rules(spec, profile, scratch.as_deref());
    let made: Option<PathBuf> = scratch.clone();
    let clean = || {
        if let Some(folder) = &made {
            let _ = std::fs::remove_dir_all(folder);
        }
    };
    let (namespaces, layers) = (Vec::new(), Vec::new());
    let last = Last { spec, socket, listener, rules, ports, filter, namespaces, gaps, layers, scratch };
    match first {
        Some(signals) => {
            with_first_process(last, &signals, &Realm::Subreaper(lock), clean).inspect_err(|_| clean())
        }
        None => last.run(),
    }
}

/// Makes this process the first one of the unit, which takes away whatever the unit leaves.
fn first_process(socket: &OwnedFd) -> Result<SigSet, LaunchError> {
    let signals = first::prepare()?;
    credentials::sweep_with_parent()?;
    supervisor_lives(socket)?;
    nix::sys::prctl::set_child_subreaper(true)
        .at(Stage::Session, || "The first process cannot become a subreaper")?;
    Ok(signals)
}

/// Launches at L0: limits and a session, nothing else.
pub(crate) fn open(spec: &LaunchSpec, socket: &OwnedFd) -> Result<std::convert::Infallible, LaunchError> {
    credentials::die_with_parent()?;
    supervisor_lives(socket)?;
    let listener = if spec.net == Net::Listener { Some(network::listener()?) } else { None };
    Last {
        spec,
        socket,
        listener,
        rules: Rules::default(),
        ports: Ports::Any,
        filter: None,
        namespaces: Vec::new(),
        gaps: vec!["no sandbox: the operator wrote mode \"off\"".to_owned()],
        layers: Vec::new(),
        scratch: None,
    }
    .run()
}

/// Refuses what needs namespaces; returns the gaps of this kernel's Landlock.
fn expressible(spec: &LaunchSpec, ids: Option<Ids>, abi: i32) -> Result<Vec<String>, LaunchError> {
    let refuse = |what: String| {
        Err(LaunchError::new(
            Stage::Spec,
            format!("{what} That needs level L2 (user namespaces); see `creel doctor`."),
        ))
    };
    if abi <= 0 {
        return Err(LaunchError::new(Stage::Landlock, NO_LANDLOCK));
    }
    if let Some(layer) = spec.layers.first() {
        let shown = layer.at.display();
        return refuse(format!(
            "At level L1 the bytes and files of {shown} cannot be bounded (sandbox.disk, sandbox.inodes): take these keys out, or make \
             the workspace read-only (sandbox.workspaceAccess)."
        ));
    }
    let mut gaps = Vec::new();
    for view in &spec.fs {
        let shown = view.path.display();
        if view.at != view.path {
            return refuse(format!("At level L1 the view {shown} cannot appear at {}.", view.at.display()));
        }
        if view.access == Access::Ro {
            continue;
        }
        let there = |name: &&str| view.path.join(name).symlink_metadata().is_ok();
        if (spec.protect_git || spec.protect.iter().any(|name| name.starts_with(".git/"))) && there(&".git") {
            return refuse(format!("At level L1 the .git of the writable view {shown} cannot be protected."));
        }
        let open: Vec<&str> = spec.protect.iter().map(String::as_str).filter(there).collect();
        if !open.is_empty() {
            gaps.push(format!("no namespaces: {} of {shown} can be changed", open.join(", ")));
        }
        let owner = std::fs::metadata(&view.path).map_or(0, |m| m.uid());
        if let Some(ids) = ids
            && owner != ids.uid
        {
            return refuse(format!(
                "At level L1 the writable view {shown} must belong to the unit's uid {}, not to {owner}.",
                ids.uid
            ));
        }
    }
    if spec.net == Net::Listener && spec.role.is_foreign() {
        return refuse(
            "At level L1 a tool, a plugin or a helper program cannot have network access.".to_owned(),
        );
    }
    match abi {
        6.. => {}
        4..=5 => gaps.push(format!("Landlock ABI {abi} < 6: the unit can signal processes of the same uid")),
        3 if spec.net == Net::None => {
            gaps.push(format!("Landlock ABI {abi} < 6: the unit can signal processes of the same uid"));
        }
        _ => {
            return refuse(format!(
                "Level L1 needs Landlock ABI 6 (4 for networked, 3 for other units); this kernel has {abi}."
            ));
        }
    }
    if spec.net == Net::Listener {
        gaps.push("L1 network: the one allowed port is allowed on every address".to_owned());
        gaps.push("L1 network: any local process can connect to the unit's listener".to_owned());
    }
    Ok(gaps)
}

fn rules(spec: &LaunchSpec, profile: &RoleProfile, scratch: Option<&Path>) -> Rules {
    let mut rules = Rules::default();
    let (read, write) = match profile.execute {
        Execute::Views => (Grant::ReadExecute, Grant::WriteExecuteView),
        Execute::Own => (Grant::Read, Grant::WriteView),
    };
    for path in profile.system.iter().chain(&profile.etc) {
        rules.allow(path, read);
    }
    if profile.execute == Execute::Own
        && let Some(program) = spec.argv.first()
    {
        rules.allow(program, Grant::ReadExecute);
        if let Some(loader) = elf::loader(Path::new(program)) {
            rules.allow(loader, Grant::ReadExecute);
        }
    }
    for device in ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"] {
        rules.allow(device, Grant::Write);
    }
    for view in &spec.fs {
        rules.allow(&view.path, if view.access == Access::Rw { write } else { read });
    }
    if let Some(scratch) = scratch {
        rules.allow(scratch, Grant::WriteExecute);
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Level, Role, View};

    fn spec(role: Role) -> LaunchSpec {
        LaunchSpec { level: Level::L1, ..LaunchSpec::new("tool:x", role, vec!["true".into()]) }
    }

    #[test]
    fn what_level_1_cannot_do_is_refused_by_name() {
        let mut moved = spec(Role::Tool);
        moved.fs.push(View { path: "/usr".into(), at: "/opt".into(), access: Access::Ro });
        assert!(expressible(&moved, None, 7).unwrap_err().sentence.contains("cannot appear at /opt"));

        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        let mut git = spec(Role::Tool);
        git.fs.push(View::rw(dir.path()));
        assert!(expressible(&git, None, 7).unwrap_err().sentence.contains(".git"));

        let mut bounded = spec(Role::Tool);
        bounded.layers.push(crate::Layer { at: "/w".into(), bytes: Some(1), inodes: None });
        let told = expressible(&bounded, None, 7).unwrap_err().sentence;
        assert!(told.contains("sandbox.disk") && told.contains("creel doctor"), "{told}");

        let networked = LaunchSpec { net: Net::Listener, ..spec(Role::Tool) };
        assert!(expressible(&networked, None, 7).is_err());
        assert!(expressible(&spec(Role::Tool), None, 2).unwrap_err().sentence.contains("ABI"));
    }

    #[test]
    fn the_gaps_of_older_kernels_are_named() {
        assert!(expressible(&spec(Role::Tool), None, 6).unwrap().is_empty());
        assert_eq!(expressible(&spec(Role::Tool), None, 4).unwrap().len(), 1);
        let networked = LaunchSpec { net: Net::Listener, ..spec(Role::Channel) };
        assert_eq!(expressible(&networked, None, 6).unwrap().len(), 2);
        assert!(expressible(&networked, None, 3).is_err());
    }
}
