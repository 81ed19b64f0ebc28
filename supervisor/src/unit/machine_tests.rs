use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn machine() -> Machine {
    Machine::new(Policy::Permanent, Rules::default(), 7)
}

fn running(machine: &mut Machine, now: At) {
    machine.apply(Event::Start, now);
    machine.apply(Event::Launched, now);
    machine.apply(Event::Ready, now);
    assert_eq!(machine.state(), UnitState::Running);
}

fn killed() -> Event {
    Event::Ended { code: None, signal: Some(9) }
}

fn cause(actions: &[Action]) -> ExitCause {
    let found = actions.iter().find_map(|action| match action {
        Action::Ended(end) => Some(end.cause),
        _ => None,
    });
    found.expect("an end")
}

#[test]
fn a_settled_unit_that_is_killed_comes_back_in_the_same_breath() {
    let mut unit = machine();
    running(&mut unit, SECOND);
    let actions = unit.apply(killed(), 3 * SECOND);
    assert!(matches!(actions.as_slice(), [Action::Ended(_), Action::Launch(2)]), "{actions:?}");
    assert_eq!((unit.state(), unit.restarts()), (UnitState::Starting, 1));
}

#[test]
fn a_crash_loop_ends_in_quarantine_and_an_operator_lifts_it() {
    let mut unit = machine();
    let mut now = SECOND;
    unit.apply(Event::Start, now);
    let mut crashes = 0;
    while unit.state() != UnitState::Quarantined {
        unit.apply(Event::Launched, now);
        unit.apply(Event::Ended { code: Some(101), signal: None }, now);
        crashes += 1;
        now = unit.deadline().unwrap_or(now);
        unit.apply(Event::Tick, now);
    }
    assert_eq!(crashes, 6);
    assert_eq!(unit.apply(Event::Tick, now + 3600 * SECOND), []);
    assert_eq!(unit.apply(Event::Restart, now), [Action::Launch(7)]);
}

#[test]
fn a_wrong_configuration_is_not_tried_again_until_it_changes() {
    for code in [64, 78] {
        let mut unit = machine();
        running(&mut unit, SECOND);
        let actions = unit.apply(Event::Ended { code: Some(code), signal: None }, 2 * SECOND);
        assert_eq!(cause(&actions), ExitCause::Config);
        assert_eq!(unit.state(), UnitState::Quarantined);
        assert_eq!(unit.apply(Event::Changed, 3 * SECOND), [Action::Launch(2)]);
    }
}

#[test]
fn a_failed_launch_waits_longest_at_once() {
    let mut unit = machine();
    unit.apply(Event::Start, SECOND);
    let actions = unit.apply(Event::LaunchFailed("exec: no such file".into()), SECOND);
    assert_eq!(cause(&actions), ExitCause::LaunchFailed);
    assert_eq!(unit.state(), UnitState::Backoff);
    let wait = unit.deadline().expect("a deadline") - SECOND;
    assert!(wait >= 24 * SECOND && wait <= 36 * SECOND, "{wait:?}");
}

#[test]
fn a_unit_that_never_gets_ready_is_ended_and_counts_as_crashed() {
    let mut unit = machine();
    unit.apply(Event::Start, SECOND);
    unit.apply(Event::Launched, SECOND);
    assert_eq!(unit.apply(Event::Tick, SECOND + START_TIMEOUT), [Action::Terminate]);
    let actions = unit.apply(Event::Ended { code: Some(0), signal: None }, 32 * SECOND);
    assert_eq!(cause(&actions), ExitCause::StartTimeout);
}

#[test]
fn a_wedged_unit_is_aborted_then_killed() {
    let mut unit = machine();
    running(&mut unit, SECOND);
    let fault = Event::Fault { cause: ExitCause::Watchdog, detail: "3 pings missed".into() };
    assert_eq!(unit.apply(fault, 2 * SECOND), [Action::Abort]);
    assert_eq!(unit.apply(Event::Tick, 7 * SECOND), [Action::Kill]);
    let actions = unit.apply(killed(), 7 * SECOND);
    assert_eq!(cause(&actions), ExitCause::Watchdog);
}

