//! Landlock, user namespaces and seccomp taken away, one at a time: Creel refuses below the floor and says what to do, and
//! what it shows is never more than what the kernel says.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cgroup;
use crate::home::{Home, SOON, creel, example, not_measured};

const BECOME_ANYBODY: [&str; 6] = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"];

fn without(what: &str, config: &str) -> Home {
    let mut home = Home::new(config);
    home.prefix = vec![example("deprived").display().to_string(), what.to_owned()];
    home.start();
    home
}

/// The same as an ordinary user: a root supervisor gives its units users of their own, which level 1 cannot do for folders
/// that exist.
fn without_as_anybody(what: &str, config: &str) -> Home {
    as_anybody(vec![example("deprived").display().to_string(), what.to_owned()], config)
}

fn as_anybody(prefix: Vec<String>, config: &str) -> Home {
    let mut home = Home::new(config);
    home.prefix = prefix;
    if rustix::process::geteuid().is_root() {
        const ANYBODY: u32 = 12_345;
        for below in ["", "home", "home/creel.json", "libexec"] {
            std::os::unix::fs::chown(home.path(below), Some(ANYBODY), Some(ANYBODY)).unwrap();
        }
        home.prefix.splice(0..0, BECOME_ANYBODY.map(str::to_owned));
    }
    home.start();
    home
}

/// Why a worker does not run.
fn refusal(home: &mut Home, unit: &str) -> String {
    let row = home.wait_unit(unit, "refused", |row| row["lastExit"]["cause"] == "launch_failed");
    assert!(row["pid"].is_null() && row["isolation"].is_null(), "{row}");
    row["lastExit"]["detail"].as_str().unwrap().to_owned()
}

/// `creel sandbox test` where something is taken away.
fn tested(what: &str) -> (String, Option<i32>) {
    let mut command = Command::new(example("deprived"));
    command.arg(what).arg(creel()).args(["sandbox", "test"]).stdin(Stdio::null());
    let output = command.output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

/// What a unit claims, beside what the kernel says of its process.
fn claims_no_more_than_the_kernel(unit: &Value) {
    let pid = unit["pid"].as_u64().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let isolation = &unit["isolation"];
    assert!(
        isolation["seccompFilters"].as_u64().unwrap() <= field("Seccomp_filters:").parse().unwrap(),
        "{unit}"
    );
    assert_eq!(isolation["noNewPrivs"], field("NoNewPrivs:") == "1", "{unit}");
    let claimed = isolation["namespaces"].as_array().unwrap();
    for space in claimed {
        let link =
            |who: &str| std::fs::read_link(format!("/proc/{who}/ns/{}", space.as_str().unwrap())).unwrap();
        assert_ne!(link(&pid.to_string()), link("self"), "{unit} claims {space}");
    }
}

/// The kernel's reasons depend on the machine; what must not change is what an operator reads.
fn without_the_machine(text: &str) -> String {
    let cgroup = text.find("L3: ").map(|from| {
        let until = text.get(from..).and_then(|rest| rest.find(" L2: ")).map_or(text.len(), |at| from + at);
        text.replacen(text.get(from..until).unwrap(), "L3: […]", 1)
    });
    cgroup.unwrap_or_else(|| text.to_owned())
}

#[test]
fn without_landlock_nothing_runs_and_the_kernel_line_is_named() {
    let mut home = without("landlock", "{gateway: {port: PORT}}");
    let why = refusal(&mut home, "agent:main");
    let status = home.status();
    assert_eq!(status["level"], "L0", "{status}");
    assert!(why.contains("lsm="), "{why}");
    assert!(status["units"].as_array().unwrap().iter().all(|unit| unit["isolation"].is_null()), "{status}");
    assert_eq!(home.processes(), Vec::<u32>::new(), "not even the gateway");
    let (text, code) = tested("landlock");
    assert_eq!(code, Some(1), "{text}");
    insta::assert_snapshot!(format!("{}\n━━━\n{text}", without_the_machine(&why)));
}

#[test]
fn without_seccomp_nothing_runs() {
    let mut home = without("seccomp", "{gateway: {port: PORT}}");
    let why = refusal(&mut home, "agent:main");
    let status = home.status();
    assert_eq!(status["level"], "L0", "{status}");
    assert_eq!(home.processes(), Vec::<u32>::new());
    let (text, code) = tested("seccomp");
    assert_eq!(code, Some(1), "{text}");
    insta::assert_snapshot!(format!("{}\n━━━\n{text}", without_the_machine(&why)));
}

#[test]
fn an_ordinary_user_is_refused_the_same_without_landlock_or_seccomp() {
    for (what, remedy) in [("landlock", "lsm="), ("seccomp", "CONFIG_SECCOMP_FILTER")] {
        let mut home = without_as_anybody(what, "{gateway: {port: PORT}}");
        let why = refusal(&mut home, "agent:main");
        assert!(why.contains(remedy), "{what}: {why}");
        assert_eq!(home.status()["level"], "L0", "{what}");
        assert_eq!(home.processes(), Vec::<u32>::new(), "{what}: not even the gateway");
    }
}

/// `creel sandbox test` of an ordinary user in a user namespace whose own switch allows so many more of them.
fn tested_where_so_many_are_allowed(namespaces: &str) -> (String, Option<i32>) {
    let line = "read go; echo \"$1\" > /proc/sys/user/max_user_namespaces; shift; exec setpriv --reuid 12345 --regid 12345 --clear-groups \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--keep-caps", "sh", "-c", line, "sh", namespaces]).arg(creel());
    command.args(["sandbox", "test"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    let theirs = format!("/proc/{}/ns/user", child.id());
    let began = Instant::now();
    while !std::fs::read_link(&theirs).is_ok_and(|link| link != own) {
        assert!(began.elapsed() < SOON, "unshare makes no user namespace");
        std::thread::sleep(Duration::from_millis(10));
    }
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("/proc/{}/{map}", child.id()), "0 0 65536\n").unwrap();
    }
    writeln!(child.stdin.take().unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

#[test]
fn the_switch_of_the_kernel_takes_namespaces_away_and_the_remedy_gives_them_back() {
    if !rustix::process::geteuid().is_root() {
        return not_measured("only root can give a user namespace users, and so a switch of its own");
    }
    let (text, code) = tested_where_so_many_are_allowed("0");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("at level L1") && text.contains("Not enforced here: no namespaces"), "{text}");
    let remedy = "sysctl -w user.max_user_namespaces=15000";
    assert!(text.contains(remedy) && !text.contains("container"), "{text}");
    let (text, code) = tested_where_so_many_are_allowed(remedy.rsplit('=').next().unwrap());
    assert!(code == Some(0) && text.contains("at level L2") && !text.contains("sysctl"), "{text}");
}

