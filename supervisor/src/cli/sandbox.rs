//! `creel sandbox`.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use creel_config::scalar::Bytes;
use creel_ipc::protected;
use creel_launch::quota::Limit;
use creel_launch::tool::{EXIT_LAUNCH, Foreground, WorkspaceAccess, run_foreground};
use creel_launch::{LaunchSpec, Role};

use super::error::CliError;
use super::{Context, quarantine};
use crate::tool::layers::{Bound, Measured};
use crate::tool::leavings::Look;
use crate::tool::quota::Quotas;
use crate::{cgroup, clock};

mod explain;
mod homes;
mod test;
mod why;

/// Run commands in the tool sandbox, test it, and have it explained.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Run a command in the sandbox of the `exec` tool
    ///
    /// Walls and system calls are those of the tool. The configuration is not read: sandbox.memory, sandbox.pids and
    /// sandbox.outputBytes do not count here, the built-in limits do. What the
    /// command leaves in the workspace that programs of the host obey (.envrc, hooks of git, settings of editors and agents)
    /// is moved to the quarantine; FIFOs, sockets and devices are removed.
    #[command(after_help = "Examples:\n  creel sandbox exec -- id\n  \
                            creel sandbox exec --workspace . --access rw --wall 60 -- make test\n  \
                            creel sandbox exec --disk 256M --inodes 10000 -- make\n\n\
                            The exit code is the command's; 128 + n when signal n killed it, 124 when its time was up, 125 when \
                            the sandbox could not be built (then nothing ran).")]
    Exec(Exec),
    /// Show how an agent's commands and its worker are confined: measured, with the key behind each line
    ///
    /// The level and why it is not higher; what is visible and which key shows it; network, limits and who enforces them;
    /// denied system calls; and what is not enforced here. Runs `true` in the sandbox once. When Creel is not running, the
    /// configuration file is explained instead.
    #[command(
        after_help = "Examples:\n  creel sandbox explain\n  creel sandbox explain --agent research --verbose\n  \
                            creel sandbox explain --json | jq '.sandboxes[0].limits'"
    )]
    Explain(explain::Args),
    /// List the home folders of commands, the one that was not used for longest first
    ///
    /// A home outlives its commands; who shares one is said by sandbox.scope.
    #[command(
        after_help = "Examples:\n  creel sandbox list\n  creel sandbox list --json | jq '.homes[].path'"
    )]
    List,
    /// Take home folders away that nobody uses any more, with everything in them
    ///
    /// Those of sessions that had no command for sandbox.prune.idleHours or are older than sandbox.prune.maxAgeDays, and those
    /// that the configuration gives to nobody. None goes while a command is in it. This also happens by itself, every hour.
    #[command(
        after_help = "Examples:\n  creel sandbox prune --dry-run\n  creel sandbox prune --idle-hours 24"
    )]
    Prune(homes::Prune),
    /// Show what sandboxes denied lately, each as one sentence with rule, path and key
    ///
    /// What cgroups counted, egress refused and the supervisor ended is exact. The rest is concluded from exit codes and
    /// from what commands printed, and is marked with `~`: the kernel tells an ordinary service nothing of what Landlock,
    /// namespaces and seccomp refused. The file tools of agents answer their refusals to the model alone.
    #[command(after_help = "Examples:\n  creel sandbox why\n  creel sandbox why --agent main -n 5\n  \
                            creel sandbox why --json | jq '.denials[].sentence'")]
    Why(why::Args),
    /// Try some sixty deeds in a tool sandbox, and say which were denied
    ///
    /// Real attempts with decoys: files, network, other processes, system calls, privileges and limits; and what must work
    /// there all the same. Needs no configuration and no running Creel.
    #[command(after_help = "Examples:\n  creel sandbox test\n  creel sandbox test --level l1\n  \
                            creel sandbox test --json | jq '.probes[] | select(.denied != .mustBeDenied)'\n\n\
                            Exit code 0 when every probe came out as it must, 1 when one did not or no sandbox can be built.")]
    Test(test::Args),
    /// What commands left in workspaces and was taken away after the run
    #[command(subcommand)]
    Quarantine(quarantine::Command),
}

