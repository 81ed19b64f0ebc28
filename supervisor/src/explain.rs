//! A sandbox in words: from the spec that is launched, never from what somebody wished for.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use creel_config::plan::{EgressHost, Plan, Unit, UnitKind};
use creel_config::sandbox::Floor;
use creel_ipc::msg::sandbox::{
    DeniedCalls, ExplainParams, Explanation, Limit, Sandboxed, SessionSandbox, Visible,
};
use creel_ipc::msg::tool::ToolRunParams;
use creel_launch::{Access, LaunchSpec, Level, Measured, Net, Role, View, outline};

use crate::cgroup::Controllers;
use crate::clock::now_ms;
use crate::tool::command::{Command, HOME};
use crate::tool::layers::Bound;

const BUILT_IN: &str = "built in";

/// What a spec is for.
#[derive(Debug)]
pub enum Whose<'a> {
    /// A command of an agent.
    Command {
        /// The agent's workspace.
        workspace: &'a Path,
        /// The time it has.
        wall: Duration,
        /// Bytes that are kept of each stream.
        keep: usize,
        /// The folders that it may fill to a limit.
        bounds: &'a [Bound],
    },
    /// A worker, and the hosts it may reach.
    Worker(&'a [EgressHost]),
}

/// What all sandboxes of this machine have in common.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The units.
    pub plan: &'a Plan,
    /// The level at which they are launched.
    pub level: Level,
    /// How it was found.
    pub measured: Option<&'a Measured>,
    /// Of the cgroups that they get.
    pub controllers: Controllers,
}

impl<'a> Ground<'a> {
    /// Explains the commands of an agent (the first one, when none is named): what is known without running any, the
    /// spec of one, which can be measured, and the agent's unit. `compose` makes the command of a request.
    ///
    /// # Errors
    /// A sentence when there is no such agent.
    pub fn explain(
        &self,
        asked: &ExplainParams,
        compose: impl FnOnce(&ToolRunParams) -> Result<Command, String>,
    ) -> Result<(Explanation, Result<LaunchSpec, String>, &'a Unit), String> {
        let agents = || {
            self.plan.units.iter().filter_map(|unit| match &unit.kind {
                UnitKind::Agent { id, workspace, tools, .. } => Some((unit, id.as_str(), workspace, tools)),
                _ => None,
            })
        };
        let wanted = |id: &str| asked.agent.as_ref().is_none_or(|agent| agent == id);
        let Some((unit, id, workspace, tools)) = agents().find(|(_, id, ..)| wanted(id)) else {
            let known: Vec<_> = agents().map(|(_, id, ..)| id).collect();
            let name = asked.agent.as_deref().unwrap_or_default();
            return Err(format!("There is no agent \"{name}\"; there are: {}.", known.join(", ")));
        };
        let params = ToolRunParams {
            run: format!("explain-{}", now_ms()),
            agent: id.to_owned(),
            argv: vec!["true".to_owned()],
            cwd: None,
            env: BTreeMap::new(),
            wall_ms: None,
            session: asked.session.as_ref().map(|session| session.name.clone()),
            main: asked.session.as_ref().is_some_and(|session| session.main),
            known_only: false,
            elevated: false,
            elevated_for: Vec::new(),
        };
        let of = format!("commands of agent:{id}");
        let (mut commands, spec) = match compose(&params) {
            Ok(command) => {
                let Command { wall, keep, bounds, .. } = &command;
                let whose = Whose::Command { workspace, wall: *wall, keep: *keep, bounds };
                let described = describe(&of, &command.spec, &whose, self.controllers);
                (Sandboxed { setup: command.setup.told(), ..described }, Ok(command.spec))
            }
            Err(problem) => {
                (Sandboxed { of, problem: Some(problem.clone()), ..Sandboxed::default() }, Err(problem))
            }
        };
        let session = asked.session.as_ref().map(|session| SessionSandbox {
            key: String::new(),
            main: session.main,
            confined: spec.as_ref().map_or(self.level, |spec: &LaunchSpec| spec.level) > Level::L0,
            scope: tools.scope.word().to_owned(),
            home: spec.as_ref().ok().and_then(home),
        });
        if tools.elevated {
            commands.gaps.push(
                "people whom tools.elevated.allowFrom lists may have commands outside of this sandbox; `creel events` keeps each"
                    .to_owned(),
            );
        }
        let supervision = &self.plan.supervision;
        let of_measured = |sentences: fn(&Measured) -> &Vec<String>| {
            self.measured.map(|measured| sentences(measured).clone()).unwrap_or_default()
        };
        let told = Explanation {
            agent: id.to_owned(),
            session,
            mode: supervision.mode.word().to_owned(),
            floor: match supervision.floor {
                Floor::L1 => Level::L1,
                Floor::L2 => Level::L2,
                Floor::L3 => Level::L3,
            }
            .to_string(),
            level: self.level.to_string(),
            denied: self.measured.map_or(0, |measured| u32::try_from(measured.denied).unwrap_or(u32::MAX)),
            reasons: of_measured(|measured| &measured.reasons),
            remedies: of_measured(|measured| &measured.remedies),
            sandboxes: vec![commands],
        };
        Ok((told, spec, unit))
    }
}

