//! `creel sandbox exec` without the rest of creel, for tests and measurements.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use creel_launch::Level;
use creel_launch::tool::{EXIT_LAUNCH, Foreground, WorkspaceAccess, run_foreground};

fn main() -> ExitCode {
    creel_launch::reenter();
    let Some(run) = arguments(std::env::args().skip(1)) else {
        return ExitCode::from(EXIT_LAUNCH as u8);
    };
    ExitCode::from(u8::try_from(run_foreground(&run, None).code).unwrap_or(EXIT_LAUNCH as u8))
}

fn arguments(mut args: impl Iterator<Item = String>) -> Option<Foreground> {
    let mut run = Foreground {
        workspace: PathBuf::from("."),
        access: WorkspaceAccess::None,
        protect_git: true,
        protect: Vec::new(),
        bytes: None,
        inodes: None,
        ro: Vec::new(),
        wall: Duration::from_secs(30),
        level: Level::L2,
        raw: true,
        command: Vec::new(),
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--workspace" => run.workspace = args.next()?.into(),
            "--access" => {
                run.access = match args.next()?.as_str() {
                    "none" => WorkspaceAccess::None,
                    "ro" => WorkspaceAccess::Ro,
                    "rw" => WorkspaceAccess::Rw,
                    _ => return None,
                }
            }
            "--git-writable" => run.protect_git = false,
            "--ro" => run.ro.push(args.next()?.into()),
            "--wall" => run.wall = Duration::from_secs(args.next()?.parse().ok()?),
            "--level" => {
                run.level = match args.next()?.as_str() {
                    "L0" => Level::L0,
                    "L1" => Level::L1,
                    "L2" => Level::L2,
                    _ => return None,
                }
            }
            "--" => {
                run.command = args.collect();
                return Some(run);
            }
            _ => return None,
        }
    }
    None
}
