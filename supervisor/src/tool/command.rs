//! From a request to the spec of a tool run: the operator's policy decides, the request only fills it in.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use creel_config::Paths;
use creel_config::sandbox::{SandboxMode, SandboxScope, ToolNetwork, ToolPolicy, WorkspaceAccess};
use creel_ipc::limits::MAX_TOOL_STREAM;
use creel_ipc::msg::tool::ToolRunParams;
use creel_ipc::protected;
use creel_launch::quota::Limit;
use creel_launch::tool::{Foreground, WorkspaceAccess as Shown, spec};
use creel_launch::{Access, LaunchError, LaunchSpec, Level, Net, View};
use serde::{Deserialize, Serialize};

use super::background::Owner;
use super::binds::{self, BindError};
use super::ends::Input;
use super::homes;
use super::layers::Bound;
use super::leavings::Look;
use super::quota::Quotas;
use super::setup::Preparation;
use crate::place;

/// One command, ready to be launched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    /// The spec.
    pub spec: LaunchSpec,
    /// The time it has.
    pub wall: Duration,
    /// Bytes that are kept of each stream.
    pub keep: usize,
    /// The agent whose way out it has, if it has one.
    #[serde(default)]
    pub reaches: Option<String>,
    /// Where its workspace is, when it may write there, and where what it leaves goes.
    #[serde(default)]
    pub writes: Option<Writes>,
    /// The same for the folders of the operator that it may write.
    #[serde(default)]
    pub writes_binds: Vec<Writes>,
    /// Folders that it may fill to a limit.
    #[serde(default)]
    pub bounds: Vec<Bound>,
    /// The folder of the host that it has as its home, if that is kept.
    #[serde(default)]
    pub home: Option<PathBuf>,
    /// Where its input comes from.
    #[serde(default)]
    pub input: Input,
    /// Whose it is, when nobody waits for it.
    #[serde(default)]
    pub background: Option<Owner>,
    /// What has to be done before.
    #[serde(default)]
    pub setup: Preparation,
}

/// A folder that a run may write: a workspace, or one of the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writes {
    /// The folder.
    pub workspace: PathBuf,
    /// The folder of quarantined things.
    pub quarantine: PathBuf,
    /// The agent.
    pub agent: String,
    /// The run.
    pub run: String,
    /// Whether it is one of the operator's.
    #[serde(default)]
    pub bind: bool,
}

impl Writes {
    /// What is to be looked at afterwards, if the run starts now.
    pub fn look(&self) -> Look {
        let look = Look::from_now(&self.workspace, self.quarantine.clone(), &self.agent, &self.run);
        Look { bind: self.bind, ..look }
    }
}

/// Why a request is not even tried.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nothing to run.
    #[error("The command is empty; give at least a program in `argv`.")]
    Empty,
    /// Nobody vouched for it.
    #[error(
        "A command runs outside of the sandbox only when tools.elevated lists everybody whom its turn answers."
    )]
    NotElevated,
    /// A text that no process can be given.
    #[error("The command or its environment contains a NUL byte or a variable name with `=`; take it out.")]
    Unusable,
    /// A working directory elsewhere.
    #[error("The working directory {0:?} leaves the workspace; give a relative path without `..`.")]
    Outside(String),
    /// A folder of the policy is not there.
    #[error("{0}")]
    Folder(#[from] LaunchError),
    /// A bind of the policy is refused.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The home of the runs cannot be made.
    #[error("The home folder of the sandbox cannot be made: {0}. The operator must look after it.")]
    Home(std::io::Error),
}

/// Where the commands of one agent run.
#[derive(Debug)]
pub struct Site<'a> {
    /// Its workspace.
    pub workspace: &'a Path,
    /// What the operator allows.
    pub policy: &'a ToolPolicy,
    /// The measured level.
    pub level: Level,
    /// The folders of Creel.
    pub paths: &'a Paths,
    /// The workspaces of all agents.
    pub workspaces: Vec<&'a Path>,
    /// The limits that file systems keep.
    pub quotas: &'a Quotas,
}

