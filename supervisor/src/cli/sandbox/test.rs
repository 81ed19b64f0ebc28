//! `creel sandbox test`.

use std::process::ExitCode;

use creel_launch::{Isolation, Level, Probe};
use serde::Serialize;

use super::super::error::CliError;
use super::super::output::{Colour, Output};
use super::super::table::columns;
use super::super::{Context, OK};

/// Try what a command must not be able to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The level to test [default: the strongest that this machine gives to whoever runs this]
    #[arg(long, value_enum)]
    level: Option<Tested>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Tested {
    /// Landlock and seccomp
    L1,
    /// The same with namespaces
    L2,
}

/// The whole verdict.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    /// Whether every probe came out as it must.
    ok: bool,
    /// The level at which they were made; `L0` when there is no sandbox at all.
    level: String,
    /// What was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<Isolation>,
    probes: Vec<Probe>,
    /// Why it is not a stronger level.
    reasons: Vec<String>,
    /// What can be done about that.
    remedies: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let verdict = verdict(args.level);
    context.out.data(&verdict, || text(&verdict, &context.out))?;
    Ok(if verdict.ok { OK } else { ExitCode::FAILURE })
}

fn verdict(level: Option<Tested>) -> Verdict {
    let (level, mut reasons, remedies) = match level {
        Some(Tested::L1) => (Level::L1, Vec::new(), Vec::new()),
        Some(Tested::L2) => (Level::L2, Vec::new(), Vec::new()),
        None => {
            let measured = creel_launch::probe_levels();
            // Level 3 is level 2 in a cgroup, which whoever types this command has not: nothing is wrong with that.
            let reasons = measured.reasons.into_iter().filter(|reason| !reason.starts_with("L3:"));
            (measured.level, reasons.collect(), measured.remedies)
        }
    };
    let none = |reasons| Verdict {
        ok: false,
        level: Level::L0.to_string(),
        isolation: None,
        probes: Vec::new(),
        reasons,
        remedies: Vec::new(),
    };
    if level == Level::L0 {
        return Verdict { remedies, ..none(reasons) };
    }
    match creel_launch::probe_tool(level) {
        Ok((isolation, probes)) => Verdict {
            ok: !probes.is_empty() && probes.iter().all(Probe::as_expected),
            level: level.to_string(),
            isolation: Some(isolation),
            probes,
            reasons,
            remedies,
        },
        Err(error) => {
            reasons.push(format!("{level}: {error}"));
            Verdict { remedies, ..none(reasons) }
        }
    }
}

fn text(verdict: &Verdict, out: &Output) -> String {
    let mut text = String::new();
    if verdict.probes.is_empty() {
        text.push_str(
            &out.paint(Colour::Red, "✗ No sandbox can be built here; no command of an agent would run."),
        );
        text.push('\n');
    } else {
        let heading = ["", "DEED", "STOPPED BY", "MUST BE", "WAS"].map(|cell| out.paint(Colour::Grey, cell));
        let mut rows = vec![heading.to_vec()];
        rows.extend(verdict.probes.iter().map(|probe| row(probe, out)));
        text.push_str(&columns(&rows));
        let wrong = verdict.probes.iter().filter(|probe| !probe.as_expected()).count();
        let all = verdict.probes.len();
        let sum = match wrong {
            0 => out.paint(Colour::Green, &format!("All {all} probes came out as they must")),
            wrong => out.paint(Colour::Red, &format!("{wrong} of {all} probes came out WRONG")),
        };
        text.push_str(&format!("\n{sum}, at level {}.\n", verdict.level));
    }
    for sentence in verdict.isolation.iter().flat_map(|isolation| &isolation.gaps) {
        text.push_str(&format!("Not enforced here: {sentence}.\n"));
    }
    for sentence in verdict.reasons.iter().chain(&verdict.remedies) {
        text.push_str(sentence);
        text.push('\n');
    }
    text
}

fn row(probe: &Probe, out: &Output) -> Vec<String> {
    let word = |denied: bool| if denied { "denied" } else { "allowed" };
    let was = match &probe.errno {
        Some(errno) => format!("{} ({errno})", word(probe.denied)),
        None => word(probe.denied).to_owned(),
    };
    let (mark, was) = match probe.as_expected() {
        true => (out.paint(Colour::Green, "✓"), was),
        false => (out.paint(Colour::Red, "✗"), out.paint(Colour::Red, &was)),
    };
    vec![mark, probe.deed.clone(), probe.wall.clone(), word(probe.must_be_denied).to_owned(), was]
}

#[cfg(test)]
mod tests {
    use super::super::super::output::ColourWhen;
    use super::*;

    fn probe(deed: &str, must_be_denied: bool, errno: Option<&str>) -> Probe {
        Probe {
            group: "files".into(),
            deed: deed.into(),
            wall: if must_be_denied { "private root".into() } else { "-".into() },
            must_be_denied,
            denied: errno.is_some(),
            errno: errno.map(str::to_owned),
        }
    }

    fn shown(ok: bool, level: &str, probes: Vec<Probe>, reasons: &[&str], remedies: &[&str]) -> String {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let (reasons, remedies) = (own(reasons), own(remedies));
        let verdict = Verdict { ok, level: level.into(), isolation: None, probes, reasons, remedies };
        text(&verdict, &Output::new(false, ColourWhen::Never))
    }

    #[test]
    fn the_verdict_reads_well() {
        let good =
            || vec![probe("read a file outside", true, Some("ENOENT")), probe("run a program", false, None)];
        let bad =
            vec![probe("read a file outside", true, None), probe("run a program", false, Some("EACCES"))];
        insta::assert_snapshot!(
            [
                shown(true, "L2", good(), &[], &[]),
                shown(true, "L1", good(), &["L2: no user namespaces."], &["Boot with them."]),
                shown(false, "L2", bad, &[], &[]),
                shown(false, "L0", Vec::new(), &["L1: no Landlock."], &["Boot with lsm=landlock."]),
            ]
            .join("━━━\n")
        );
    }
}
