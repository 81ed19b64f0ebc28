//! What a unit was promised, as the supervisor wrote it into the unit's environment.

use std::path::PathBuf;

/// The variable: lines of a key, a space and a value.
pub const PROMISE: &str = "CREEL_SELFTEST";

/// What the self-test of a unit tries, beside what every sealed process is denied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Promise {
    /// Whether the unit is confined at all (`level` is not `L0`).
    pub confined: bool,
    /// Whether it has namespaces of its own (`level` is `L2` or `L3`).
    pub namespaces: bool,
    /// Whether it has the host's network (`network host`).
    pub host_network: bool,
    /// Files and folders of the host that exist and are outside all its views (`outside PATH`).
    pub outside: Vec<PathBuf>,
    /// The gateway's port on the host's loopback (`port N`).
    pub port: Option<u16>,
    /// The supervisor's process id on the host (`supervisor N`).
    pub supervisor: Option<i32>,
}

impl Promise {
    /// Reads the variable of this process; without it nothing is promised.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::var(PROMISE).map(|text| Self::read(&text)).unwrap_or_default()
    }

    fn read(text: &str) -> Self {
        let mut promise = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match key {
                "level" => {
                    promise.confined = value != "L0";
                    promise.namespaces = matches!(value, "L2" | "L3");
                }
                "network" => promise.host_network = value == "host",
                "outside" => promise.outside.push(value.into()),
                "port" => promise.port = value.parse().ok(),
                "supervisor" => promise.supervisor = value.parse().ok(),
                // From a supervisor that knows more than this program.
                _ => {}
            }
        }
        promise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_read_line_by_line_and_none_is_nothing() {
        let text =
            "level L2\nnetwork none\nsupervisor 41\nport 18789\noutside /home/a b\noutside /x\nnew thing";
        let promise = Promise::read(text);
        assert!(promise.confined && promise.namespaces && !promise.host_network);
        assert_eq!((promise.supervisor, promise.port), (Some(41), Some(18_789)));
        assert_eq!(promise.outside, [PathBuf::from("/home/a b"), PathBuf::from("/x")]);
        assert_eq!(Promise::read(""), Promise::default());
        assert!(!Promise::read("level L0").confined);
    }
}
