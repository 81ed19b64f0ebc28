//! What sandboxes deny is told to the model, to the log, to the journal and to `creel sandbox why`.

use serde_json::{Value, json};

use crate::home::Home;

fn up() -> Home {
    let config = "{gateway: {port: PORT}, agents: {list: [{id: 'main', sandbox: {outputBytes: '4k'}}, {id: 'other'}]}}";
    Home::up(config, &["gateway", "egress", "agent:main", "agent:other"])
}

fn said(home: &Home, args: &[&str]) -> Value {
    let (text, code) = home.said(args);
    assert_eq!(code, Some(0), "{args:?}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
}

#[test]
fn a_denial_is_a_sentence_for_the_model_the_log_and_the_operator() {
    let mut home = up();
    let other = home.path("home/workspace-other/notes");
    std::fs::write(&other, "secret of another").unwrap();
    let script = format!(
        "cat {}; touch /etc/passwd; curl -m 2 http://192.0.2.1/; unshare -U true; head -c 100000 /dev/zero; sleep 100",
        other.display()
    );
    let asked = json!({"run": "r1", "agent": "main", "argv": ["sh", "-c", script], "wallMs": 1500});
    let exit = home.gateway("tool.run", asked);
    let told: Vec<(String, String)> = exit["denials"]
        .as_array()
        .unwrap_or_else(|| panic!("{exit}"))
        .iter()
        .map(|denial| (denial["rule"].to_string(), denial["certainty"].to_string()))
        .collect();
    for (rule, certainty) in
        [("files", "inferred"), ("call", "inferred"), ("wall", "exact"), ("output", "exact")]
    {
        let wanted = (json!(rule).to_string(), json!(certainty).to_string());
        assert!(told.contains(&wanted), "{wanted:?} in {exit}");
    }
    let sentences = exit["denials"].to_string();
    assert!(sentences.contains(&format!("{} is outside its sandbox", other.display())), "{sentences}");
    assert!(sentences.contains("Writing /etc/passwd is not allowed"), "{sentences}");
    assert!(!exit["stdout"].as_str().unwrap().contains("secret of another"), "{exit}");

    home.wait_log("agent:main", "[sandbox: Writing /etc/passwd is not allowed");
    let why = said(&home, &["sandbox", "why", "--agent", "main", "--json"]);
    let kept = why["denials"].as_array().unwrap();
    let mine = |denial: &&Value| denial["run"] == "r1";
    assert_eq!(kept.iter().filter(mine).count(), exit["denials"].as_array().unwrap().len(), "{why}");
    let of_other = said(&home, &["sandbox", "why", "--agent", "other", "--json"]).to_string();
    assert!(!of_other.contains("r1"), "{of_other}");
    let (text, _) = home.said(&["sandbox", "why"]);
    assert!(text.contains("~ Writing /etc/passwd is not allowed"), "{text}");
    let (events, _) = home.said(&["events", "--unit", "agent:main"]);
    assert!(events.contains("denied") && events.contains("/etc/passwd"), "{events}");

    // What egress refused its worker is exact.
    let refused = |denial: &&Value| denial["rule"] == "network" && denial["certainty"] == "exact";
    let told = kept.iter().find(refused).unwrap_or_else(|| panic!("{why}"));
    assert!(
        told["sentence"].as_str().unwrap().starts_with("example.org:443 was refused by egress"),
        "{told}"
    );
}

#[test]
fn an_explanation_is_measured_and_names_the_keys() {
    let home = up();
    let told = said(&home, &["sandbox", "explain", "--json"]);
    let commands = &told["sandboxes"][0];
    assert_eq!(
        (&told["agent"], &commands["of"]),
        (&json!("main"), &json!("commands of agent:main")),
        "{told}"
    );
    assert_eq!(commands["isolation"]["level"], told["level"], "{told}");
    assert_ne!(commands["isolation"]["uid"], 0, "{told}");
    let by = |what: &str| {
        let limits = commands["limits"].as_array().unwrap();
        limits
            .iter()
            .find(|limit| limit["what"] == what)
            .unwrap_or_else(|| panic!("no {what}: {told}"))
            .clone()
    };
    assert_eq!(by("output that is kept")["from"], "agents.list[main].sandbox.outputBytes", "{told}");
    assert_eq!(by("memory")["from"], "default of sandbox.memory", "{told}");
    assert_eq!(by("time")["by"], "supervisor", "{told}");
    let workspace = home.path("home/workspace");
    let seen = commands["visible"].as_array().unwrap().iter().find(|seen| {
        seen["path"]
            .as_str()
            .is_some_and(|path| std::path::Path::new(path) == workspace.canonicalize().unwrap())
    });
    assert_eq!(seen.unwrap_or_else(|| panic!("{told}"))["access"], "rw");
    assert_eq!(told["sandboxes"][1]["of"], "agent:main");
    assert_eq!(told["sandboxes"][1]["isolation"]["level"], told["level"], "{told}");
    let (sentence, code) = home.said(&["sandbox", "explain", "--agent", "nobody"]);
    assert!(code == Some(1) && sentence.contains("there are: main, other"), "{code:?} {sentence}");
}

#[test]
fn without_a_supervisor_the_file_is_explained_and_tried_out() {
    let home = Home::new("{gateway: {port: PORT}, sandbox: {pids: 77}}");
    let none = said(&home, &["sandbox", "explain", "--json"]);
    assert!(none["sandboxes"][0]["problem"].as_str().unwrap().contains("does not exist yet"), "{none}");
    std::fs::create_dir_all(home.path("home/workspace")).unwrap();
    let told = said(&home, &["sandbox", "explain", "--json"]);
    let commands = &told["sandboxes"][0];
    assert_eq!(commands["isolation"]["level"], told["level"], "{told}");
    let pids = commands["limits"].as_array().unwrap().iter().find(|limit| limit["value"] == "77").unwrap();
    assert_eq!((&pids["from"], &pids["by"]), (&json!("sandbox.pids"), &json!("rlimit")), "{told}");
}

#[test]
fn homes_are_listed_and_those_that_are_used_stay() {
    let home = up();
    let folder = home.path("home/sandboxes");
    for of in ["session/main/0a1b", "agent/gone", "agent/main"] {
        std::fs::create_dir_all(folder.join(of)).unwrap();
    }
    let told = said(&home, &["sandbox", "list", "--json"]);
    let rows: Vec<(&str, &str)> = told["homes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["scope"].as_str().unwrap(), row["agent"].as_str().unwrap()))
        .collect();
    for row in [("session", "main"), ("agent", "gone"), ("agent", "main")] {
        assert!(rows.contains(&row), "{told}");
    }
    assert!(told["homes"].as_array().unwrap().iter().all(|row| row["over"].is_null()), "{told}");
    let (text, code) = home.said(&["sandbox", "prune", "--idle-hours", "1"]);
    assert_eq!((text.as_str(), code), ("No home may go.\n", Some(0)), "all of them were made just now");
    assert!(folder.join("session/main/0a1b").is_dir());
}