/// The folder that a command of this spec has as its home, where one is kept.
fn home(spec: &LaunchSpec) -> Option<String> {
    let at = spec.env.get("HOME")?;
    let kept = spec.fs.iter().find(|view| view.at == Path::new(at))?;
    Some(kept.path.display().to_string())
}

/// Everything that can be said of a spec. `controllers`: of the cgroup it will be in.
pub fn describe(of: &str, spec: &LaunchSpec, whose: &Whose<'_>, controllers: Controllers) -> Sandboxed {
    let role = outline(spec.role, spec.level, spec.net);
    let calls = |calls: creel_launch::Calls| DeniedCalls {
        class: calls.class,
        errno: calls.errno.to_owned(),
        names: calls.names,
    };
    Sandboxed {
        of: of.to_owned(),
        isolation: None,
        problem: None,
        visible: visible(spec, whose, &role.system, role.shm_bytes),
        network: network(spec, whose),
        limits: limits(spec, whose, controllers),
        calls: role.calls.into_iter().map(calls).collect(),
        setup: None,
        variables: spec.env.keys().cloned().collect(),
        gaps: gaps(spec, whose, controllers),
    }
}

fn visible(spec: &LaunchSpec, whose: &Whose<'_>, system: &[&str], shm: u64) -> Vec<Visible> {
    let row = |path: &str, access: &str, from: &str, note: Option<String>| Visible {
        path: path.to_owned(),
        access: access.to_owned(),
        from: from.to_owned(),
        note,
    };
    if spec.level == Level::L0 {
        return vec![row("/", "rw", "sandbox.mode", Some("everything that its user may see".to_owned()))];
    }
    let mut all = Vec::new();
    for view in &spec.fs {
        let from = match whose {
            Whose::Command { workspace, .. } if view.path == *workspace || is_same(&view.path, workspace) => {
                "sandbox.workspaceAccess"
            }
            Whose::Command { .. } if view.at == Path::new(HOME) => "sandbox.scope",
            Whose::Command { .. } => "sandbox.binds",
            Whose::Worker(_) => BUILT_IN,
        };
        let writable = view.access == Access::Rw;
        let mut notes = Vec::new();
        if view.path != view.at {
            notes.push(format!("{} of the host", view.path.display()));
        }
        if writable && spec.protect_git {
            notes.push("its .git is read-only".to_owned());
        }
        if writable && !spec.protect.is_empty() {
            let count = spec.protect.len();
            notes.push(format!("{count} names in it, such as .git/hooks, are not its to change"));
        }
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        all.push(row(&view.at.display().to_string(), if writable { "rw" } else { "ro" }, from, note));
    }
    all.extend(
        system.iter().filter(|path| Path::new(path).exists()).map(|path| row(path, "ro", BUILT_IN, None)),
    );
    if spec.level >= Level::L2 {
        all.push(row("/tmp", "private", BUILT_IN, Some(bytes(spec.tmp_bytes))));
        if shm > 0 {
            all.push(row("/dev/shm", "private", BUILT_IN, Some(bytes(shm))));
        }
        all.push(row("/proc", "private", BUILT_IN, Some("its own processes".to_owned())));
        all.push(row("/dev", "private", BUILT_IN, Some("null, zero, full, random, urandom".to_owned())));
    } else if spec.role == Role::Tool {
        all.push(row(
            "$TMPDIR",
            "private",
            BUILT_IN,
            Some("a folder of the run, in place of /tmp".to_owned()),
        ));
    }
    all
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok().zip(other.canonicalize().ok()).is_some_and(|(one, other)| one == other)
}

