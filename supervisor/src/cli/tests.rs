//! The wording of the command line, reviewed as snapshots.

use clap::{CommandFactory, Parser};
use creel_ipc::hello::Role;
use creel_ipc::msg::supervisor::Units;
use creel_ipc::msg::unit::{ExitCause, Isolation, LastExit, UnitState, UnitStatus};

use super::output::Output;
use super::{Cli, status};

/// The help of a command and of all below it.
fn help(command: &mut clap::Command, out: &mut String) {
    let long = command.render_long_help();
    out.push_str(&format!("━━ {}\n{long}\n", command.get_bin_name().unwrap_or("creel")));
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        help(sub, out);
    }
}

#[test]
fn help_reads_well() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut text = String::new();
    help(&mut command, &mut text);
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "[version]"));
}

#[test]
fn a_mistyped_command_gets_a_hint() {
    insta::assert_snapshot!(Cli::try_parse_from(["creel", "stauts"]).unwrap_err().to_string());
    insta::assert_snapshot!(Cli::try_parse_from(["creel", "--port", "99999", "up"]).unwrap_err().to_string());
}

#[test]
fn status_tells_what_happened() {
    let isolation =
        Isolation { level: "L2".into(), gaps: vec!["no delegated cgroup".into()], ..Isolation::default() };
    let unit = |name: &str, kind, state| UnitStatus {
        name: name.into(),
        kind,
        state,
        pid: Some(4711),
        incarnation: 1,
        restarts: 0,
        restarts_day: None,
        falls: std::collections::BTreeMap::new(),
        held: false,
        uptime_ms: Some(125_000),
        last_exit: None,
        next_attempt_ms: None,
        pss_bytes: Some(3_250_586),
        isolation: Some(isolation.clone()),
    };
    let exit = |cause, code, signal, detail: &str| {
        let detail = Some(detail.to_owned());
        Some(LastExit { cause, code, signal, core: false, stage: None, errno: None, detail, at_ms: 0 })
    };
    let units = Units {
        units: vec![
            unit("gateway", Role::Gateway, UnitState::Running),
            UnitStatus {
                restarts: 2,
                last_exit: exit(ExitCause::Signal, None, Some(9), "killed"),
                ..unit("agent:main", Role::Agent, UnitState::Running)
            },
            UnitStatus {
                pid: None,
                uptime_ms: None,
                pss_bytes: None,
                isolation: None,
                next_attempt_ms: Some(12_000),
                last_exit: exit(ExitCause::Failed, Some(1), None, "the server closed the connection"),
                ..unit("channel:irc:default", Role::Channel, UnitState::Backoff)
            },
        ],
        level: "L2".into(),
        supervisor_pid: 4700,
        supervisor_pss_bytes: Some(2_097_152),
        version: "0.1.0".into(),
        uptime_ms: 7_500_000,
        config_error: Some("creel.json:3:5: gateway.prot: unknown key; did you mean \"port\"?".into()),
    };
    insta::assert_snapshot!(status::render(&units, &Output::new(true), true));
}