/// Where a command finds its home.
pub const HOME: &str = "/home/creel";

impl Site<'_> {
    /// The level of one run: none for what the operator keeps out of the sandbox, and for whom the operator lists.
    fn level(&self, params: &ToolRunParams) -> Result<Level, CommandError> {
        if params.elevated {
            let vouched = self.policy.elevated && !params.elevated_for.is_empty();
            return if vouched { Ok(Level::L0) } else { Err(CommandError::NotElevated) };
        }
        Ok(match self.policy.mode {
            SandboxMode::Off => Level::L0,
            SandboxMode::NonMain if params.main => Level::L0,
            SandboxMode::NonMain | SandboxMode::All => self.level,
        })
    }

    /// What has to be done before a run with this home.
    fn setup(&self, level: Level, home: Option<&Path>) -> Preparation {
        let Some(line) = self.policy.setup.as_ref().filter(|_| level > Level::L0) else {
            return Preparation::Nothing;
        };
        match home {
            Some(home) => Preparation::of(line, home, &self.paths.sandboxes()),
            None if level == Level::L1 => Preparation::Impossible(
                "sandbox.setupCommand needs isolation level L2: at L1 commands have no home that is kept, which it could prepare. \
                 `creel doctor` says what is missing; without setupCommand commands run."
                    .to_owned(),
            ),
            None => Preparation::Impossible(
                "sandbox.setupCommand prepares the home of a session (sandbox.scope), and this command belongs to none."
                    .to_owned(),
            ),
        }
    }

    /// The folder that the runs of one scope share as their home.
    fn home(&self, params: &ToolRunParams) -> Option<PathBuf> {
        let all = self.paths.sandboxes();
        match self.policy.scope {
            SandboxScope::Shared => Some(all.join("shared")),
            SandboxScope::Agent => Some(all.join("agent").join(&params.agent)),
            // Of a session that nobody names nothing is kept.
            SandboxScope::Session => {
                let named = |key: &&String| !key.is_empty() && key.bytes().all(|b| b.is_ascii_hexdigit());
                let key = params.session.as_ref().filter(named)?;
                Some(all.join("session").join(&params.agent).join(key))
            }
        }
    }
}

