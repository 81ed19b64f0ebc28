//! `creel sandbox explain`.

mod session;

use std::fs::File;
use std::process::ExitCode;

use creel_config::disk::Disk;
use creel_config::plan::UnitKind;
use creel_config::sandbox::SandboxMode;
use creel_config::shape::Shape as _;
use creel_config::{Config, Loader, Paths, Show};
use creel_ipc::msg::sandbox::{ExplainParams, Explanation, SandboxExplain, Sandboxed};
use creel_ipc::msg::tool::ToolRunParams;
use creel_launch::{LaunchSpec, Launching, Level, Stdio};
use serde_json::Value;

use super::super::control::Control;
use super::super::error::CliError;
use super::super::output::{Colour, Output};
use super::super::table::{columns, plain};
use super::super::{Context, OK};
use crate::cgroup::Controllers;
use crate::explain::Ground;
use crate::settings::Source;
use crate::tool::command::{Command, Site, command};
use crate::tool::quota::Quotas;

/// Explain the sandbox of an agent.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The agent [default: the first]
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// One session, by its key as `creel sessions` shows it, or `main` for the agent's main session
    #[arg(long, value_name = "KEY")]
    session: Option<String>,
    /// Also name every denied system call and every variable
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let asked_for = args.session.as_deref().map(|key| session::find(context, args.agent.as_deref(), key));
    let asked_for = asked_for.transpose()?;
    let asked = ExplainParams {
        agent: asked_for.as_ref().map(|session| session.agent.clone()).or_else(|| args.agent.clone()),
        session: asked_for.as_ref().map(session::Found::wire),
    };
    let answer = Control::connect(context).and_then(|mut control| control.call::<SandboxExplain>(&asked));
    let (mut told, running) = match answer {
        Ok(told) => (told, true),
        Err(error) if error.is_not_running() && asked_for.is_none() => (alone(context, &asked)?, false),
        Err(error) => return Err(error),
    };
    if let (Some(session), Some(found)) = (&mut told.session, asked_for) {
        session.key = found.key;
    }
    if let Ok(loaded) =
        Loader::without_secrets(&Disk, &context.env).within(&context.paths).file(&context.paths.config)
    {
        name_sources(&mut told, &loaded.config);
    }
    context.out.data(&told, || {
        let hint =
            if running { "" } else { "Creel is not running: this is what its file says, tried out now.\n\n" };
        format!("{hint}{}", text(&told, &context.out, args.verbose))
    })?;
    Ok(OK)
}

/// Without a supervisor: what the file says, and a measurement of our own.
fn alone(context: &Context, asked: &ExplainParams) -> Result<Explanation, CliError> {
    let source = Source {
        paths: context.paths.clone(),
        overrides: context.overrides.clone(),
        env: context.env.clone(),
    };
    let settings = source.read()?;
    let off = settings.plan.supervision.mode == SandboxMode::Off;
    let measured = (!off).then(creel_launch::probe_levels);
    let level = measured.as_ref().map_or(Level::L0, |measured| measured.level);
    let ground = Ground {
        plan: &settings.plan,
        level,
        measured: measured.as_ref(),
        controllers: Controllers::default(),
    };
    let compose = |params: &ToolRunParams| compose(&settings.plan, params, level, &context.paths);
    let (mut told, spec, _) = ground.explain(asked, compose).map_err(CliError::Usage)?;
    if let (Some(commands), Ok(spec)) = (told.sandboxes.first_mut(), spec) {
        match try_out(&spec) {
            Ok(isolation) => commands.isolation = Some(isolation),
            Err(problem) => commands.problem = Some(problem),
        }
    }
    Ok(told)
}

fn compose(
    plan: &creel_config::Plan,
    params: &ToolRunParams,
    level: Level,
    paths: &Paths,
) -> Result<Command, String> {
    let own = plan.units.iter().find_map(|unit| match &unit.kind {
        UnitKind::Agent { id, workspace, tools, .. } if id.as_str() == params.agent => {
            Some((workspace, tools))
        }
        _ => None,
    });
    let (workspace, tools) = own.ok_or_else(|| "There is no such agent.".to_owned())?;
    if !workspace.is_dir() {
        return Err(format!(
            "The workspace {} does not exist yet; `creel up` makes it.",
            workspace.display()
        ));
    }
    let workspaces = plan.workspaces();
    let quotas = Quotas::of(&paths.state());
    let site = Site { workspace, policy: tools, level, paths, workspaces, quotas: &quotas };
    command(params, &site).map_err(|error| error.to_string())
}

