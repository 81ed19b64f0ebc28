//! `cargo xtask redteam`: the attacks of `tests/redteam` through `creel sandbox exec`, level by level, and who they were made as.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args as ClapArgs;

use crate::run;
use crate::shell::{command, must, root, show};

mod deprived;
mod guest;
mod report;

use report::Report;

/// An ordinary user: nobody's number.
const UID: &str = "12345";
/// Whom the launcher makes of a unit that root starts, where there is no user `creel`.
const UNIT: &str = "64742";
/// Seconds that a probe has.
const WALL: &str = "6";
/// What the workspace may hold: less than the attacks on it write, and more than one file may have.
const LIMITS: [&str; 4] = ["--disk", "256M", "--inodes", "10000"];
/// Without a sandbox at least so many attacks must work, or the suite does not attack.
const WORKS_UNCONFINED: usize = 70;

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  cargo xtask redteam               L1 and L2 here, and L3 where it can be had here\n  \
                        cargo xtask redteam --level L3    here, else in a virtual machine (as root, some minutes)\n  \
                        cargo xtask redteam --vm          every level in the virtual machines with Debian 12 and 13,\n                                    \
                        and that nothing runs there without Landlock"
)]
pub(crate) struct Args {
    /// Only this level; may be given several times.
    #[arg(long, value_enum, ignore_case = true)]
    level: Vec<Level>,
    /// In the virtual machines, where kernels are older and cgroups are delegated.
    #[arg(long)]
    vm: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Level {
    /// Landlock and seccomp.
    #[value(name = "L1")]
    L1,
    /// Namespaces too.
    #[value(name = "L2")]
    L2,
    /// And a cgroup.
    #[value(name = "L3")]
    L3,
}

impl Level {
    const ALL: [Self; 3] = [Self::L1, Self::L2, Self::L3];

    fn name(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
        }
    }
}

impl Args {
    /// What CI runs.
    pub(crate) fn ci() -> Self {
        Self { level: Vec::new(), vm: false }
    }
}

/// What CI runs in a virtual machine, whose systemd delegates cgroups: level L3, on the older kernel.
pub(crate) fn in_a_guest() -> Result<()> {
    must(&mut command("cargo", &["build", "--package", "creel"]))?;
    guest::run(&run::target().join("debug/creel"), &crate::vm::SUITES[..1], &[Level::L3])
}

pub(crate) fn run(args: &Args) -> Result<()> {
    must(&mut command("cargo", &["build", "--package", "creel"]))?;
    let creel = run::target().join("debug/creel");
    if args.vm {
        let levels = if args.level.is_empty() { Level::ALL.to_vec() } else { args.level.clone() };
        let attacked = guest::run(&creel, &crate::vm::SUITES, &levels);
        return attacked.and(deprived::run(&creel, &crate::vm::SUITES));
    }
    let here = Place::new(&creel)?;
    let grouped = here.has_cgroup()?;
    let mut levels = args.level.clone();
    if levels.is_empty() {
        levels = vec![Level::L1, Level::L2];
        if grouped {
            levels.push(Level::L3);
        } else {
            println!(
                "L3 is not measured here: no cgroup v2 is delegated. `cargo xtask redteam --level L3` takes a virtual machine."
            );
        }
    }
    levels.sort();
    let elsewhere = levels.contains(&Level::L3) && !grouped;
    levels.retain(|level| *level < Level::L3 || grouped);
    let verdict = if levels.is_empty() { Ok(()) } else { here.attack(&levels) };
    let beside = if elsewhere { guest::run(&creel, &crate::vm::SUITES[..1], &[Level::L3]) } else { Ok(()) };
    verdict.and(beside)
}

/// A folder that everybody may read, with the binary and the suite.
struct Place(PathBuf);

impl Place {
    fn new(creel: &Path) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("creel-redteam-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        let place = Self(folder);
        stage(creel, &place.0)?;
        Ok(place)
    }

    fn creel(&self) -> String {
        self.0.join("creel").to_string_lossy().into_owned()
    }

    fn has_cgroup(&self) -> Result<bool> {
        let mut probe = Command::new(self.creel());
        probe.args(["sandbox", "exec", "--level", "l3", "--access", "none", "--", "true"]);
        Ok(probe.stderr(Stdio::null()).status()?.success())
    }

