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
    Event::Ended(Exit { signal: Some(9), ..Exit::default() })
}

fn exited(code: i32) -> Event {
    Event::Ended(Exit { code: Some(code), ..Exit::default() })
}

fn refused(errno: i32) -> Event {
    Event::LaunchFailed(Failure { stage: "exec".into(), errno: Some(errno), detail: "no".into() })
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
        unit.apply(exited(101), now);
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
        let actions = unit.apply(exited(code), 2 * SECOND);
        assert_eq!(cause(&actions), ExitCause::Config);
        assert_eq!(unit.state(), UnitState::Quarantined);
        assert_eq!(unit.apply(Event::Changed, 3 * SECOND), [Action::Launch(2)]);
    }
}

#[test]
fn a_failed_launch_waits_longest_at_once() {
    let mut unit = machine();
    unit.apply(Event::Start, SECOND);
    let actions = unit.apply(refused(2), SECOND);
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
    let actions = unit.apply(exited(0), 32 * SECOND);
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
    unit.apply(exited(1), 3 * SECOND);
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
fn fault_30_a_failed_launch_names_its_stage_and_errno_and_a_shortage_is_tried_again_soon() {
    let mut unit = machine();
    unit.apply(Event::Start, SECOND);
    let actions = unit.apply(refused(11), SECOND);
    let [Action::Ended(end)] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((end.stage.as_deref(), end.errno), (Some("exec"), Some(11)));
    let wait = unit.deadline().expect("a deadline") - SECOND;
    assert!(wait >= SECOND / 20 && wait <= SECOND / 5, "{wait:?}");
}

#[test]
fn a_launch_that_hangs_is_given_up() {
    let mut unit = machine();
    unit.apply(Event::Start, SECOND);
    assert_eq!(unit.apply(Event::Tick, SECOND + START_TIMEOUT), [Action::Terminate]);
    assert_eq!(unit.apply(Event::Tick, 60 * SECOND), [Action::Kill]);
    assert_eq!(cause(&unit.apply(refused(4), 60 * SECOND)), ExitCause::LaunchFailed);
    assert_eq!(unit.state(), UnitState::Backoff);
}

#[test]
fn a_held_lock_is_waited_for_slowly_and_never_counts_as_a_crash() {
    let mut unit = machine();
    running(&mut unit, SECOND);
    let mut now = 60 * SECOND;
    for _ in 0..40 {
        assert_eq!(cause(&unit.apply(exited(75), now)), ExitCause::Busy);
        let wait = unit.deadline().expect("a deadline") - now;
        assert!(wait >= 24 * SECOND, "{wait:?}");
        now = unit.deadline().expect("a deadline");
        unit.apply(Event::Tick, now);
    }
    assert_eq!(unit.falls().get(&ExitCause::Busy), Some(&40));
}

#[test]
fn fault_34_the_second_violation_of_the_sandbox_sets_a_unit_aside() {
    let mut unit = machine();
    let violation = Event::Ended(Exit { signal: Some(31), ..Exit::default() });
    running(&mut unit, SECOND);
    unit.apply(violation.clone(), 5 * SECOND);
    assert_eq!(unit.state(), UnitState::Starting);
    unit.apply(Event::Launched, 5 * SECOND);
    unit.apply(violation, 60 * SECOND);
    assert_eq!(unit.state(), UnitState::Quarantined);
}

#[test]
fn a_transient_unit_that_finished_stays_down_and_one_that_failed_comes_back() {
    let mut unit = Machine::new(Policy::Transient, Rules::default(), 7);
    running(&mut unit, SECOND);
    unit.apply(exited(1), 5 * SECOND);
    assert_eq!(unit.state(), UnitState::Starting);
    unit.apply(Event::Launched, 5 * SECOND);
    unit.apply(exited(0), 9 * SECOND);
    assert_eq!((unit.state(), unit.deadline()), (UnitState::Stopped, None));
}

#[test]
fn who_is_held_back_waits_although_it_was_settled() {
    let mut unit = machine();
    running(&mut unit, SECOND);
    unit.hold_back(2 * SECOND);
    unit.apply(killed(), 60 * SECOND);
    assert_eq!((unit.state(), unit.deadline()), (UnitState::Backoff, Some(62 * SECOND)));
}

#[test]
fn a_new_configuration_starts_nothing_that_was_stopped() {
    let mut unit = machine();
    running(&mut unit, SECOND);
    unit.apply(Event::Stop, 2 * SECOND);
    assert_eq!(unit.apply(Event::Renew, 2 * SECOND), []);
    unit.apply(killed(), 3 * SECOND);
    assert_eq!(unit.state(), UnitState::Stopped);
    assert_eq!(unit.apply(Event::Renew, 3 * SECOND), []);
    assert_eq!(unit.apply(Event::Changed, 3 * SECOND), []);
    assert_eq!(unit.apply(Event::Start, 3 * SECOND), [Action::Launch(2)]);
}

fn events() -> impl Strategy<Value = Event> {
    let fault = |cause| Event::Fault { cause, detail: "torn".into() };
    prop_oneof![
        Just(Event::Start),
        Just(Event::Stop),
        Just(Event::Restart),
        Just(Event::Renew),
        Just(Event::Changed),
        Just(Event::Launched),
        Just(refused(2)),
        Just(refused(11)),
        Just(Event::Ready),
        Just(fault(ExitCause::Protocol)),
        Just(fault(ExitCause::Watchdog)),
        prop_oneof![Just(0), Just(1), Just(75), Just(78), Just(101)].prop_map(exited),
        Just(killed()),
        Just(Event::Ended(Exit { signal: Some(31), ..Exit::default() })),
        Just(Event::Ended(Exit { signal: Some(9), oom: true, ..Exit::default() })),
        Just(Event::Tick),
    ]
}

/// The world around a unit: what it has launched, and what an operator last said.
#[derive(Debug, Default)]
struct World {
    launching: bool,
    alive: bool,
    wanted: bool,
    incarnation: u64,
    restarts_asked: u64,
    ended: u64,
}

impl World {
    /// What the world would really send: no end without a process, no launch result without a launch.
    fn possible(&self, event: &Event) -> bool {
        match event {
            Event::Launched | Event::LaunchFailed(_) => self.launching,
            Event::Ended(_) | Event::Ready => self.alive,
            _ => true,
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Start | Event::Restart => self.wanted = true,
            Event::Stop => self.wanted = false,
            Event::Launched => (self.launching, self.alive) = (false, true),
            Event::LaunchFailed(_) => self.launching = false,
            Event::Ended(_) => self.alive = false,
            _ => {}
        }
    }

    fn occupied(&self) -> bool {
        self.launching || self.alive
    }
}

proptest! {
    #[test]
    fn whatever_happens_there_is_at_most_one_process_and_a_stop_is_a_stop(
        which in 0_usize..3,
        steps in proptest::collection::vec((events(), 0_u64..40_000), 1..200)
    ) {
        let policy = Policy::ALL[which];
        let mut unit = Machine::new(policy, Rules::default(), 7);
        let mut world = World::default();
        let mut now = Duration::ZERO;
        for (event, millis) in steps {
            now += Duration::from_millis(millis);
            if !world.possible(&event) {
                continue;
            }
            world.happen(&event);
            let before = unit.state();
            let asked = matches!(event, Event::Start | Event::Restart | Event::Renew | Event::Changed);
            let mut ends = Vec::new();
            for action in unit.apply(event.clone(), now) {
                match action {
                    Action::Launch(number) => {
                        prop_assert!(world.wanted, "launched against the operator's wish");
                        prop_assert!(!world.occupied(), "two processes");
                        prop_assert!(number == world.incarnation + 1);
                        (world.launching, world.incarnation) = (true, number);
                        world.restarts_asked += u64::from(asked);
                        if policy == Policy::Temporary && !asked {
                            prop_assert!(before == UnitState::Stopping, "a temporary unit came back by itself");
                        }
                    }
                    Action::Ended(end) => ends.push(end.cause),
                    Action::Terminate | Action::Abort | Action::Kill => {}
                }
            }
            // Each end is told once, and every unasked one is counted.
            let ended = matches!(event, Event::Ended(_) | Event::LaunchFailed(_));
            prop_assert_eq!(ends.len(), usize::from(ended));
            world.ended += ends.iter().filter(|cause| **cause != ExitCause::Stopped).count() as u64;
            prop_assert_eq!(unit.falls().values().sum::<u64>(), world.ended);
            prop_assert!(unit.restarts() <= world.ended);
            prop_assert!(unit.restarts() < world.incarnation.max(1));

            let deadline = unit.deadline();
            match unit.state() {
                UnitState::Stopped => prop_assert!(!world.occupied() && deadline.is_none()),
                UnitState::Quarantined => {
                    prop_assert!(!world.occupied() && deadline.is_none());
                    if before != UnitState::Quarantined {
                        let aside = [ExitCause::Clean, ExitCause::Stopped, ExitCause::LaunchFailed, ExitCause::Busy];
                        prop_assert!(ends.iter().all(|cause| !aside.contains(cause)), "set aside for {ends:?}");
                    }
                }
                UnitState::Backoff => prop_assert!(!world.occupied() && deadline.is_some()),
                UnitState::Starting | UnitState::Stopping => {
                    prop_assert!(world.occupied() && deadline.is_some());
                }
                UnitState::Running => prop_assert!(world.alive && !world.launching && deadline.is_none()),
            }
            if !world.wanted {
                let down = [UnitState::Stopped, UnitState::Stopping, UnitState::Quarantined];
                prop_assert!(down.contains(&unit.state()), "{:?} against the operator's wish", unit.state());
            }
        }
        // Left alone after a stop, it gets there: every wait has an end.
        world.wanted = false;
        unit.apply(Event::Stop, now);
        for _ in 0..8 {
            let Some(at) = unit.deadline() else { break };
            now = at;
            let killed_now = unit.apply(Event::Tick, now).contains(&Action::Kill);
            if killed_now {
                let event = if world.alive { killed() } else { refused(4) };
                world.happen(&event);
                unit.apply(event, now);
            }
        }
        prop_assert_eq!((unit.state(), unit.deadline()), (UnitState::Stopped, None));
    }
}
