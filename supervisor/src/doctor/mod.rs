//! What `creel doctor` looks at: facts that are gathered once, and checks that only judge them.

pub mod check;
pub mod facts;
mod files;
mod host;
mod running;

pub use check::{Check, Verdict};
pub use facts::Facts;

/// Every check, in the order in which a reader would want to meet them.
const CHECKS: [fn(&Facts) -> Check; 18] = [
    running::supervisor,
    running::service,
    running::socket,
    running::port,
    files::home,
    files::secrets,
    files::configuration,
    running::database,
    files::programs,
    files::versions,
    files::logs,
    host::disk,
    host::clock,
    host::namespaces,
    host::landlock,
    host::cgroups,
    host::isolation,
    host::users,
];

/// Judges the facts.
pub fn examine(facts: &Facts) -> Vec<Check> {
    CHECKS.iter().map(|check| check(facts)).collect()
}

#[cfg(test)]
mod tests;