fn network(spec: &LaunchSpec, whose: &Whose<'_>) -> Vec<String> {
    if spec.level == Level::L0 {
        return vec!["the network of the host (sandbox.mode)".to_owned()];
    }
    let mut all = match (spec.net, whose) {
        (Net::None, Whose::Command { .. }) => vec!["none (sandbox.network)".to_owned()],
        (Net::None, Whose::Worker(_)) => vec!["none".to_owned()],
        (Net::Listener, Whose::Command { .. }) => {
            vec!["through egress alone, by its allow-list (sandbox.network)".to_owned()]
        }
        (Net::Listener, Whose::Worker(_)) => vec!["through egress alone, to the hosts below".to_owned()],
        (Net::Host, _) => vec!["the host's: this is the one way out".to_owned()],
    };
    if let Whose::Worker(hosts) = whose {
        let shown = |host: &EgressHost| {
            let private = if host.private { ", though private" } else { "" };
            format!("{}:{}{private}", host.host, host.port)
        };
        all.extend(hosts.iter().map(shown));
        if hosts.is_empty() && spec.net == Net::Listener {
            all.push("no host at all".to_owned());
        }
    }
    all
}

fn limits(spec: &LaunchSpec, whose: &Whose<'_>, controllers: Controllers) -> Vec<Limit> {
    let limit = |what: &str, value: Option<String>, by: &str, from: &str| Limit {
        what: what.to_owned(),
        by: if value.is_some() { by.to_owned() } else { "none".to_owned() },
        value: value.unwrap_or_else(|| "no limit".to_owned()),
        from: from.to_owned(),
    };
    let who = |controller: bool, otherwise: &'static str| if controller { "cgroup" } else { otherwise };
    let (memory, tasks, cpu) = match whose {
        Whose::Command { .. } => ("sandbox.memory", "sandbox.pids", "sandbox.cpuPercent"),
        Whose::Worker(_) if matches!(spec.role, Role::Agent | Role::Channel) => {
            ("supervisor.workerMemory", "supervisor.workerTasks", "supervisor.workerCpuPercent")
        }
        Whose::Worker(_) => (BUILT_IN, BUILT_IN, BUILT_IN),
    };
    let own = &spec.limits;
    let mut all = vec![
        limit("memory", own.data.map(bytes), who(controllers.memory, "rlimit"), memory),
        limit(
            "processes and threads",
            own.nproc.map(|n| n.to_string()),
            who(controllers.pids, "rlimit"),
            tasks,
        ),
        limit("processors", own.cpu_percent.map(|n| format!("{n} %")), who(controllers.cpu, "none"), cpu),
        limit("size of a file", own.fsize.map(bytes), "rlimit", BUILT_IN),
        limit("open files", own.nofile.map(|n| n.to_string()), "rlimit", BUILT_IN),
        limit("core dumps", Some("none".to_owned()), "rlimit", BUILT_IN),
    ];
    if spec.level >= Level::L2 {
        all.push(limit("size of /tmp", Some(bytes(spec.tmp_bytes)), "tmpfs", BUILT_IN));
    }
    if let Whose::Command { wall, keep, bounds, .. } = whose {
        for bound in *bounds {
            let (at, by) = (bound.at.display(), if bound.by_quota { "quota" } else { "overlay" });
            let inodes = bound.inodes.map(|n| n.to_string());
            all.push(limit(&format!("bytes in {at}"), bound.bytes.map(bytes), by, "sandbox.disk"));
            all.push(limit(&format!("files in {at}"), inodes, by, "sandbox.inodes"));
        }
        let wall = format!("{} s", wall.as_secs());
        all.push(limit("time", Some(wall), "supervisor", "sandbox.wallSeconds"));
        let keep = bytes(u64::try_from(*keep).unwrap_or(u64::MAX));
        all.push(limit("output that is kept", Some(keep), "supervisor", "sandbox.outputBytes"));
    }
    all
}

/// What the launcher does not report, because it concerns more than one process.
fn gaps(spec: &LaunchSpec, whose: &Whose<'_>, controllers: Controllers) -> Vec<String> {
    let mut gaps = Vec::new();
    if spec.limits.cpu_percent.is_some() && !controllers.cpu {
        gaps.push(
            "the limit on processors is not enforced: there is no cgroup with the controller cpu".to_owned(),
        );
    }
    if let Whose::Command { bounds, .. } = whose {
        let bounded = |view: &&View| bounds.iter().any(|bound| bound.at == view.at);
        let open = spec.fs.iter().filter(|view| view.access == Access::Rw && !bounded(view));
        let open: Vec<String> = open.map(|view| view.at.display().to_string()).collect();
        if !open.is_empty() {
            gaps.push(format!(
                "the bytes and files in {} have no limit but the disk's (sandbox.disk, sandbox.inodes)",
                open.join(", ")
            ));
        }
        for bound in bounds.iter().filter(|bound| !bound.by_quota) {
            let why = bound.why_not.as_deref().map_or_else(String::new, |why| format!(", because {why}"));
            gaps.push(format!(
                "sandbox.disk and sandbox.inodes bound commands in {}, not the agent's own file tools; what a command changes is kept \
                 in memory until it ends, at most sandbox.memory of it: by an overlay{why}",
                bound.at.display()
            ));
        }
    }
    gaps
}

