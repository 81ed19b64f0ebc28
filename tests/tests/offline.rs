//! The whole way in a network namespace that has nothing but a loopback of its own.

use std::time::Duration;

use anyhow::Result;
use creel_kit::TestHome;
use creel_kit::home::run_to_end;

#[tokio::test]
async fn a_machine_without_network() -> Result<()> {
    let home = TestHome::new()?;
    let script = r#"
        ip link set lo up || exit 90
        "$0" up >"$1/up.log" 2>&1 &
        up=$!
        tries=0
        until answer=$("$0" agent --message hello 2>"$1/agent.log"); do
            tries=$((tries + 1))
            if [ "$tries" -gt 300 ] || ! kill -0 $up; then cat "$1/up.log" "$1/agent.log" >&2; exit 91; fi
            sleep 0.1
        done
        echo "$answer"
        "$0" stop && wait $up
    "#;
    let creel = home.binaries().join("creel");
    let mut command = home.command("creel");
    let environment: Vec<_> =
        command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    command = std::process::Command::new("unshare");
    command.env_clear().envs(environment);
    // Root needs no user namespace for it, others get one.
    let flags = if nix::unistd::geteuid().is_root() { "-n" } else { "-rn" };
    command.args([flags, "sh", "-c", script]).arg(creel).arg(home.scratch());
    let output = run_to_end(command, Duration::from_secs(100)).await?;
    let log = std::fs::read_to_string(home.scratch().join("up.log")).unwrap_or_default();
    assert_eq!(output.code, Some(0), "{output:?}\n{log}");
    assert!(output.stdout.to_lowercase().contains("demo"), "{output:?}");
    Ok(())
}
