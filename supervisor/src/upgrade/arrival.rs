//! The first acts of a program that takes over from another one in the same process, and its way back.

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use creel_config::Env;
use creel_launch::succession::{self, Inherited};

use super::image::{CONFIRM_SECONDS, arguments, environment};
use super::{Carried, UpgradeError, baggage};

/// The variable by which a program learns that it is a successor.
pub const VARIABLE: &str = "CREEL_UPGRADE";
/// Why it is the old one again.
pub const REASON: &str = "CREEL_UPGRADE_REASON";
/// The word for a program that is only to check.
pub const CHECK: &str = "check";

thread_local! {
    /// The way back, until the upgrade is confirmed. Only the main thread may use it.
    static BACK: RefCell<Option<Back>> = const { RefCell::new(None) };
    /// What the program before this one left.
    static LEFT: RefCell<Option<Arrival>> = const { RefCell::new(None) };
}

struct Back {
    state: RawFd,
    old: RawFd,
    program: OwnedFd,
    /// Keeps the state for the old program.
    _kept: Inherited,
}

/// What the program before this one left.
#[derive(Debug)]
pub struct Arrival {
    /// The state.
    pub carried: Carried,
    /// Its descriptors.
    pub inherited: Inherited,
    /// Why this is the old program again, if it is.
    pub undone: Option<String>,
}

/// Whether this program was started only to look at a copy of the state.
pub fn is_check() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|word| word == CHECK)
}

/// To be called first thing in `main`. When this program takes over from another one, the way back is made ready before
/// anything else can go wrong, and what that one left is kept for [`take`].
///
/// # Errors
/// When the state is of no use; the old program is back then if it can be.
pub fn arrive() -> Result<(), UpgradeError> {
    let Ok(word) = std::env::var(VARIABLE) else { return Ok(()) };
    let unreadable = |error: &dyn std::fmt::Display| UpgradeError::Unreadable(error.to_string());
    let mut parts = word.split(':');
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<RawFd>().ok());
    let (text, undone) = match (parts.next(), number(parts.next()), number(parts.next())) {
        (Some("resume"), Some(state), Some(old)) => {
            let kept = Inherited::take([state, old]).map_err(|error| unreadable(&error))?;
            let late = format!("it did not confirm within {CONFIRM_SECONDS} s");
            let env = environment(&format!("undone:{state}:{old}"), &late);
            succession::fall_back_on_alarm(old, arguments(), env).map_err(|error| unreadable(&error))?;
            let text = kept.get(state).and_then(baggage::read_sealed);
            let program = kept.get(old).map_err(|error| unreadable(&error))?;
            BACK.with_borrow_mut(|back| *back = Some(Back { state, old, program, _kept: kept }));
            (text, None)
        }
        (Some("undone"), Some(state), Some(old)) => {
            succession::alarm(0);
            let reason = std::env::var(REASON).unwrap_or_default();
            let kept = Inherited::take([state, old]).map_err(|error| unreadable(&error))?;
            (kept.get(state).and_then(baggage::read_sealed), Some(reason))
        }
        // `check`, or somebody's own word: this program is no successor.
        _ => return Ok(()),
    };
    succession::take_name(c"creel");
    let carried = Carried::read(&text.map_err(|error| unreadable(&error))?)?;
    if carried.pid != std::process::id() {
        return Err(unreadable(&"it is of another process"));
    }
    let inherited = Inherited::take(carried.lent.iter().copied()).map_err(|error| unreadable(&error))?;
    LEFT.with_borrow_mut(|left| *left = Some(Arrival { carried, inherited, undone }));
    Ok(())
}

/// What the program before this one left, once.
pub fn take() -> Option<Arrival> {
    LEFT.with_borrow_mut(Option::take)
}

/// Whether this program has to do with an upgrade rather than with a start.
pub fn is_successor() -> bool {
    is_check() || LEFT.with_borrow(Option::is_some)
}

/// Whether this program took over and has not shown that it can.
pub fn is_unconfirmed() -> bool {
    BACK.with_borrow(Option::is_some)
}

/// Becomes the old program again, if this one took over and has not confirmed; returns only if it cannot.
pub fn fall_back(reason: &str) {
    BACK.with_borrow(|back| {
        if let Some(back) = back {
            let env = environment(&format!("undone:{}:{}", back.state, back.old), reason);
            let _stays = succession::become_program(back.program.as_fd(), &arguments(), &env);
        }
    });
}

/// This program stays.
pub fn confirm() {
    succession::alarm(0);
    BACK.with_borrow_mut(|back| *back = None);
}

/// The environment without the words between two programs.
pub fn without_words(mut env: Env) -> Env {
    env.remove(VARIABLE);
    env.remove(REASON);
    env
}
