//! From a unit of the plan to the spec of its process.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use creel_config::operation::LogLevel;
use creel_config::plan::{Unit, UnitKind, UnitName};
use creel_config::{Env, Paths};
use creel_ipc::hello::Role;
use creel_ipc::msg::egress::{EgressTerms, HostRule};
use creel_launch::{LaunchSpec, Level, Net, View};

use crate::logs::file::plain;
use crate::place;
use crate::tool::quota::Quotas;
use crate::uids::Uids;

/// Where the binaries of the units are: never on `$PATH`.
#[derive(Debug, Clone)]
pub struct Binaries {
    folders: Vec<PathBuf>,
}

impl Binaries {
    /// `CREEL_LIBEXEC`, else beside the running binary or in its `../libexec/creel`.
    ///
    /// # Errors
    /// When the running binary cannot be found.
    pub fn find(env: &Env) -> io::Result<Self> {
        if let Some(folder) = env.get("CREEL_LIBEXEC").filter(|folder| !folder.is_empty()) {
            return Ok(Self { folders: vec![std::path::absolute(folder)?] });
        }
        let own = std::fs::read_link("/proc/self/exe").or_else(|_no_proc| std::env::current_exe())?;
        let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
        let libexec = beside.join("../libexec/creel");
        Ok(Self { folders: vec![beside, libexec] })
    }

    /// The path of a program; where there is none, the path at which it should be.
    pub fn path(&self, name: &str) -> PathBuf {
        let mut places = self.folders.iter().map(|folder| folder.join(name));
        let first = places.next().unwrap_or_else(|| PathBuf::from("/").join(name));
        if first.exists() {
            return first;
        }
        places.find_map(|place| place.canonicalize().ok()).unwrap_or(first)
    }
}

/// What every launch of this supervisor has in common.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The folders.
    pub paths: Paths,
    /// The file that the gateway reads.
    pub config_file: PathBuf,
    /// The programs.
    pub binaries: Binaries,
    /// The measured level.
    pub level: Level,
    /// What units log.
    pub log_level: LogLevel,
    /// Variables of the supervisor that every unit gets too: [`PASSED_ON`], where they are set.
    pub passed_on: Env,
    /// Who units are.
    pub uids: Rc<Uids>,
    /// The limits of folders that file systems keep.
    pub quotas: Quotas,
}

/// Switches for development that units read themselves. None of them is a secret.
const PASSED_ON: [&str; 4] =
    ["CREEL_CHAOS_HASTY", "CREEL_CHAOS_NO_FENCE", "CREEL_DEMO_PACE_MS", "RUST_BACKTRACE"];

/// The variables of this environment that units get.
pub fn passed_on(env: &Env) -> Env {
    let set = |name: &&str| env.get(*name).map(|value| ((*name).to_owned(), value.clone()));
    PASSED_ON.iter().filter_map(set).collect()
}

/// What a unit of the plan is for.
pub fn role(unit: &Unit) -> Role {
    match &unit.kind {
        UnitKind::Gateway { .. } => Role::Gateway,
        UnitKind::Egress => Role::Egress,
        UnitKind::Agent { .. } => Role::Agent,
        UnitKind::Channel { .. } => Role::Channel,
    }
}

/// The programs of all units.
pub const PROGRAMS: [&str; 4] = ["creel-gateway", "creel-egress", "creel-agent", "creel-channel"];

/// The program of a unit.
pub fn program(role: Role) -> &'static str {
    match role {
        Role::Gateway => "creel-gateway",
        Role::Egress => "creel-egress",
        Role::Agent | Role::Tool => "creel-agent",
        Role::Channel => "creel-channel",
    }
}