#[test]
fn without_user_namespaces_workers_stay_down_below_the_floor_and_status_claims_level_1() {
    let mut home = without_as_anybody("namespaces", "{gateway: {port: PORT}, sandbox: {floor: 'L2'}}");
    let why = refusal(&mut home, "agent:main");
    // Gateway and egress run below the floor, so that somebody can tell; the level that they have is what is shown.
    let gateway = home.wait_state("gateway", "running");
    let status = home.status();
    assert_eq!((&status["level"], &gateway["isolation"]["level"]), (&"L1".into(), &"L1".into()), "{status}");
    assert_eq!(gateway["isolation"]["namespaces"], serde_json::json!([]), "{gateway}");
    let gaps = gateway["isolation"]["gaps"].to_string();
    assert!(gaps.contains("no namespaces"), "{gaps}");
    claims_no_more_than_the_kernel(&gateway);
    let refused =
        home.gateway("tool.run", serde_json::json!({"run": "r", "agent": "main", "argv": ["true"]}));
    assert!(refused.to_string().contains("sandbox.floor is L2"), "{refused}");
    let (text, code) = tested("namespaces");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("at level L1") && text.contains("Not enforced here: no namespaces"), "{text}");
    // The remedy depends on what forbids them here.
    assert!(why.contains("This machine gives isolation level L1, and sandbox.floor is L2."), "{why}");
    assert!(why.contains("L2: The unit's namespaces cannot be made"), "{why}");
}

#[test]
fn without_other_users_the_root_of_a_container_has_all_walls_and_nobody_inside_is_root() {
    let prefix = ["/usr/bin/unshare", "--user", "--map-root-user"].map(str::to_owned).to_vec();
    let mut home = as_anybody(prefix, "{gateway: {port: PORT}}");
    // Who is outside is nobody that it knows.
    let pid = home.pid().to_string();
    let mut inside =
        ["nsenter", "--user", "--preserve-credentials", "--target", &pid].map(str::to_owned).to_vec();
    if rustix::process::geteuid().is_root() {
        inside.splice(0..0, BECOME_ANYBODY.map(str::to_owned));
    }
    let units = home.until("all units", |home| {
        let output = home.among(&inside, &["status", "--json"]).stdout(Stdio::piped()).output().unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        let units = status["units"].as_array()?.clone();
        (units.len() == 3 && units.iter().all(|unit| unit["state"] == "running")).then_some(units)
    });
    for unit in units {
        assert!(unit["isolation"]["level"].as_str() >= Some("L2"), "{unit}");
        assert_ne!(unit["isolation"]["uid"], 0, "{unit}");
        claims_no_more_than_the_kernel(&unit);
    }
    let script = "id -u; cat /proc/self/uid_map; touch made && echo made";
    let said = home
        .gateway("tool.run", serde_json::json!({"run": "r", "agent": "main", "argv": ["sh", "-c", script]}));
    let out = said["stdout"].as_str().unwrap();
    assert!(out.starts_with("64742\n") && out.ends_with("made\n"), "{said}");
}

#[test]
fn without_clone3_units_and_commands_are_in_cgroups_of_their_own_all_the_same() {
    let mut home = without("clone3", "{gateway: {port: PORT}}");
    for unit in ["gateway", "egress", "agent:main"] {
        home.wait_state(unit, "running");
    }
    let Some(units) = cgroup::units(&home) else { return };
    for unit in ["gateway", "egress", "agent:main"] {
        assert_eq!(cgroup::folder(home.unit_pid(unit)), units.join(format!("{unit}.1")));
    }
    let said = home.gateway(
        "tool.run",
        serde_json::json!({"run": "r", "agent": "main", "argv": ["cat", "/proc/self/cgroup"]}),
    );
    // What it sees is its own: the root of its namespace.
    assert!(said.to_string().contains("0::/\\n"), "{said}");
}

#[test]
fn without_user_namespaces_root_is_told_that_nothing_of_its_runs_and_what_to_do() {
    if !rustix::process::geteuid().is_root() {
        return not_measured("only root starts units as users of their own");
    }
    let mut home = without("namespaces", "{gateway: {port: PORT}}");
    for unit in ["gateway", "agent:main"] {
        let why = refusal(&mut home, unit);
        assert!(why.contains("Run Creel as an ordinary user"), "{why}");
    }
    assert_eq!(home.status()["level"], "L1");
    assert_eq!(home.processes(), Vec::<u32>::new(), "not even the gateway");
}