/// Composes the command of one agent.
///
/// # Errors
/// What is wrong with the request.
pub fn command(params: &ToolRunParams, site: &Site<'_>) -> Result<Command, CommandError> {
    let Site { workspace, policy, .. } = *site;
    let level = site.level(params)?;
    if params.argv.first().is_none_or(String::is_empty) {
        return Err(CommandError::Empty);
    }
    let nul = |text: &String| text.contains('\0');
    let bad_name = |name: &String| name.is_empty() || name.contains('=') || nul(name);
    if params.argv.iter().any(nul) || params.env.iter().any(|(name, value)| bad_name(name) || nul(value)) {
        return Err(CommandError::Unusable);
    }
    let wall = Duration::from_secs(u64::from(policy.wall_seconds));
    let wall = params.wall_ms.map_or(wall, |asked| wall.min(Duration::from_millis(asked)));
    let access = match policy.workspace_access {
        WorkspaceAccess::None => Shown::None,
        WorkspaceAccess::Ro => Shown::Ro,
        WorkspaceAccess::Rw => Shown::Rw,
    };
    let foreground = Foreground {
        workspace: workspace.to_owned(),
        access,
        protect_git: false,
        protect: protected::at_top().collect(),
        bytes: None,
        inodes: None,
        ro: Vec::new(),
        wall,
        level,
        raw: true,
        command: params.argv.clone(),
    };
    let mut spec = spec(&foreground)?;
    spec.unit = format!("tool:{}", params.run);
    spec.limits.data = Some(policy.memory);
    spec.limits.nproc = Some(u64::from(policy.pids));
    spec.limits.cpu_percent = policy.cpu_percent;
    let mut writes_binds = Vec::new();
    for bind in &policy.binds {
        let forbidden = binds::forbidden(site.paths, site.workspaces.iter().copied());
        let view = binds::view(bind, &forbidden)?;
        if bind.writable && level > Level::L0 && view.path.is_dir() {
            writes_binds.push(Writes { bind: true, ..writes(&view.path, params, site) });
        }
        spec.fs.push(view);
    }
    // At level L1 nothing can appear elsewhere than where it is, and HOME stays the run's own scratch folder.
    let home = site.home(params).filter(|_| level != Level::L1);
    let setup = site.setup(level, home.as_deref());
    if let Some(home) = home.clone() {
        place::private(&home).map_err(CommandError::Home)?;
        homes::use_of(&home);
        let at = if level == Level::L0 { home.clone() } else { PathBuf::from(HOME) };
        spec.env.insert("HOME".to_owned(), at.to_string_lossy().into_owned());
        if access == Shown::None {
            spec.cwd.clone_from(&at);
        }
        spec.fs.push(View { path: home, at, access: Access::Rw });
    }
    let bounds = bounds(&spec, policy, access == Shown::Rw, site.quotas);
    spec.layers = bounds.iter().filter(|bound| !bound.by_quota).map(Bound::layer).collect();
    spec.env.extend(params.env.clone());
    spec.env.extend(policy.env.clone());
    let reaches = (policy.network != ToolNetwork::None).then(|| params.agent.clone());
    if reaches.is_some() {
        spec.net = Net::Listener;
    }
    if let Some(cwd) = &params.cwd {
        spec.cwd = inside(&spec.cwd, cwd)?;
    }
    let keep = usize::try_from(policy.output_bytes).unwrap_or(usize::MAX).min(MAX_TOOL_STREAM);
    let writes = (access == Shown::Rw && level > Level::L0).then(|| writes(workspace, params, site));
    let input = Input::None;
    Ok(Command {
        spec,
        wall,
        keep,
        reaches,
        writes,
        writes_binds,
        bounds,
        home,
        input,
        background: None,
        setup,
    })
}

fn writes(folder: &Path, params: &ToolRunParams, site: &Site<'_>) -> Writes {
    Writes {
        workspace: folder.to_owned(),
        quarantine: site.paths.quarantine(),
        agent: params.agent.clone(),
        run: params.run.clone(),
        bind: false,
    }
}

/// What the operator limits: the workspace and the home, each for itself. Writable binds are the operator's own.
fn bounds(spec: &LaunchSpec, policy: &ToolPolicy, workspace: bool, quotas: &Quotas) -> Vec<Bound> {
    let limit = Limit { bytes: policy.disk, inodes: policy.inodes };
    if spec.level == Level::L0 || limit == Limit::default() {
        return Vec::new();
    }
    let first = spec.fs.first().filter(|_| workspace);
    let home = spec.fs.iter().find(|view| view.at == Path::new(HOME));
    let bound = |view: &View| Bound::of(view.path.clone(), view.at.clone(), limit, quotas);
    first.into_iter().chain(home).map(bound).collect()
}

