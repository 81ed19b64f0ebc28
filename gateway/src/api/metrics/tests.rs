//! The text against a strict reader of the format.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// One sample: its name, its labels and its value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Reads the format as strictly as it is written down: each family has HELP and TYPE before its samples, once; samples
/// of a family stand together; labels are quoted and escaped; no sample comes twice.
fn read(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let (mut samples, mut families, mut current) = (Vec::<Sample>::new(), Vec::new(), (String::new(), false));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !words.is_empty(), "{line}");
            assert!(!families.contains(&name), "{name} comes twice");
            families.push(name);
            current = (name.to_owned(), false);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(name == current.0 && !current.1, "{line}");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            current.1 = true;
        } else {
            let sample = sample(line);
            assert!(sample.0 == current.0 && current.1, "{line} does not belong to {current:?}");
            assert!(
                !samples.iter().any(|old| (&old.0, &old.1) == (&sample.0, &sample.1)),
                "{line} comes twice"
            );
            samples.push(sample);
        }
    }
    samples
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(is_name(label), "{line}");
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next().unwrap().1 {
                        '\\' => '\\',
                        '"' => '"',
                        'n' => '\n',
                        other => panic!("\\{other} in {line}"),
                    }),
                    (_, c) => value.push(c),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            let after = &after[end + 1..];
            if let Some(next) = after.strip_prefix(',') {
                rest = next;
            } else {
                rest = after.strip_prefix('}').unwrap();
                break;
            }
        }
    }
    (name.to_owned(), labels, rest.strip_prefix(' ').unwrap().parse().unwrap())
}

fn facts() -> Facts {
    let unit = |name: &str, kind: &str, more: serde_json::Value| {
        let mut unit = json!({"name": name, "kind": kind, "state": "running", "incarnation": 3, "restarts": 2,
            "isolation": {"level": "L2", "namespaces": [], "landlockAbi": 7, "seccompFilters": 2, "noNewPrivs": true,
                          "uid": 1000, "gaps": []}});
        for (key, value) in more.as_object().unwrap() {
            unit[key] = value.clone();
        }
        unit
    };
    let units = json!({
        "units": [
            unit("gateway", "gateway", json!({"uptimeMs": 1500, "pssBytes": 4096, "cpuMs": 20, "tasks": 5})),
            unit("agent:\"odd\\\nname", "agent", json!({"state": "backoff", "nextAttemptMs": 250,
                "falls": {"oom": 1, "signal": 2}, "log": {"lines": 9, "dropped": 4, "lost": 1}})),
            unit("tool:0199", "tool", json!({})),
        ],
        "level": "L2", "supervisorPid": 7, "supervisorRssBytes": 5000, "supervisorCpuMs": 30,
        "version": "0.1.0", "uptimeMs": 2000, "configError": "wrong",
    });
    let health = Health {
        ready: true,
        reasons: Vec::new(),
        store_ok: true,
        units_running: 1,
        units_total: 2,
        uptime_ms: 1000,
    };
    Facts { units: Some(serde_json::from_value(units).unwrap()), health, clients: 3 }
}

#[test]
fn every_unit_is_told_in_the_format() {
    let samples = read(&text(&facts()));
    let value = |name: &str, labels: &[(&str, &str)]| {
        let found: Vec<_> = samples
            .iter()
            .filter(|sample| sample.0 == name)
            .filter(|sample| {
                labels.iter().all(|(label, value)| sample.1.get(*label).is_some_and(|v| v == value))
            })
            .map(|sample| sample.2)
            .collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}");
        found[0]
    };
    let odd = ("unit", "agent:\"odd\\\nname");
    assert_eq!(value("creel_unit_falls_total", &[odd, ("cause", "oom")]), 1.0);
    assert_eq!(value("creel_unit_state", &[odd, ("state", "backoff")]), 1.0);
    assert_eq!(value("creel_unit_state", &[odd, ("state", "running")]), 0.0);
    assert_eq!(value("creel_unit_log_dropped_lines_total", &[odd]), 4.0);
    assert_eq!(value("creel_unit_next_attempt_seconds", &[odd]), 0.25);
    assert_eq!(value("creel_unit_uptime_seconds", &[("unit", "gateway")]), 1.5);
    assert_eq!(value("creel_unit_isolation_level", &[("unit", "gateway")]), 2.0);
    assert_eq!(value("creel_supervisor_resident_memory_bytes", &[]), 5000.0);
    assert_eq!((value("creel_config_error", &[]), value("creel_tool_runs", &[])), (1.0, 1.0));
    assert_eq!((value("creel_gateway_clients", &[]), value("creel_supervisor_up", &[])), (3.0, 1.0));
    assert!(!samples.iter().any(|sample| sample.1.get("unit").is_some_and(|unit| unit.starts_with("tool:"))));
}

#[test]
fn without_a_supervisor_the_gateway_still_tells_of_itself() {
    let samples = read(&text(&Facts { units: None, ..facts() }));
    assert!(samples.contains(&("creel_supervisor_up".to_owned(), BTreeMap::new(), 0.0)));
    assert!(!samples.iter().any(|sample| sample.0.starts_with("creel_unit_")));
}
