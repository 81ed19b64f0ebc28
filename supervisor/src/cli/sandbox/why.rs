//! `creel sandbox why`.

use std::process::ExitCode;

use creel_ipc::msg::sandbox::{Certainty, Denial, Denials, SandboxWhy, WhyParams};

use super::super::control::Control;
use super::super::error::CliError;
use super::super::output::{Colour, Output};
use super::super::table::{duration, plain};
use super::super::{Context, OK};
use crate::clock::now_ms;

/// Show what was denied lately.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this agent, its worker and its commands
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// How many of the newest
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=256))]
    lines: u32,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<ExitCode, CliError> {
    let asked = WhyParams { agent: args.agent, limit: Some(args.lines) };
    let denials = Control::connect(context)?.call::<SandboxWhy>(&asked)?;
    context.out.data(&denials, || text(&denials, &context.out, now_ms()))?;
    Ok(OK)
}

fn text(denials: &Denials, out: &Output, now_ms: i64) -> String {
    if denials.denials.is_empty() {
        return "Nothing was denied since Creel started, as far as anybody can tell.\n".to_owned();
    }
    let mut text: String = denials.denials.iter().map(|denial| line(denial, out, now_ms)).collect();
    if denials.forgotten > 0 {
        text.push_str(&format!(
            "{} older ones are forgotten; `creel events` has the first of each.\n",
            denials.forgotten
        ));
    }
    if denials.denials.iter().any(|denial| denial.certainty == Certainty::Inferred) {
        let note = "~ concluded from what a command printed or how it ended; what has no mark was counted or refused by the \
                    kernel, egress or the supervisor";
        text.push_str(&format!("{}\n", out.paint(Colour::Grey, note)));
    }
    if denials.denials.iter().any(|denial| denial.certainty == Certainty::Told) {
        let note = "> told by the worker of the agent about its own tools; one that was taken over may tell anything";
        text.push_str(&format!("{}\n", out.paint(Colour::Grey, note)));
    }
    text
}

fn line(denial: &Denial, out: &Output, now_ms: i64) -> String {
    let ago = duration(u64::try_from(now_ms - denial.at_ms).unwrap_or(0));
    let mark = match denial.certainty {
        Certainty::Exact => " ",
        Certainty::Inferred => "~",
        Certainty::Told => ">",
    };
    let times = if denial.count > 1 { format!(" ({} times)", denial.count) } else { String::new() };
    let run = denial.run.as_ref().map(|run| format!(" run {}", plain(run))).unwrap_or_default();
    let head = out.paint(Colour::Grey, &format!("{ago} ago  {}{run}", plain(&denial.unit)));
    format!("{head}\n{mark} {}{times}\n", plain(&denial.sentence))
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::sandbox::Rule;

    use super::super::super::output::ColourWhen;
    use super::*;

    #[test]
    fn denials_read_well() {
        let of = |run: Option<&str>, certainty, sentence: &str, count| Denial {
            at_ms: 1_000,
            unit: "agent:main".into(),
            run: run.map(str::to_owned),
            rule: Rule::Files,
            certainty,
            sentence: sentence.into(),
            count,
        };
        let denials = Denials {
            denials: vec![
                of(Some("t1:2"), Certainty::Inferred, "/home/b/key is outside its sandbox.", 1),
                of(
                    None,
                    Certainty::Exact,
                    "evil.example:443 was refused by egress: not on \u{1b}[2J the list.",
                    3,
                ),
                of(
                    None,
                    Certainty::Told,
                    "The tool `read` refused ../notes: it is not in the agent's workspace.",
                    1,
                ),
            ],
            forgotten: 4,
        };
        let out = Output::new(false, ColourWhen::Never);
        insta::assert_snapshot!(format!(
            "{}━━━\n{}",
            text(&denials, &out, 61_000),
            text(&Denials::default(), &out, 0)
        ));
    }
}
