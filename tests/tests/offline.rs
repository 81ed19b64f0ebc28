//! The whole way in a network namespace that has nothing but a loopback of its own.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use creel_kit::TestHome;
use creel_kit::home::run_to_end;

#[tokio::test]
async fn a_machine_without_network() -> Result<()> {
    let home = TestHome::new()?;
    let script = r#"
        trap 'kill $up 2>/dev/null; wait' EXIT
        "$0" up >"$1/up.log" 2>&1 &
        up=$!
        tries=0
        until answer=$("$0" agent --message hello 2>"$1/agent.log"); do
            tries=$((tries + 1))
            if [ "$tries" -gt 300 ] || ! kill -0 $up; then cat "$1/up.log" "$1/agent.log" >&2; exit 91; fi
            sleep 0.1
        done
        echo "$answer"
        "$0" stop
    "#;
    let creel = home.binaries().join("creel");
    let environment: Vec<_> = home
        .command("creel")
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    let mut command = Command::new("unshare");
    command.env_clear().envs(environment);
    // Root needs no user namespace for it. Others need one to raise the loopback, and then one in which they are
    // themselves again.
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if user.is_root() {
        command.args(["--net", "sh", "-c", r#"ip link set lo up && exec sh -c "$@""#, "sh"]);
    } else {
        let inner = r#"ip link set lo up && exec unshare "$@""#;
        command.args(["--net", "--map-root-user", "sh", "-c", inner, "sh", "--user"]);
        command.args([format!("--map-user={user}"), format!("--map-group={group}")]).args(["sh", "-c"]);
    }
    command.arg(script).arg(creel).arg(home.scratch());
    let output = run_to_end(command, Duration::from_secs(280)).await?;
    let log = std::fs::read_to_string(home.scratch().join("up.log")).unwrap_or_default();
    assert_eq!(output.code, Some(0), "{output:?}\n{log}");
    assert!(output.stdout.to_lowercase().contains("demo"), "{output:?}");
    Ok(())
}
