//! A user of its own for every unit of a root supervisor.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use rustix::process::Signal;
use serde_json::json;

use crate::home::Home;

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
