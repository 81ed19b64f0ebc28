//! Rows that bind an ordinary user and not root.

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::ground::Ground;
use crate::home::send;

#[test]
fn fault_30_the_users_processes_are_used_up() {
    let config = "{gateway: {port: PORT}, supervisor: {backoff: {initialMs: 50, maxMs: 300}}}";
    let (mut home, _) = Ground::take().up(config, &["gateway", "egress", "agent:main"]);
    let supervisor = Pid::from_raw(i32::try_from(home.pid()).unwrap()).unwrap();
    let old =
        prlimit(Some(supervisor), Resource::Nproc, Rlimit { current: Some(1), maximum: Some(4000) }).unwrap();
    send(home.unit_pid("agent:main"), Signal::KILL);
    home.wait_unit("agent:main", "not launched", |row| row["lastExit"]["cause"] == "launch_failed");
    prlimit(Some(supervisor), Resource::Nproc, Rlimit { current: Some(4000), maximum: old.maximum }).unwrap();
    home.wait_state("agent:main", "running");
}
