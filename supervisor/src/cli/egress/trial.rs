//! `creel egress test`.

use std::process::ExitCode;

use creel_config::plan::UnitName;
use creel_ipc::msg::egress::{EgressTerms, EgressTest, EgressTestParams, EgressTestResult, HostRule};
use creel_ipc::reach::{Host, Target, find};

use super::super::control::Control;
use super::super::error::CliError;
use super::super::output::Colour;
use super::super::{Context, OK};
use crate::settings::Source;
use crate::unit::template;

/// Ask whether a unit may reach a host.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel egress test api.github.com\n  creel egress test db.lan:5432 --unit agent:work\n  \
                        creel egress test git.example.org --unit tools:main\n  \
                        creel egress test api.telegram.org --unit channel:telegram:default --connect\n\n\
                        While Creel runs, the running egress answers, looks the name up and checks its addresses. Otherwise, and for \
                        tools:<agent> (the commands of an agent), the rules of the configuration file are asked. \
                        The exit code is 0 when the host may be reached, 1 when not."
)]
pub(crate) struct Args {
    /// The host, with a port unless that is 443: example.org, example.org:8443, [::1]:80
    target: String,
    /// Whose connection: agent:<id>, channel:<channel>:<account>, or tools:<agent>
    #[arg(long, value_name = "UNIT", default_value = "agent:main")]
    unit: String,
    /// Really connect, send nothing, and hang up
    #[arg(long)]
    connect: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let target = Target::parse(&args.target, Some(443)).map_err(|error| {
        let why = error.map_or_else(|| "it has no usable port".to_owned(), |error| error.to_string());
        CliError::Usage(format!("{:?} is no host: {why}.", args.target))
    })?;
    let commands = args.unit.strip_prefix("tools:");
    let running = match commands {
        Some(_) => None,
        None => match Control::connect(context) {
            Ok(control) => Some(control),
            Err(error) if error.is_not_running() => None,
            Err(error) => return Err(error),
        },
    };
    let result = match running {
        Some(mut control) => {
            let (unit, host) = (args.unit.clone(), target.host.to_string());
            let asked = EgressTestParams { unit, host, port: target.port, connect: args.connect };
            control.call::<EgressTest>(&asked)?
        }
        None => {
            if args.connect {
                let sentence =
                    "--connect needs a running Creel and a unit that runs; only egress has a network.";
                return Err(CliError::Usage(sentence.to_owned()));
            }
            by_the_file(context, args, &target)?
        }
    };
    show(context, args, &target, &result)?;
    let reached = !args.connect || result.connected.is_some();
    Ok(if result.allowed && reached { OK } else { ExitCode::FAILURE })
}

/// What the rules of the configuration file say. The name is not looked up.
fn by_the_file(context: &Context, args: &Args, target: &Target) -> Result<EgressTestResult, CliError> {
    let (rules, terms) = rules(context, &args.unit)?;
    Ok(match find(&args.unit, &terms.key, &rules, target) {
        Ok(rule) => {
            let refused = match target.host {
                Host::Address(_) if target.host.is_private() && !rule.private => Some(format!(
                    "{} is a private address, and `{}` does not name a private host; add it to `egress.allowPrivate` if that is \
                     meant",
                    target.host, rule.source
                )),
                _ => None,
            };
            EgressTestResult {
                allowed: refused.is_none(),
                rule: Some(rule.source.clone()),
                tls: rule.tls,
                reason: refused,
                ..EgressTestResult::default()
            }
        }
        Err(refusal) => EgressTestResult { reason: Some(refusal.to_string()), ..EgressTestResult::default() },
    })
}

fn rules(context: &Context, name: &str) -> Result<(Vec<HostRule>, EgressTerms), CliError> {
    let source = Source {
        paths: context.paths.clone(),
        overrides: context.overrides.clone(),
        env: context.env.clone(),
    };
    let plan = source.read()?.plan;
    let of = |name: &str| name.parse::<UnitName>().ok().and_then(|name| plan.unit(&name));
    let found = match name.strip_prefix("tools:") {
        Some(agent) => of(&format!("agent:{agent}")).and_then(template::tool_reach),
        None => of(name).map(|unit| (template::rules(unit), template::terms(unit))),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = plan.units.iter().map(|unit| unit.name.to_string()).skip(2).collect();
        CliError::Usage(format!(
            "There is no unit \"{name}\"; there are: {}, and tools:<agent> for the commands of an agent.",
            known.join(", ")
        ))
    })
}

fn show(context: &Context, args: &Args, target: &Target, result: &EgressTestResult) -> Result<(), CliError> {
    context.out.data(result, || {
        let (word, colour) =
            if result.allowed { ("allowed", Colour::Green) } else { ("refused", Colour::Red) };
        let mut text = format!("{}: {} for {}", context.out.paint(colour, word), target, args.unit);
        if let Some(rule) = &result.rule {
            text.push_str(&format!("\n  rule       {rule}{}", if result.tls { " (TLS only)" } else { "" }));
        }
        if !result.addresses.is_empty() {
            text.push_str(&format!("\n  addresses  {}", result.addresses.join(", ")));
        } else if result.allowed && matches!(target.host, Host::Name(_)) {
            text.push_str("\n  addresses  not looked up: egress was not asked");
        }
        if let Some(connected) = &result.connected {
            text.push_str(&format!("\n  connected  {connected}"));
        }
        if let Some(reason) = &result.reason {
            text.push_str(&format!("\n  reason     {reason}"));
        }
        text
    })
}
