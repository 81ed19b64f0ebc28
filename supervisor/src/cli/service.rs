//! `creel service …`: Creel as a service of this machine or of this user.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::error::CliError;
use super::output::{Colour, Output};
use super::table::size;
use super::{Context, OK};
use crate::service::plan::{Ground, SYSUSERS, TMPFILES, UNIT, Verb, shown};
use crate::service::query::{self, ServiceStatus};
use crate::service::systemd::{self, Unit};
use crate::service::{Manager, Scope, ServiceError, launchd, perform};

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "Examples:\n  creel service install                  for yourself\n  \
                        sudo creel service install             for the machine, as the system user creel\n  \
                        creel service install --system --dry-run\n  \
                        creel service status --json | jq .state\n  \
                        creel service logs --follow")]
pub(crate) enum Command {
    /// Put it in place, start it, and start it with the machine (or your login)
    Install(Change),
    /// Stop it and take it away; configuration and data stay
    Uninstall(Change),
    /// Start it
    Start(Change),
    /// Stop it in order; it starts again with the machine
    Stop(Change),
    /// Stop it and start it again
    Restart(Change),
    /// Show how the service manager sees it
    Status(Which),
    /// Show what it said to the service manager
    Logs(Logs),
    /// Print a text that service managers read, for packagers
    #[command(hide = true)]
    Text(Text),
}

/// Whose service.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Which {
    /// Your own [default, except for root]
    #[arg(long, conflicts_with = "system")]
    user: bool,
    /// The machine's [default for root]
    #[arg(long)]
    system: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Change {
    #[command(flatten)]
    which: Which,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    which: Which,
    /// Go on printing new lines
    #[arg(long, short)]
    follow: bool,
    /// How many of the last lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    lines: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Text {
    kind: Kind,
    /// The binary that it starts
    #[arg(long, default_value = "/usr/bin/creel")]
    program: PathBuf,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    SystemUnit,
    UserUnit,
    Sysusers,
    Tmpfiles,
    LaunchAgent,
    LaunchDaemon,
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    let (verb, change) = match command {
        Command::Install(change) => (Verb::Install, change),
        Command::Uninstall(change) => (Verb::Uninstall, change),
        Command::Start(change) => (Verb::Start, change),
        Command::Stop(change) => (Verb::Stop, change),
        Command::Restart(change) => (Verb::Restart, change),
        Command::Status(which) => return status(context, which),
        Command::Logs(args) => return logs(context, &args),
        Command::Text(args) => return text(&context.out, &args),
    };
    let scope = scope(context, change.which, verb == Verb::Install);
    if verb == Verb::Install && context.overrides != creel_config::Overrides::default() {
        return Err(CliError::Usage(
            "A service has its own folders: leave out --home, --config and --port (and CREEL_HOME and the like), and put \
             what differs into its configuration or into `systemctl edit creel`."
                .to_owned(),
        ));
    }
    let ground = ground(context, scope)?;
    if !change.dry_run {
        permitted(&ground)?;
        if verb != Verb::Install && !ground.file().exists() {
            return Err(ServiceError::NotInstalled { path: ground.file() }.into());
        }
    }
    let steps = ground.steps(verb)?;
    if change.dry_run {
        context.out.data(&json!({ "dryRun": true, "scope": scope, "steps": steps }), || shown(&steps))?;
        return Ok(OK);
    }
    let mut said = Vec::new();
    perform::perform(&steps, |sentence| said.push(sentence.to_owned()))?;
    context.out.data(&json!({ "done": verb, "scope": scope, "said": said }), || {
        if said.is_empty() { done(verb).to_owned() } else { said.join("\n") }
    })?;
    Ok(OK)
}

fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Install => "Creel is a service now.",
        Verb::Uninstall => "Creel is no service any more.",
        Verb::Start | Verb::Restart => "Creel runs.",
        Verb::Stop => "Creel has stopped.",
    }
}