fn bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fitting = units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    fitting.map_or_else(|| format!("{bytes} B"), |(unit, name)| format!("{} {name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use creel_launch::View;

    use super::*;

    fn command(spec: &LaunchSpec, controllers: Controllers) -> Sandboxed {
        bounded(spec, controllers, &[])
    }

    fn bounded(spec: &LaunchSpec, controllers: Controllers, bounds: &[Bound]) -> Sandboxed {
        let whose = Whose::Command {
            workspace: "/home/a/work".as_ref(),
            wall: Duration::from_secs(30),
            keep: 1 << 20,
            bounds,
        };
        describe("commands of agent:main", spec, &whose, controllers)
    }

    fn spec() -> LaunchSpec {
        let mut spec = LaunchSpec::new("tool:x", Role::Tool, vec!["true".into()]);
        spec.fs = vec![View::rw("/home/a/work"), View::ro("/srv/data")];
        spec.limits.cpu_percent = Some(150);
        spec
    }

    #[test]
    fn each_path_and_each_limit_has_its_key() {
        let said = command(&spec(), Controllers { memory: true, pids: true, cpu: false });
        let of = |path: &str| said.visible.iter().find(|seen| seen.path == path).unwrap();
        assert_eq!(
            (of("/home/a/work").access.as_str(), of("/home/a/work").from.as_str()),
            ("rw", "sandbox.workspaceAccess")
        );
        assert_eq!((of("/srv/data").access.as_str(), of("/srv/data").from.as_str()), ("ro", "sandbox.binds"));
        let by = |what: &str| said.limits.iter().find(|limit| limit.what == what).unwrap().by.clone();
        assert_eq!([by("memory"), by("processors"), by("size of a file")], ["cgroup", "none", "rlimit"]);
        assert!(said.gaps[0].contains("controller cpu"), "{:?}", said.gaps);
        assert!(said.network[0].contains("sandbox.network"));
    }

    #[test]
    fn a_bounded_workspace_is_told_with_its_keys_and_the_rest_as_a_gap() {
        let mut spec = spec();
        spec.fs.push(View::rw("/home/creel"));
        let bound = Bound {
            folder: "/home/a/work".into(),
            at: "/home/a/work".into(),
            bytes: Some(1 << 30),
            inodes: None,
            by_quota: false,
            why_not: Some("the moon is full".to_owned()),
        };
        let by_quota = Bound { by_quota: true, why_not: None, ..bound.clone() };
        let kept = bounded(&spec, Controllers::default(), &[by_quota]);
        let of = |what: &str| kept.limits.iter().find(|limit| limit.what == what).unwrap();
        assert_eq!(
            [of("bytes in /home/a/work").by.as_str(), &of("files in /home/a/work").by],
            ["quota", "none"]
        );
        assert!(!kept.gaps.iter().any(|gap| gap.contains("/home/a/work")), "{:?}", kept.gaps);
        let said = bounded(&spec, Controllers::default(), &[bound]);
        let of = |what: &str| said.limits.iter().find(|limit| limit.what == what).unwrap();
        let bytes = of("bytes in /home/a/work");
        assert_eq!(
            [bytes.value.as_str(), bytes.by.as_str(), bytes.from.as_str()],
            ["1 GiB", "overlay", "sandbox.disk"]
        );
        assert_eq!(of("files in /home/a/work").by, "none");
        assert!(said.gaps.iter().any(|gap| gap.contains("in /home/creel have no limit")), "{:?}", said.gaps);
        assert!(!said.gaps.iter().any(|gap| gap.contains("in /home/a/work have no")), "{:?}", said.gaps);
        let overlay = said.gaps.iter().find(|gap| gap.contains("/home/a/work")).unwrap();
        assert!(overlay.ends_with("an overlay, because the moon is full"), "{overlay}");
    }

    #[test]
    fn without_a_sandbox_nothing_is_promised() {
        let open = LaunchSpec { level: Level::L0, ..spec() };
        let said = command(&open, Controllers::default());
        assert_eq!((said.visible.len(), said.calls.len()), (1, 0));
        assert!(said.network[0].contains("sandbox.mode"));
    }

    #[test]
    fn sizes_are_told_in_the_largest_whole_unit() {
        assert_eq!([1 << 30, 512 << 20, 1536, 1000].map(bytes), ["1 GiB", "512 MiB", "1536 B", "1000 B"]);
    }
}
