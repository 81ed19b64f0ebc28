//! The wording of the command line, reviewed as snapshots.

use std::collections::BTreeMap;

use clap::{CommandFactory, Parser};
use creel_ipc::hello::Role;
use creel_ipc::msg::event::{Event, EventKind};
use creel_ipc::msg::supervisor::Units;
use creel_ipc::msg::unit::{ExitCause, Isolation, LastExit, LogCounts, UnitState, UnitStatus};

use super::Cli;
use super::output::{ColourWhen, Output};
use super::status_text::{Look, render};

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

/// A unit that is well.
pub(crate) fn unit(name: &str, kind: Role, state: UnitState) -> UnitStatus {
    let gaps = vec!["no delegated cgroup".into()];
    UnitStatus {
        name: name.into(),
        kind,
        state,
        pid: Some(4711),
        incarnation: 1,
        restarts: 0,
        restarts_day: None,
        falls: BTreeMap::new(),
        held: false,
        uptime_ms: Some(125_000),
        last_exit: None,
        next_attempt_ms: None,
        pss_bytes: Some(3_250_586),
        cpu_ms: None,
        tasks: None,
        log: None,
        last_lines: Vec::new(),
        isolation: Some(Isolation { level: "L2".into(), gaps, ..Isolation::default() }),
        workspace_limits: (name == "agent:main").then(|| "quota".to_owned()),
    }
}

/// A supervisor with these units.
pub(crate) fn units(units: Vec<UnitStatus>) -> Units {
    Units {
        units,
        level: "L2".into(),
        supervisor_pid: 4700,
        supervisor_pss_bytes: Some(2_097_152),
        supervisor_rss_bytes: Some(5_242_880),
        supervisor_cpu_ms: Some(1200),
        version: "0.1.0".into(),
        uptime_ms: 7_500_000,
        config_error: None,
    }
}

/// A unit that is down.
fn down(name: &str, kind: Role, state: UnitState) -> UnitStatus {
    UnitStatus { pid: None, uptime_ms: None, pss_bytes: None, isolation: None, ..unit(name, kind, state) }
}

fn exit(cause: ExitCause, code: Option<i32>, signal: Option<i32>, detail: &str) -> Option<LastExit> {
    let detail = Some(detail.to_owned());
    Some(LastExit { cause, code, signal, core: false, stage: None, errno: None, detail, at_ms: NOW - 90_000 })
}

const NOW: i64 = 1_795_237_785_083;

/// One of everything that can be the matter.
fn troubled() -> Units {
    let mut all = units(vec![
        down("channel:irc:default", Role::Channel, UnitState::Backoff),
        unit("gateway", Role::Gateway, UnitState::Running),
        unit("egress", Role::Egress, UnitState::Starting),
        UnitStatus {
            restarts: 2,
            restarts_day: Some(7),
            last_exit: exit(ExitCause::Signal, None, Some(9), "killed"),
            falls: BTreeMap::from([(ExitCause::Signal, 2)]),
            cpu_ms: Some(4200),
            tasks: Some(4),
            log: Some(LogCounts { lines: 120, dropped: 3, lost: 0 }),
            ..unit("agent:main", Role::Agent, UnitState::Running)
        },
        UnitStatus {
            last_exit: exit(ExitCause::Config, Some(78), None, "the token is wrong"),
            ..down("channel:telegram:home", Role::Channel, UnitState::Quarantined)
        },
        UnitStatus {
            held: true,
            last_exit: exit(ExitCause::Stopped, Some(0), None, "asked"),
            ..down("agent:idle", Role::Agent, UnitState::Stopped)
        },
        unit("tool:0199", Role::Tool, UnitState::Running),
    ]);
    all.units[0].next_attempt_ms = Some(12_000);
    all.units[0].last_exit = exit(ExitCause::Failed, Some(1), None, "the server closed the connection");
    all.units[0].last_lines = vec!["connecting".into(), "\u{1b}[2Jthe server closed the connection".into()];
    all.config_error = Some("creel.json:3:5: gateway.prot: unknown key; did you mean \"port\"?".into());
    all
}

fn text(units: &Units, verbose: bool, width: usize, when: ColourWhen) -> String {
    render(units, &Output::new(false, when), &Look { verbose, width, now_ms: NOW })
}

#[test]
fn status_tells_what_happened() {
    insta::assert_snapshot!(text(&troubled(), false, usize::MAX, ColourWhen::Never));
    insta::assert_snapshot!(text(&troubled(), true, usize::MAX, ColourWhen::Never));
}

#[test]
fn status_of_a_home_that_is_well_is_short() {
    let well = units(vec![
        unit("gateway", Role::Gateway, UnitState::Running),
        unit("egress", Role::Egress, UnitState::Running),
        unit("agent:main", Role::Agent, UnitState::Running),
    ]);
    insta::assert_snapshot!(text(&well, false, usize::MAX, ColourWhen::Never));
    insta::assert_snapshot!(text(&well, false, usize::MAX, ColourWhen::Always));
}

#[test]
fn status_fits_a_narrow_terminal() {
    for width in [100, 60, 30] {
        let text = text(&troubled(), true, width, ColourWhen::Always);
        assert!(text.lines().all(|line| super::table::seen(line) <= width), "{width}:\n{text}");
    }
    insta::assert_snapshot!(text(&troubled(), false, 60, ColourWhen::Never));
}

#[test]
fn events_are_told_in_words() {
    let of = |kind, event: Event| Event { kind, at: "2026-11-21T15:09:45.083Z".into(), ..event };
    let unit = Event { unit: Some("agent:main".into()), incarnation: Some(3), ..Event::default() };
    let told = [
        of(EventKind::SupervisorStarted, Event::told(EventKind::Other, "Creel 0.1.0 starts as process 7.")),
        of(EventKind::Launched, unit.clone()),
        of(
            EventKind::Ended,
            Event {
                cause: Some(ExitCause::Signal),
                signal: Some(11),
                core: true,
                detail: Some("last \u{1b}[2J words".into()),
                ..unit.clone()
            },
        ),
        of(EventKind::Backoff, Event { next_attempt_ms: Some(250), ..unit.clone() }),
        of(
            EventKind::Ended,
            Event {
                cause: Some(ExitCause::LaunchFailed),
                stage: Some("exec".into()),
                errno: Some(2),
                ..unit.clone()
            },
        ),
        of(EventKind::OperatorRestart, Event { uid: Some(1000), ..unit.clone() }),
        of(EventKind::LogDropped, Event { count: Some(99), ..unit }),
    ];
    let out = Output::new(false, ColourWhen::Never);
    insta::assert_snapshot!(told.map(|event| super::events::line(&event, &out)).join("\n"));
}