fn try_out(spec: &LaunchSpec) -> Result<creel_ipc::msg::unit::Isolation, String> {
    let null = || File::options().read(true).write(true).open("/dev/null").map_err(|error| error.to_string());
    let stdio = Stdio { stdin: null()?.into(), stdout: null()?.into(), stderr: null()?.into() };
    let launched =
        Launching::begin(spec, stdio).and_then(Launching::wait).map_err(|error| error.to_string())?;
    let _ended = launched.wait();
    Ok(crate::tree::isolation(&launched.isolation))
}

/// Puts the place that decided into each `from`: `sandbox.memory` becomes `agents.defaults.sandbox.memory`, or `default
/// of sandbox.memory`.
fn name_sources(told: &mut Explanation, config: &Config) {
    let (given, usual) = (config.show(Show::Redacted), Config::default().show(Show::Redacted));
    let agent = told.agent.clone();
    let name = |from: &mut String| {
        if let Some(source) = source(from, &agent, &given, &usual) {
            *from = source;
        }
    };
    for sandbox in &mut told.sandboxes {
        sandbox.visible.iter_mut().for_each(|seen| name(&mut seen.from));
        sandbox.limits.iter_mut().for_each(|limit| name(&mut limit.from));
    }
}

fn source(key: &str, agent: &str, given: &Value, usual: &Value) -> Option<String> {
    let at = |value: &Value| key.split('.').try_fold(value.clone(), |value, part| value.get(part).cloned());
    let set = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
    if let Some(name) = key.strip_prefix("sandbox.") {
        let list = given.pointer("/agents/list").and_then(Value::as_array);
        let own = list.and_then(|list| list.iter().find(|own| own["id"] == agent));
        if set(own.and_then(|own| own.pointer(&format!("/sandbox/{name}")))) {
            return Some(format!("agents.list[{agent}].{key}"));
        }
        if set(given.pointer(&format!("/agents/defaults/sandbox/{name}"))) {
            return Some(format!("agents.defaults.{key}"));
        }
    }
    if !key.contains('.') {
        return None;
    }
    (at(given) == at(usual)).then(|| format!("default of {key}"))
}

fn text(told: &Explanation, out: &Output, verbose: bool) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    let colour = if told.level == "L0" { Colour::Red } else { Colour::Green };
    let level = out.paint(colour, &told.level);
    line(&match told.mode.as_str() {
        "off" => format!("Level {level}: sandbox.mode is \"off\", nothing is confined."),
        _ => format!(
            "Level {level}: {} escape attempts were denied when it was measured. sandbox.floor is {}.",
            told.denied, told.floor
        ),
    });
    if let Some(session) = &told.session {
        line(&session::text_of(session, &told.mode));
    }
    told.reasons.iter().for_each(|reason| line(&format!("Not higher: {reason}")));
    told.remedies.iter().for_each(|remedy| line(&format!("Remedy: {remedy}")));
    for sandbox in &told.sandboxes {
        line("");
        line(&out.paint(Colour::Green, &format!("━━ {}", plain(&sandbox.of))));
        section(sandbox, verbose, out, &mut line);
    }
    text
}

