//! A user of its own for every unit of a root supervisor.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use rustix::process::Signal;
use serde_json::json;

use crate::home::{Home, not_measured};

const UNITS: [&str; 4] = ["gateway", "egress", "agent:main", "agent:other"];

fn users(home: &Home) -> Vec<u32> {
    let user = |unit: &&str| fs::metadata(format!("/proc/{}", home.unit_pid(unit))).unwrap().uid();
    UNITS.iter().map(user).collect()
}

#[test]
fn every_unit_is_a_user_of_its_own_and_stays_it() {
    let config = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'other'}]}}";
    let mut home = Home::new(config);
    // As a Creel left it that ran all units as one user.
    let (work, outside) = (home.path("home/workspace"), home.path("outside"));
    fs::create_dir_all(work.join("folder")).unwrap();
    for file in [work.join("folder/notes"), outside.clone()] {
        fs::write(file, "old\n").unwrap();
    }
    symlink(&outside, work.join("link")).unwrap();
    home.start();
    for unit in UNITS {
        home.wait_state(unit, "running");
    }
    let first = users(&home);
    let owners = |paths: &[&str]| -> Vec<u32> {
        paths.iter().map(|path| home.path(path).symlink_metadata().unwrap().uid()).collect()
    };
    let own = rustix::process::geteuid().as_raw();
    if own != 0 {
        assert_eq!(first, [own; 4], "an ordinary user can give nobody another number");
        println!("NOT TESTED: users of their own need root");
        return;
    }
    let mut different = first.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 4, "{first:?}");
    assert!(first.iter().all(|uid| (1_900_000_000..1_902_000_000).contains(uid)), "{first:?}");
    let main = first[2];
    assert_eq!(
        owners(&[
            "home/workspace",
            "home/workspace/folder/notes",
            "home/workspace/link",
            "home/agents/main",
            "outside"
        ]),
        [main, main, main, main, 0]
    );
    // A command is its agent, also for the files that it leaves.
    let run = json!({"run": "r1", "agent": "main", "argv": ["sh", "-c", "id -u; echo new >> folder/notes; echo new > made"]});
    let exit = home.gateway("tool.run", run);
    assert_eq!((&exit["stdout"], &exit["stderr"]), (&json!(format!("{main}\n")), &json!("")), "{exit}");
    assert_eq!(fs::read_to_string(work.join("folder/notes")).unwrap(), "old\nnew\n");
    assert_eq!(owners(&["home/workspace/made"]), [main]);
    let (said, _) = home.said(&["status", "--verbose"]);
    assert!(said.contains(&format!("uid {main}")), "{said}");
    let (said, _) = home.said(&["doctor"]);
    assert!(said.contains("users: Each unit has a user id of its own, from 19"), "{said}");

    home.signal(Signal::TERM);
    home.wait_exit();
    home.start();
    for unit in UNITS {
        home.wait_state(unit, "running");
    }
    assert_eq!(users(&home), first);
}

#[test]
fn what_root_made_while_there_was_no_sandbox_is_the_agents_when_there_is_one_again() {
    if !rustix::process::geteuid().is_root() {
        return not_measured("only root starts units as users of their own");
    }
    let config = |mode: &str| format!("{{gateway: {{port: PORT}}, sandbox: {{mode: '{mode}'}}}}");
    let mut home = Home::up(&config("all"), &["gateway", "agent:main"]);
    let owner = |path: &str, home: &Home| fs::symlink_metadata(home.path(path)).unwrap().uid();
    let agent = owner("home/workspace", &home);
    let made = |home: &Home, run: &str| {
        let argv = ["sh", "-c", "mkdir -p sub; echo $0 >> sub/$0; id -u", run];
        home.gateway("tool.run", json!({"run": run, "agent": "main", "argv": argv}))["stdout"].clone()
    };
    assert_eq!(made(&home, "one"), format!("{agent}\n"));
    for (mode, run, uid) in [("off", "two", 0), ("all", "three", agent)] {
        home.signal(Signal::TERM);
        home.wait_exit();
        home.configure(&config(mode));
        home.start();
        for unit in ["gateway", "agent:main"] {
            home.wait_state(unit, "running");
        }
        assert_eq!(made(&home, run), format!("{uid}\n"));
        assert_eq!(owner(&format!("home/workspace/sub/{run}"), &home), uid);
    }
    for path in ["", "/sub", "/sub/one", "/sub/two", "/sub/three"] {
        assert_eq!(owner(&format!("home/workspace{path}"), &home), agent, "{path}");
    }
}