/// `creel sandbox exec OPTIONS -- CMD` read by itself: to build the whole command line with all its help takes as long as a fifth
/// of such a run.
#[derive(Debug, clap::Parser)]
#[command(name = "creel sandbox exec", disable_help_flag = true)]
struct Alone {
    #[command(flatten)]
    exec: Exec,
}

impl Command {
    /// What these arguments of the program mean, if they are nothing but a plain run; all else is for the whole command line.
    pub(crate) fn plain_run(args: impl Iterator<Item = OsString>) -> Option<Self> {
        let args: Vec<OsString> = args.collect();
        let rest = args.strip_prefix(&["sandbox".into(), "exec".into()])?;
        let options = rest.split(|arg| arg == "--").next().filter(|options| options.len() < rest.len())?;
        let own = ["--workspace", "--access", "--ro", "--wall", "--level", "--raw", "--disk", "--inodes"];
        let known = |arg: &OsString| {
            let text = arg.to_str()?;
            (!text.starts_with('-') || own.contains(&text)).then_some(())
        };
        options.iter().try_for_each(known)?;
        let words = std::iter::once(OsString::from("creel sandbox exec")).chain(rest.iter().cloned());
        Alone::try_parse_from(words).ok().map(|alone| Self::Exec(alone.exec))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Exec {
    /// The workspace folder, which is also the working directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    /// What the command may do in the workspace
    #[arg(long, value_enum, default_value = "rw")]
    access: Access,
    /// A further folder to show read-only; may be given several times
    #[arg(long, value_name = "PATH")]
    ro: Vec<PathBuf>,
    /// Seconds after which the command is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wall: u64,
    /// Bytes that the workspace may hold with what the command writes, such as 256M
    ///
    /// Kept by its file system where that has project quota for us. Elsewhere what the command changes is kept in memory (at most
    /// 512 MiB) and brought into the workspace when it has ended.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    disk: Option<u64>,
    /// Files and folders that the workspace may hold
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    inodes: Option<u64>,
    /// How strongly to confine it; a sandbox that cannot be built is an error, never a weaker one
    #[arg(long, value_enum, default_value = "l2")]
    level: Level,
    /// Pass control characters of the output on, which a terminal obeys; without it each becomes a question mark
    #[arg(long)]
    raw: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Access {
    /// Nothing: the working directory is the private /tmp
    None,
    /// Read-only
    Ro,
    /// Writable, but for what programs of the host and the agent itself obey
    Rw,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Level {
    /// Landlock and seccomp, for hosts without user namespaces
    L1,
    /// Namespaces of its own, Landlock and seccomp
    L2,
    /// The same in a cgroup with limits on the whole run, where one is delegated to whoever runs this
    L3,
}

impl From<Level> for creel_launch::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::L1 => Self::L1,
            Level::L2 => Self::L2,
            Level::L3 => Self::L3,
        }
    }
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Exec(exec) => execute(context, exec),
        Command::Explain(args) => explain::run(context, &args),
        Command::List => homes::list(context),
        Command::Prune(args) => homes::prune(context, &args),
        Command::Why(args) => why::run(context, args),
        Command::Test(args) => test::run(context, &args),
        Command::Quarantine(command) => quarantine::run(context, command),
    }
}