/// The spec of a unit's next incarnation. Makes the folders that belong to it.
///
/// # Errors
/// A folder that cannot be made.
pub fn spec(unit: &Unit, ground: &Ground) -> io::Result<LaunchSpec> {
    let role = role(unit);
    let name = unit.name.to_string();
    let program = ground.binaries.path(program(role));
    let argv = vec![program.to_string_lossy().into_owned()];
    let mut spec = LaunchSpec::new(name.clone(), launch_role(role), argv);
    spec.level = ground.level;
    spec.ids = ground.uids.of(&name)?;
    spec.env = ground.passed_on.clone();
    spec.env.extend([
        ("CREEL_UNIT".to_owned(), name.clone()),
        ("CREEL_LOG".to_owned(), ground.log_level.word().to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    match &unit.kind {
        UnitKind::Gateway { database, .. } => gateway_views(&mut spec, ground, database)?,
        UnitKind::Egress => {
            spec.net = Net::Host;
            let folder = access_folder(&ground.paths);
            place::granted(&folder)?;
            spec.fs.push(View::rw(folder));
        }
        UnitKind::Agent { workspace, dir, .. } => {
            for folder in [workspace, dir] {
                place::granted(folder)?;
                if ground.level > Level::L0 {
                    ground.uids.give(folder, &ground.paths.home, spec.ids);
                } else {
                    ground.uids.take(folder, &ground.paths.home, spec.ids);
                }
                spec.fs.push(View::rw(folder));
            }
            worker_views(&mut spec, ground, &name)?;
        }
        UnitKind::Channel { .. } => worker_views(&mut spec, ground, &name)?,
    }
    if let Some(limits) = unit.limits {
        spec.limits.data = Some(limits.memory);
        spec.limits.nproc = Some(u64::from(limits.tasks));
        spec.limits.cpu_percent = limits.cpu_percent;
    }
    Ok(spec)
}

/// A way out, and where files are exchanged with the gateway: `in/` to read, `out/` to write. To the gateway both are
/// part of the state, as `blobs/<unit>`.
fn worker_views(spec: &mut LaunchSpec, ground: &Ground, name: &str) -> io::Result<()> {
    spec.net = Net::Listener;
    let blobs = ground.paths.state().join("blobs").join(plain(name));
    let (inward, outward) = (blobs.join("in"), blobs.join("out"));
    place::private(&inward)?;
    place::private(&outward)?;
    spec.fs.extend([View::ro(inward), View::rw(outward)]);
    spec.env.insert("CREEL_BLOB_DIR".to_owned(), blobs.to_string_lossy().into_owned());
    Ok(())
}

/// The home to read (the configuration and what it includes), the state to write.
fn gateway_views(spec: &mut LaunchSpec, ground: &Ground, database: &Path) -> io::Result<()> {
    let paths = &ground.paths;
    let state = paths.state();
    place::private(&state)?;
    spec.fs.push(View::ro(&paths.home));
    let outside = |path: &Path| !path.starts_with(&paths.home);
    if let Some(folder) = ground.config_file.parent().filter(|folder| outside(folder) && folder.is_dir()) {
        // The folder, not the file: a file that is replaced would stay the old one inside.
        spec.fs.push(View::ro(folder));
    }
    spec.fs.push(View::rw(&state));
    if let Some(folder) = database.parent().filter(|folder| !folder.starts_with(&state)) {
        place::private(folder)?;
        spec.fs.push(View::rw(folder));
    }
    Ok(())
}

/// The launcher's word for a role.
pub fn launch_role(role: Role) -> creel_launch::Role {
    match role {
        Role::Gateway => creel_launch::Role::Gateway,
        Role::Egress => creel_launch::Role::Egress,
        Role::Agent => creel_launch::Role::Agent,
        Role::Channel => creel_launch::Role::Channel,
        Role::Tool => creel_launch::Role::Tool,
    }
}

/// What egress is told about a unit: its hosts.
pub fn rules(unit: &Unit) -> Vec<HostRule> {
    unit.egress.iter().cloned().map(HostRule::from).collect()
}

/// What egress is told about a unit: all else.
pub fn terms(unit: &Unit) -> EgressTerms {
    let key = match &unit.name {
        UnitName::Channel { channel, account } => format!("`channels.{channel}.accounts.{account}`"),
        _ => "`models.providers` and `egress.allow`".to_owned(),
    };
    EgressTerms { key, account: None, budget: unit.budget.clone() }
}

/// What egress is told about the commands of an agent; `None` for other units.
pub fn tool_reach(unit: &Unit) -> Option<(Vec<HostRule>, EgressTerms)> {
    let UnitKind::Agent { id, tool_hosts, .. } = &unit.kind else { return None };
    let terms = EgressTerms {
        key: "`sandbox.allow` (with `sandbox.network: \"allow-list\"`)".to_owned(),
        account: Some(format!("tools:{id}")),
        budget: unit.budget.clone(),
    };
    Some((tool_hosts.iter().cloned().map(HostRule::from).collect(), terms))
}

/// The folder of the access log, which egress writes.
pub fn access_folder(paths: &Paths) -> PathBuf {
    paths.logs().join("egress")
}

/// The access log.
pub fn access_log(paths: &Paths) -> PathBuf {
    access_folder(paths).join("access.ndjson")
}

#[cfg(test)]
mod tests {
    use creel_config::{Config, Found, Overrides};

    use super::*;

    #[test]
    fn a_worker_sees_its_own_folders_and_the_gateway_writes_only_state() {
        let home = tempfile::tempdir().unwrap();
        let overrides = Overrides { home: Some(home.path().to_owned()), ..Overrides::default() };
        let paths = Paths::compose(&overrides, None, None).unwrap();
        let plan = Config::default().plan(&paths, &Found::default());
        let ground = Ground {
            config_file: paths.config.clone(),
            quotas: Quotas::of(&paths.state()),
            paths,
            binaries: Binaries { folders: vec![PathBuf::from("/opt/creel")] },
            level: Level::L2,
            log_level: LogLevel::Info,
            passed_on: Env::new(),
            uids: Rc::default(),
        };
        let views = |name: &str| -> Vec<(String, creel_launch::Access)> {
            let unit = plan.units.iter().find(|unit| unit.name.to_string() == name).unwrap();
            let spec = spec(unit, &ground).unwrap();
            let shown = |path: &Path| path.strip_prefix(home.path()).unwrap().display().to_string();
            spec.fs.iter().map(|view| (shown(&view.path), view.access)).collect()
        };
        use creel_launch::Access::{Ro, Rw};
        let own = |list: &[(&str, creel_launch::Access)]| -> Vec<(String, creel_launch::Access)> {
            list.iter().map(|(path, access)| ((*path).to_owned(), *access)).collect()
        };
        assert_eq!(views("gateway"), own(&[("", Ro), ("state", Rw)]));
        assert_eq!(views("egress"), own(&[("logs/egress", Rw)]));
        let (inward, outward) = ("state/blobs/agent:main/in", "state/blobs/agent:main/out");
        assert_eq!(
            views("agent:main"),
            own(&[("workspace", Rw), ("agents/main", Rw), (inward, Ro), (outward, Rw)])
        );
    }
}