#[test]
fn a_stop_wins_over_a_fall_and_over_a_restart() {
    let mut unit = machine();
    running(&mut unit, SECOND);
    unit.apply(Event::Restart, 2 * SECOND);
    unit.apply(Event::Stop, 2 * SECOND);
    unit.apply(killed(), 2 * SECOND);
    assert_eq!(unit.state(), UnitState::Stopped);
    assert_eq!(unit.apply(Event::Changed, 3 * SECOND), []);

    unit.apply(Event::Start, 3 * SECOND);
    unit.apply(Event::Ended { code: Some(1), signal: None }, 3 * SECOND);
    assert_eq!(unit.state(), UnitState::Backoff);
    assert_eq!(unit.apply(Event::Stop, 3 * SECOND), []);
    assert_eq!(unit.state(), UnitState::Stopped);
}

#[test]
fn a_stop_during_a_launch_ends_what_comes_out_of_it() {
    let mut unit = machine();
    unit.apply(Event::Start, SECOND);
    unit.apply(Event::Stop, SECOND);
    assert_eq!(unit.apply(Event::Launched, SECOND), [Action::Terminate]);
    assert_eq!(unit.apply(Event::Tick, 60 * SECOND), [Action::Kill]);
}

#[test]
fn a_temporary_unit_never_comes_back() {
    let mut unit = Machine::new(Policy::Temporary, Rules::default(), 7);
    running(&mut unit, SECOND);
    unit.apply(killed(), 10 * SECOND);
    assert_eq!((unit.state(), unit.deadline()), (UnitState::Stopped, None));
}

#[test]
fn seccomp_and_protocol_ends_have_their_own_causes() {
    assert_eq!(plain_cause(None, Some(31)), ExitCause::Sandbox);
    assert_eq!(plain_cause(Some(76), None), ExitCause::Protocol);
    assert_eq!(plain_cause(Some(0), None), ExitCause::Clean);
    assert_eq!(plain_cause(Some(1), None), ExitCause::Failed);
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Start),
        Just(Event::Stop),
        Just(Event::Restart),
        Just(Event::Changed),
        Just(Event::Launched),
        Just(Event::LaunchFailed("stage".into())),
        Just(Event::Ready),
        Just(Event::Fault { cause: ExitCause::Protocol, detail: "torn".into() }),
        prop_oneof![Just(0), Just(1), Just(75), Just(78), Just(101)]
            .prop_map(|code| Event::Ended { code: Some(code), signal: None }),
        Just(killed()),
        Just(Event::Tick),
    ]
}

/// What the world would really send: no end without a process, no launch result without a launch.
fn possible(event: &Event, launching: bool, alive: bool) -> bool {
    match event {
        Event::Launched | Event::LaunchFailed(_) => launching,
        Event::Ended { .. } | Event::Ready => alive,
        _ => true,
    }
}

proptest! {
    #[test]
    fn whatever_happens_there_is_at_most_one_process_and_a_stop_is_a_stop(
        steps in proptest::collection::vec((events(), 0_u64..40_000), 1..200)
    ) {
        let mut unit = machine();
        let (mut now, mut launching, mut alive, mut wanted) = (Duration::ZERO, false, false, false);
        let mut incarnation = 0;
        for (event, millis) in steps {
            now += Duration::from_millis(millis);
            if !possible(&event, launching, alive) {
                continue;
            }
            match &event {
                Event::Start | Event::Restart => wanted = true,
                Event::Stop => wanted = false,
                Event::Launched => (launching, alive) = (false, true),
                Event::LaunchFailed(_) => launching = false,
                Event::Ended { .. } => alive = false,
                _ => {}
            }
            for action in unit.apply(event, now) {
                if let Action::Launch(number) = action {
                    prop_assert!(wanted, "launched against the operator's wish");
                    prop_assert!(!launching && !alive, "two processes");
                    prop_assert!(number == incarnation + 1);
                    (launching, incarnation) = (true, number);
                }
            }
            match unit.state() {
                UnitState::Stopped | UnitState::Quarantined => {
                    prop_assert!(!launching && !alive && unit.deadline().is_none());
                }
                UnitState::Backoff => prop_assert!(!launching && !alive && unit.deadline().is_some()),
                UnitState::Starting => prop_assert!(launching || alive && unit.deadline().is_some()),
                UnitState::Running => prop_assert!(alive && !launching),
                UnitState::Stopping => prop_assert!(launching || alive && unit.deadline().is_some()),
            }
            if !wanted {
                prop_assert!(!matches!(unit.state(), UnitState::Running | UnitState::Starting));
            }
        }
    }
}
