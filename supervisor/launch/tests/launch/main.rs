//! Real launches: this test binary is the supervisor, the launcher stage, and the programs inside the units.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure in a test helper is a failed test")]

mod bench;
mod cgroup;
mod confinement;
mod failures;
mod foreground;
mod layers;
mod leaks;
mod levels;
mod lifetime;
mod network;
mod nursery;
mod roles;
mod trial;

/// Runs before `main`: the test harness must not see the arguments of the launcher stage and of the trials.
#[used]
#[unsafe(link_section = ".init_array.65000")]
static FIRST: extern "C" fn() = first;

extern "C" fn first() {
    creel_launch::reenter();
    trial::run_if_asked();
}