fn section(sandbox: &Sandboxed, verbose: bool, out: &Output, line: &mut impl FnMut(&str)) {
    if let Some(problem) = &sandbox.problem {
        line(&out.paint(Colour::Red, &format!("✗ {}", plain(problem))));
    }
    match &sandbox.isolation {
        Some(isolation) => {
            let spaces = match isolation.namespaces.is_empty() {
                true => "no namespaces".to_owned(),
                false => format!("namespaces {}", isolation.namespaces.join(", ")),
            };
            let caps = if isolation.no_new_privs { "no new privileges" } else { "MAY GAIN PRIVILEGES" };
            line(&format!(
                "Measured: {}; {spaces}; Landlock ABI {}; seccomp programs: {}; uid {}; {caps}",
                isolation.level, isolation.landlock_abi, isolation.seccomp_filters, isolation.uid
            ));
            if let Some(test) = &isolation.selftest {
                let got =
                    if test.escaped.is_empty() { "all denied".to_owned() } else { test.escaped.join(", ") };
                line(&format!("Self-test: {} attempts, {got}", test.denied));
            }
        }
        None => line("Measured: nothing, it does not run"),
    }
    let mut rows = vec![["SEES", "ACCESS", "FROM", ""].map(|cell| out.paint(Colour::Grey, cell)).to_vec()];
    rows.extend(sandbox.visible.iter().map(|seen| {
        vec![
            plain(&seen.path),
            seen.access.clone(),
            plain(&seen.from),
            plain(seen.note.as_deref().unwrap_or("")),
        ]
    }));
    rows.push(["LIMIT", "VALUE", "FROM", "ENFORCED BY"].map(|cell| out.paint(Colour::Grey, cell)).to_vec());
    rows.extend(
        sandbox
            .limits
            .iter()
            .map(|limit| vec![limit.what.clone(), limit.value.clone(), plain(&limit.from), limit.by.clone()]),
    );
    if !sandbox.visible.is_empty() {
        columns(&rows).lines().for_each(&mut *line);
    }
    if !sandbox.network.is_empty() {
        line(&format!("Network: {}", plain(&sandbox.network.join("; "))));
    }
    if let Some(setup) = &sandbox.setup {
        line(&format!("sandbox.setupCommand: {}", plain(setup)));
    }
    for calls in &sandbox.calls {
        let names = if verbose { format!(": {}", calls.names.join(" ")) } else { String::new() };
        line(&format!("System calls: {} ({}, {}){names}", calls.names.len(), calls.class, calls.errno));
    }
    if verbose && !sandbox.variables.is_empty() {
        line(&format!("Variables: {}", plain(&sandbox.variables.join(" "))));
    }
    let measured = sandbox.isolation.iter().flat_map(|isolation| &isolation.gaps);
    for gap in measured.chain(&sandbox.gaps) {
        line(&out.paint(Colour::Yellow, &format!("Not enforced here: {}", plain(gap))));
    }
}

#[cfg(test)]
mod tests {
    use creel_config::disk::Disk;
    use creel_ipc::msg::sandbox::{DeniedCalls, Limit, Visible};
    use creel_ipc::msg::unit::Isolation;

    use super::super::super::output::ColourWhen;
    use super::*;

    fn told() -> Explanation {
        let seen = |path: &str, access: &str, from: &str| Visible {
            path: path.into(),
            access: access.into(),
            from: from.into(),
            note: None,
        };
        let limit = |what: &str, value: &str, by: &str, from: &str| Limit {
            what: what.into(),
            value: value.into(),
            by: by.into(),
            from: from.into(),
        };
        let commands = Sandboxed {
            of: "commands of agent:main".into(),
            isolation: Some(Isolation {
                level: "L2".into(),
                namespaces: vec!["user".into(), "mnt".into()],
                landlock_abi: 7,
                seccomp_filters: 2,
                no_new_privs: true,
                uid: 1000,
                gaps: vec!["no cgroup".into()],
                selftest: None,
            }),
            visible: vec![
                seen("/home/a/work", "rw", "sandbox.workspaceAccess"),
                seen("/usr", "ro", "built in"),
            ],
            network: vec!["none (sandbox.network)".into()],
            limits: vec![
                limit("memory", "64 MiB", "rlimit", "sandbox.memory"),
                limit("processes and threads", "99", "rlimit", "sandbox.pids"),
                limit("time", "30 s", "supervisor", "sandbox.wallSeconds"),
            ],
            calls: vec![DeniedCalls {
                class: "common".into(),
                errno: "EPERM".into(),
                names: vec!["mount".into(), "socket*".into()],
            }],
            variables: vec!["HOME".into()],
            ..Sandboxed::default()
        };
        Explanation {
            agent: "main".into(),
            session: None,
            mode: "all".into(),
            floor: "L1".into(),
            level: "L2".into(),
            denied: 15,
            reasons: vec!["L3: no delegated cgroup is used.".into()],
            remedies: Vec::new(),
            sandboxes: vec![commands],
        }
    }

    #[test]
    fn an_explanation_names_who_decided() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("creel.json");
        let config = "{sandbox: {pids: 99}, agents: {list: [{id: 'main', sandbox: {memory: '64m'}}]}}";
        std::fs::write(&file, config).unwrap();
        let env = creel_config::Env::new();
        let loaded = Loader::without_secrets(&Disk, &env).file(&file).unwrap();
        let mut told = told();
        name_sources(&mut told, &loaded.config);
        let out = Output::new(false, ColourWhen::Never);
        insta::assert_snapshot!(text(&told, &out, true));
    }
}