fn execute(context: &Context, exec: Exec) -> Result<ExitCode, CliError> {
    let access = match exec.access {
        Access::None => WorkspaceAccess::None,
        Access::Ro => WorkspaceAccess::Ro,
        Access::Rw => WorkspaceAccess::Rw,
    };
    let workspace = exec.workspace.canonicalize().unwrap_or(exec.workspace);
    let look = matches!(exec.access, Access::Rw).then(|| {
        let run = format!("{}-{}", clock::now_ms(), std::process::id());
        Look::from_now(&workspace, context.paths.quarantine(), "exec", &run)
    });
    let quotas = Quotas::of(&context.paths.state());
    let limit = Limit { bytes: exec.disk, inodes: exec.inodes };
    let limit = (access == WorkspaceAccess::Rw && limit != Limit::default()).then_some(limit);
    // Held until the run is over; without it there is a layer.
    let quota = limit.and_then(|limit| quotas.for_a_run(&workspace, limit).ok());
    let bound = limit.filter(|_| quota.is_none()).map(|limit| {
        let why_not = None;
        let Limit { bytes, inodes } = limit;
        Bound { folder: workspace.clone(), at: workspace.clone(), bytes, inodes, by_quota: false, why_not }
    });
    let measured = match bound.map(Bound::measure).transpose() {
        Ok(measured) => measured,
        Err(error) => {
            writeln!(io::stderr(), "creel: {error}")?;
            return Ok(code(EXIT_LAUNCH));
        }
    };
    let room = measured.as_ref().map(Measured::layer);
    let run = Foreground {
        workspace,
        access,
        bytes: room.as_ref().and_then(|room| room.bytes),
        inodes: room.as_ref().and_then(|room| room.inodes),
        ro: exec.ro,
        protect_git: false,
        protect: protected::at_top().collect(),
        wall: Duration::from_secs(exec.wall),
        level: exec.level.into(),
        raw: exec.raw,
        command: exec.command,
    };
    let alone = match exec.level {
        Level::L1 | Level::L2 => None,
        Level::L3 => match cgroup::alone(&limits()) {
            Ok(alone) => Some(alone),
            Err(why) => {
                let told =
                    writeln!(io::stderr(), "creel: Level L3 cannot be had here. {why} See `creel doctor`.");
                told?;
                return Ok(code(EXIT_LAUNCH));
            }
        },
    };
    let group = alone.as_ref().and_then(cgroup::Alone::group);
    let ended = run_foreground(&run, group.map(|group| group.as_fd()));
    drop(quota);
    if let (Some(measured), Some(layer)) = (&measured, ended.layers.first())
        && let Some(told) = measured.commit(layer)
    {
        context.out.note(format_args!("creel: {told}"));
    }
    let findings = look.map(|look| look.look(true)).unwrap_or_default();
    if !findings.is_empty() {
        context.out.note(format_args!("creel: {}", findings.told()));
    }
    Ok(code(ended.code))
}

/// A number of bytes, as the configuration has it.
fn size(text: &str) -> Result<u64, String> {
    let read = Bytes::parse(text).map(|bytes| bytes.0).filter(|bytes| *bytes >= 1 << 20);
    read.ok_or_else(|| "a size is wanted, such as 256M or 2G, and at least 1M".to_owned())
}

fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// What the whole run may use: what the role gives to one process of it, and one processor.
fn limits() -> cgroup::Limits {
    let built_in = LaunchSpec::new("tool:foreground", Role::Tool, Vec::new()).limits;
    cgroup::Limits { memory: built_in.data, tasks: built_in.nproc, cpu_percent: Some(100), cpu_weight: None }
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;

    fn plain(words: &[&str]) -> Option<Command> {
        Command::plain_run(words.iter().map(OsString::from))
    }

    #[test]
    fn a_plain_run_means_the_same_to_both_readers() {
        let words = [
            "sandbox",
            "exec",
            "--workspace",
            "/w",
            "--ro",
            "/a",
            "--ro",
            "/b",
            "--wall",
            "9",
            "--raw",
            "--",
            "ls",
            "-la",
            "--json",
        ];
        let whole = Cli::try_parse_from(["creel"].into_iter().chain(words)).unwrap();
        let super::super::Command::Sandbox(whole) = whole.command else { panic!("another command") };
        assert_eq!(format!("{:?}", plain(&words).unwrap()), format!("{whole:?}"));
    }

    #[test]
    fn everything_else_is_left_to_the_whole_command_line() {
        for words in [
            &["sandbox", "exec", "--json", "--", "id"][..],
            &["sandbox", "exec", "--home", "/x", "--", "id"],
            &["sandbox", "exec", "--help", "--", "id"],
            &["sandbox", "exec", "id"],
            &["sandbox", "exec", "--wall", "x", "--", "id"],
            &["sandbox", "exec", "--"],
            &["sandbox", "test"],
            &["--json", "sandbox", "exec", "--", "id"],
            &["up"],
        ] {
            assert!(plain(words).is_none(), "{words:?}");
        }
    }
}
