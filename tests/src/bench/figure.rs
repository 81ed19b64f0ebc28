//! A measured figure, and what it is compared with.

use std::time::Duration;

use serde::Serialize;

/// One line of the specification's table.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figure {
    /// What was measured.
    pub what: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it must not exceed.
    pub target: f64,
    /// How many samples it comes from.
    pub samples: usize,
    /// The command that measures it again.
    pub command: String,
    /// Programs that wanted to run at the same time, one-minute average: on a busy machine the figure is worse.
    pub load: f64,
    /// What else is worth knowing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A figure of the bench `name`.
pub(crate) fn figure(name: &str, what: &str, (value, unit): (f64, &'static str), target: f64) -> Figure {
    let value = (value * 1000.0).round() / 1000.0;
    let command = format!("cargo xtask bench {name}");
    Figure { what: what.into(), value, unit, target, samples: 1, command, load: load(), note: String::new() }
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

impl Figure {
    /// The same from so many samples.
    pub(crate) fn of(mut self, samples: usize) -> Self {
        self.samples = samples;
        self
    }

    /// The same with a remark.
    pub(crate) fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// Milliseconds below which this share of the samples lies.
pub(crate) fn percentile(samples: &[Duration], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at.min(last)).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let samples: Vec<_> = (1..=101).rev().map(Duration::from_millis).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| percentile(&samples, share)), [1.0, 51.0, 100.0, 101.0]);
        assert!(percentile(&[], 0.5).is_nan());
    }
}