    /// Whether this kernel can bound a workspace.
    fn has_limits(&self) -> Result<bool> {
        let workspace = self.0.join("limited");
        fs::create_dir(&workspace)?;
        let mut probe = Command::new(self.creel());
        probe.args(["sandbox", "exec", "--workspace"]).arg(&workspace).args(LIMITS).args(["--", "true"]);
        let said = probe.output()?;
        if !said.status.success() {
            println!(
                "NOT MEASURED HERE: limits on the workspace: {}",
                String::from_utf8_lossy(&said.stderr).trim_end()
            );
        }
        Ok(said.status.success())
    }

    /// All runs at once: most of their time they wait.
    fn attack(&self, levels: &[Level]) -> Result<()> {
        let limited = self.has_limits()?;
        let root = fs::metadata("/proc/self")?.uid() == 0;
        let mut runs = vec![Attack { level: None, who: Who::User }];
        for level in levels {
            runs.push(Attack { level: Some(*level), who: Who::User });
            if root {
                runs.push(Attack { level: Some(*level), who: Who::Root });
            }
            if *level == Level::L2 {
                runs.push(Attack { level: Some(*level), who: Who::Nested });
            }
        }
        if !root {
            println!("Not root: the attacks are made as this user alone.");
        }
        let begun = Instant::now();
        let mut started = Vec::new();
        for run in runs {
            let result = self.0.join(format!("{}.json", run.name()));
            let mut command = self.command(&run, &result, root, limited);
            println!("$ {}", show(&command));
            let child = command.stdout(Stdio::null()).stdin(Stdio::null()).spawn()?;
            started.push((run, result, child));
        }
        let mut reports = Vec::new();
        for (run, result, mut child) in started {
            child.wait()?;
            reports.push(Report::read(&run.shown(), run.level, limited, &result)?);
        }
        let unconfined = reports.remove(0);
        println!("\n{}", report::table(&reports)?);
        println!("{} attacks in {} s", reports.len() * report::ATTACKS, begun.elapsed().as_secs());
        ensure!(
            unconfined.worked().count() >= WORKS_UNCONFINED,
            "without a sandbox only {} attacks worked: the suite does not attack",
            unconfined.worked().count()
        );
        println!("without a sandbox {} of them work", unconfined.worked().count());
        report::judge(&reports)
    }

    fn command(&self, attack: &Attack, result: &Path, root: bool, limited: bool) -> Command {
        let mut command = if root && attack.who != Who::Root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", UID, "--regid", UID, "--clear-groups", "/usr/bin/python3"]);
            command
        } else {
            Command::new("/usr/bin/python3")
        };
        command.arg("-B").arg(self.0.join("redteam/run.py")).args(["--wall", WALL, "--json"]).arg(result);
        if attack.who == Who::Root {
            command.args(["--owner", UNIT]);
        }
        let Some(level) = attack.level else { return command };
        if level == Level::L1 {
            command.arg("--without-git");
        }
        command.arg("--");
        if attack.who == Who::Nested {
            command.args(["/usr/bin/unshare", "--user", "--map-root-user"]);
        }
        command.arg(self.creel());
        command.args(["sandbox", "exec", "--workspace", "{ws}", "--access", "rw", "--ro", "{probes}"]);
        if limited && level > Level::L1 {
            command.args(LIMITS);
        }
        command.args(["--wall", "{wall}", "--level", &level.name().to_lowercase(), "--"]);
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Puts the binary and the suite into a folder.
fn stage(creel: &Path, folder: &Path) -> Result<()> {
    fs::copy(creel, folder.join("creel"))?;
    must(command("cp", &["-r", "tests/redteam"]).arg(folder))?;
    must(command("chmod", &["-R", "a+rX"]).arg(folder.join("redteam")))?;
    // The ordinary user writes a result here.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))?;
    ensure!(root().join("tests/redteam/run.py").is_file(), "tests/redteam is missing");
    Ok(())
}

/// One run of the whole suite.
struct Attack {
    /// `None`: without a sandbox.
    level: Option<Level>,
    who: Who,
}

/// Who launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    User,
    Root,
    /// The root of a container that has no other user, started by an ordinary one.
    Nested,
}

impl Attack {
    fn name(&self) -> String {
        let level = self.level.map_or("none", Level::name);
        format!("{level}-{}", self.who.name())
    }

    fn shown(&self) -> String {
        let level = self.level.map_or("no sandbox", Level::name);
        format!("{level} {}", self.who.name())
    }
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Root => "root",
            Self::Nested => "nested",
        }
    }
}