fn inside(top: &Path, cwd: &str) -> Result<PathBuf, CommandError> {
    let path = Path::new(cwd);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if plain && !cwd.contains('\0') { Ok(top.join(path)) } else { Err(CommandError::Outside(cwd.to_owned())) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use creel_config::Config;
    use creel_ipc::msg::agent::Author;

    use super::*;

    fn request(argv: &[&str]) -> ToolRunParams {
        ToolRunParams {
            run: "r1".into(),
            agent: "main".into(),
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            cwd: None,
            env: BTreeMap::new(),
            wall_ms: None,
            session: None,
            main: false,
            known_only: false,
            elevated: false,
            elevated_for: Vec::new(),
        }
    }

    fn compose(params: &ToolRunParams) -> Result<Command, CommandError> {
        compose_as(params, |_| ())
    }

    fn compose_as(
        params: &ToolRunParams,
        change: impl FnOnce(&mut ToolPolicy),
    ) -> Result<Command, CommandError> {
        let home = tempfile::tempdir().unwrap();
        let overrides = creel_config::Overrides { home: Some(home.path().to_owned()), ..Default::default() };
        let paths = Paths::compose(&overrides, None, None).unwrap();
        let mut policy = Config::default().agents().remove(0).tool_policy;
        change(&mut policy);
        let workspace = std::env::temp_dir();
        let site = Site {
            workspace: &workspace,
            policy: &policy,
            level: Level::L2,
            paths: &paths,
            workspaces: Vec::new(),
            quotas: &Quotas::of(home.path()),
        };
        command(params, &site)
    }

    #[test]
    fn a_scope_has_a_home_of_its_own_and_only_what_the_operator_opens_is_open() {
        let home = |scope, session: Option<&str>| {
            let asked = ToolRunParams { session: session.map(str::to_owned), ..request(&["true"]) };
            let command = compose_as(&asked, |policy| policy.scope = scope).unwrap();
            let view = command.spec.fs.iter().find(|view| view.at == Path::new(HOME));
            view.map(|view| {
                view.path.components().rev().take(2).map(|p| p.as_os_str().to_owned()).collect::<Vec<_>>()
            })
        };
        assert_eq!(home(SandboxScope::Agent, Some("aa")), home(SandboxScope::Agent, Some("bb")));
        assert_ne!(home(SandboxScope::Session, Some("aa")), home(SandboxScope::Session, Some("bb")));
        assert_eq!(home(SandboxScope::Session, Some("../x")), None);
        assert_eq!(home(SandboxScope::Session, None), None);

        let level = |mode, main| {
            let asked = ToolRunParams { main, ..request(&["true"]) };
            compose_as(&asked, |policy| policy.mode = mode).unwrap().spec.level
        };
        assert_eq!([level(SandboxMode::All, true), level(SandboxMode::All, false)], [Level::L2, Level::L2]);
        assert_eq!(
            [level(SandboxMode::NonMain, true), level(SandboxMode::NonMain, false)],
            [Level::L0, Level::L2]
        );
        assert_eq!(level(SandboxMode::Off, false), Level::L0);
    }

    #[test]
    fn a_command_leaves_the_sandbox_only_when_the_policy_and_the_gateway_say_so() {
        let author = || Author { channel: "telegram".into(), id: "1".into() };
        let of = |elevated, people: Vec<Author>, open| {
            let asked = ToolRunParams { elevated, elevated_for: people, ..request(&["true"]) };
            compose_as(&asked, |policy| policy.elevated = open).map(|command| command.spec.level)
        };
        assert_eq!(of(true, vec![author()], true).unwrap(), Level::L0);
        assert_eq!(of(false, vec![author()], true).unwrap(), Level::L2);
        for (people, open) in [(vec![], true), (vec![author()], false), (vec![], false)] {
            let refused = of(true, people, open).unwrap_err();
            assert!(refused.to_string().contains("tools.elevated"), "{refused}");
        }
    }

    #[test]
    fn a_request_cannot_widen_the_policy() {
        let mut asked = request(&["true"]);
        asked.wall_ms = Some(86_400_000);
        let command = compose(&asked).unwrap();
        assert_eq!(command.wall, Duration::from_secs(30));
        assert_eq!(command.spec.net, Net::None);
        assert_eq!(command.spec.limits.data, Some(512 << 20));
        asked.wall_ms = Some(5);
        assert_eq!(compose(&asked).unwrap().wall, Duration::from_millis(5));
    }

    #[test]
    fn a_working_directory_stays_in_the_workspace() {
        let mut asked = request(&["true"]);
        for outside in ["/etc", "../x", "a/../../b"] {
            asked.cwd = Some(outside.into());
            assert!(matches!(compose(&asked), Err(CommandError::Outside(_))), "{outside}");
        }
        asked.cwd = Some("src/./lib".into());
        assert!(compose(&asked).unwrap().spec.cwd.ends_with("src/lib"));
    }

    #[test]
    fn what_no_process_can_be_given_is_refused() {
        assert!(matches!(compose(&request(&[])), Err(CommandError::Empty)));
        assert!(matches!(compose(&request(&["a\0b"])), Err(CommandError::Unusable)));
    }
}
