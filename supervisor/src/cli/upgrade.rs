//! `creel upgrade`: another version in place of the running supervisor.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use creel_ipc::msg::Empty;
use creel_ipc::msg::control::{Upgrade, UpgradeParams, UpgradePhase, UpgradeState, UpgradeStatus};

use super::control::Control;
use super::error::CliError;
use super::{Context, OK};

/// How often to ask how it goes.
const ASK: Duration = Duration::from_millis(100);
/// How long nobody may answer: a new program that hangs is undone within 10 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// The exit code when the supervisor is the new one, and units were left. A package's script tells it from a failure.
const LEFT: u8 = 4;

/// Upgrade the running Creel.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The new program first looks at a copy of the state; if it refuses, nothing changes. Then the \
                  supervisor's process becomes it, with every unit and connection; if it does not prove itself within \
                  10 s, the old one is back. Then units whose \
                  programs were replaced are restarted one by one, each when it is idle; one that does not get idle \
                  within a minute is left and named (exit code 4), and `creel restart UNIT` moves it.\n\nExamples:\n  \
                  creel upgrade                        after the package manager replaced the programs\n  \
                  creel upgrade --no-roll              only the supervisor\n  \
                  creel upgrade --check                only ask the new program whether it could\n  \
                  creel upgrade --binary ./creel       another program than the one at the running one's path"
)]
pub(crate) struct Args {
    /// The new program [default: what is now at the path of the running one]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Only let the new program look at a copy of the state
    #[arg(long)]
    check: bool,
    /// Leave all other units on their old programs
    #[arg(long)]
    no_roll: bool,
    /// Only show how the latest upgrade went
    #[arg(long, conflicts_with_all = ["binary", "check", "no_roll"])]
    status: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    if args.status {
        let state = Control::connect(context)?.call::<UpgradeStatus>(&Empty {})?;
        context.out.data(&state, || told(&state, false))?;
        return Ok(OK);
    }
    let binary = args.binary.as_ref().map(std::path::absolute).transpose()?;
    let asked = UpgradeParams {
        binary: binary.map(|path| path.to_string_lossy().into_owned()),
        check: args.check,
        no_roll: args.no_roll,
    };
    let began = Control::connect(context)?.call::<Upgrade>(&asked)?;
    let state = follow(context, began)?;
    match state.phase {
        UpgradePhase::Refused | UpgradePhase::RolledBack => Err(CliError::Run(told(&state, args.check))),
        _ => {
            context.out.data(&state, || told(&state, args.check))?;
            Ok(if args.no_roll || state.left.is_empty() { OK } else { ExitCode::from(LEFT) })
        }
    }
}

/// Asks again and again, each time anew: the program that answers changes on the way.
fn follow(context: &Context, began: UpgradeState) -> Result<UpgradeState, CliError> {
    let mut shown = String::new();
    let mut state = began;
    let mut heard = Instant::now();
    loop {
        let words = progress(&state);
        if words != shown {
            // Whoever closed stderr does not want to know.
            let _closed = writeln!(io::stderr(), "{words}");
            shown = words;
        }
        if state.phase.is_over() {
            return Ok(state);
        }
        std::thread::sleep(ASK);
        let answer =
            Control::connect(context).and_then(|mut control| control.call::<UpgradeStatus>(&Empty {}));
        match answer {
            Ok(next) if next.number < state.number => {
                let sentence = "Creel ended in the middle of the upgrade and was started anew; `creel logs supervisor` tells why.";
                return Err(CliError::Run(sentence.to_owned()));
            }
            Ok(next) => (state, heard) = (next, Instant::now()),
            Err(error) if heard.elapsed() > PATIENCE => return Err(error),
            Err(_not_now) => {}
        }
    }
}

fn progress(state: &UpgradeState) -> String {
    match state.phase {
        UpgradePhase::Checking => format!("{} looks at a copy of the state ...", state.binary),
        UpgradePhase::Settling => "Waiting for a moment at which nothing is under way ...".to_owned(),
        UpgradePhase::Confirming => "The new program shows that it works ...".to_owned(),
        UpgradePhase::Rolling => {
            let (done, left) = (state.rolled.len(), state.left.len());
            format!("Moving units to their new programs: {done} of {} ...", done + left)
        }
        UpgradePhase::None | UpgradePhase::Done | UpgradePhase::Refused | UpgradePhase::RolledBack => {
            "It is over.".to_owned()
        }
    }
}

/// The whole upgrade in words.
fn told(state: &UpgradeState, check: bool) -> String {
    let to = state.to.as_deref().unwrap_or("?");
    let problem = state.problem.as_deref().unwrap_or("no reason is known");
    let mut lines = vec![match state.phase {
        UpgradePhase::None => "There was no upgrade since Creel started.".to_owned(),
        UpgradePhase::Refused => problem.to_owned(),
        UpgradePhase::RolledBack => format!(
            "The new program did not prove itself: {problem}. Creel {} is back, and all {} units run on.",
            state.from, state.kept
        ),
        UpgradePhase::Done if check || state.exec_micros.is_none() => {
            format!("{} is Creel {to} and could take over.", state.binary)
        }
        _ => {
            let millis = state.exec_micros.unwrap_or(0) as f64 / 1000.0;
            format!(
                "Creel {} is Creel {to} now: {} units were kept, {millis:.1} ms passed.",
                state.from, state.kept
            )
        }
    }];
    if !state.rolled.is_empty() {
        lines.push(format!("Moved to their new programs: {}.", state.rolled.join(", ")));
    }
    lines.extend(state.left.iter().cloned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_reads_well() {
        let state = UpgradeState {
            phase: UpgradePhase::Done,
            number: 1,
            from: "0.1.0".into(),
            to: Some("0.2.0".into()),
            binary: "/usr/bin/creel".into(),
            problem: None,
            exec_micros: Some(4210),
            kept: 42,
            rolled: vec!["egress".into(), "gateway".into()],
            left: vec!["agent:main is still busy; `creel restart agent:main` moves it.".into()],
        };
        let failed = UpgradeState {
            phase: UpgradePhase::RolledBack,
            problem: Some("it did not confirm within 10 s".into()),
            rolled: Vec::new(),
            left: Vec::new(),
            ..state.clone()
        };
        let checked =
            UpgradeState { exec_micros: None, rolled: Vec::new(), left: Vec::new(), ..state.clone() };
        let all = [told(&state, false), told(&failed, false), told(&checked, true)].join("\n---\n");
        insta::assert_snapshot!(all);
    }
}