/// What was asked for; else root's is the machine's, and a user's is the user's own where there is one.
fn scope(context: &Context, which: Which, install: bool) -> Scope {
    if which.system || (!which.user && is_root()) {
        return Scope::System;
    }
    let own = ground(context, Scope::User).is_ok_and(|ground| ground.file().exists());
    let systems = ground(context, Scope::System).is_ok_and(|ground| ground.file().exists());
    if which.user || install || own || !systems { Scope::User } else { Scope::System }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn permitted(ground: &Ground) -> Result<(), ServiceError> {
    if ground.manager == Manager::Systemd && !Path::new("/run/systemd/system").exists() {
        return Err(ServiceError::NoManager { missing: "systemd" });
    }
    match (ground.scope, is_root()) {
        (Scope::System, false) => Err(ServiceError::NotRoot),
        (Scope::User, true) => Err(ServiceError::RootsOwn),
        _ => Ok(()),
    }
}

fn ground(context: &Context, scope: Scope) -> Result<Ground, ServiceError> {
    let manager = if cfg!(target_os = "macos") { Manager::Launchd } else { Manager::Systemd };
    let program = std::env::current_exe()
        .and_then(|program| program.canonicalize())
        .map_err(|error| ServiceError::Command { command: "creel".to_owned(), error })?;
    let name = context.env.get("USER").or_else(|| context.env.get("LOGNAME")).cloned().unwrap_or_default();
    let user_home = context.env.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let user_home = match (user_home, scope) {
        (Some(home), _) => home,
        (None, Scope::System) => PathBuf::from("/"),
        (None, Scope::User) => return Err(ServiceError::NoHome),
    };
    Ok(Ground {
        manager,
        scope,
        packaged: Path::new(systemd::PACKAGED_UNIT).exists() && program.starts_with("/usr/bin"),
        program,
        user_home,
        lingers: Path::new("/var/lib/systemd/linger").join(&name).exists() && !name.is_empty(),
        user: (name, rustix::process::getuid().as_raw()),
    })
}

fn status(context: &Context, which: Which) -> Result<ExitCode, CliError> {
    let status = query::status(&ground(context, scope(context, which, false))?)?;
    context.out.data(&status, || render(&status, &context.out))?;
    Ok(if status.state == "active" { OK } else { ExitCode::FAILURE })
}

fn render(status: &ServiceStatus, out: &Output) -> String {
    let colour = match status.state.as_str() {
        "active" => Colour::Green,
        "failed" => Colour::Red,
        _ => Colour::Yellow,
    };
    let whose = match status.scope {
        Scope::System => "the machine's service",
        Scope::User => "your own service",
    };
    let starts = if status.enabled { "starts by itself" } else { "does not start by itself" };
    let mut text = format!("{}  {whose}, {starts}\n", out.paint(colour, &status.state));
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("  {name:<9} {value}\n"));
        }
    };
    line("says", status.says.clone());
    line("pid", status.pid.map(|pid| pid.to_string()));
    line("restarts", status.restarts.filter(|count| *count > 0).map(|count| count.to_string()));
    line("result", status.result.clone());
    line("memory", status.memory_bytes.map(size));
    line("file", Some(status.file.clone()));
    text
}

fn logs(context: &Context, args: &Logs) -> Result<ExitCode, CliError> {
    let ground = ground(context, scope(context, args.which, false))?;
    let lines = args.lines.to_string();
    let argv: Vec<String> = match ground.manager {
        Manager::Systemd => {
            let whose = if ground.scope == Scope::User { "--user-unit" } else { "--unit" };
            let mut argv = vec!["journalctl", whose, UNIT, "--no-pager", "--lines", &lines];
            argv.extend(args.follow.then_some("--follow"));
            argv.extend(context.out.is_json().then_some("--output=json"));
            argv.into_iter().map(str::to_owned).collect()
        }
        Manager::Launchd => {
            let job =
                launchd::Job { scope: ground.scope, program: ground.program, user_home: ground.user_home };
            let mut argv = vec!["tail".to_owned(), "-n".to_owned(), lines];
            argv.extend(args.follow.then(|| "-F".to_owned()));
            argv.push(job.log().to_string_lossy().into_owned());
            argv
        }
    };
    // Its output is ours: it may go on for ever.
    let ended = std::process::Command::new(&argv[0]).args(&argv[1..]).status();
    let ended = ended.map_err(|error| ServiceError::Command { command: argv.join(" "), error })?;
    Ok(if ended.success() { OK } else { ExitCode::FAILURE })
}

fn text(out: &Output, args: &Text) -> Result<ExitCode, CliError> {
    let unit = |scope| Unit { scope, program: args.program.clone() }.text();
    let job = |scope| {
        launchd::Job { scope, program: args.program.clone(), user_home: PathBuf::from("/Users/you") }.text()
    };
    out.piece(&match args.kind {
        Kind::SystemUnit => unit(Scope::System),
        Kind::UserUnit => unit(Scope::User),
        Kind::Sysusers => SYSUSERS.to_owned(),
        Kind::Tmpfiles => TMPFILES.to_owned(),
        Kind::LaunchAgent => job(Scope::User),
        Kind::LaunchDaemon => job(Scope::System),
    })?;
    Ok(OK)
}
