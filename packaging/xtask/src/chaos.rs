//! `cargo xtask chaos`: real processes, one judge for every scenario, and a control that must fail.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args as ClapArgs;
use serde_json::Value;

use crate::peers::install_postgres;
use crate::run;
use crate::shell::{command, must, show};

/// Scenarios of several hosts on one PostgreSQL.
const CLUSTERS: [&str; 2] = ["partition", "failover"];

#[derive(ClapArgs)]
#[command(after_help = "Examples:
  cargo xtask chaos                                            # the storm: kills and pauses, mixed
  cargo xtask chaos --scenario kill --seed 7 --seconds 60
  cargo xtask chaos --scenario diskfull --control              # must be found out, as root
  cargo xtask chaos --scenario partition                       # three hosts on one PostgreSQL
  cargo xtask chaos --scenario pause --debug --json pause.json")]
pub(crate) struct Args {
    /// What goes wrong: storm, kill, pause, diskfull, partition or failover; clock is refused, because it is not built yet.
    #[arg(long, default_value = "storm")]
    scenario: String,
    /// How long messages flow and things go wrong.
    #[arg(long, default_value_t = 120)]
    seconds: u32,
    /// Seed of everything that is random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The negative control: switch the guarantee off that the scenario tries (fences; for `diskfull` that nothing is
    /// acknowledged before it is stored; for `partition` that the hosts share a database; for
    /// `failover` that its standby is synchronous), and demand that the judge finds
    /// losses, duplicates, disorder or two hosts that poll at a time.
    #[arg(long, alias = "without-fence")]
    control: bool,
    /// Take debug builds, which are quicker to make.
    #[arg(long)]
    debug: bool,
    /// Write the result as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let cluster = CLUSTERS.contains(&args.scenario.as_str());
    if cluster {
        install_postgres()?;
    }
    let chaos = program(args)?;
    if !args.control {
        let binaries = run::build(!args.debug)?;
        let mut chaos = order(args, &chaos, &binaries);
        if let Some(json) = &args.json {
            chaos.arg("--json").arg(std::path::absolute(json)?);
        }
        return must(&mut chaos);
    }
    // Hosts are put together differently, by the same programs.
    let binaries = if cluster { run::build(!args.debug)? } else { control(args.debug)? };
    let result = match &args.json {
        Some(json) => std::path::absolute(json)?,
        None => binaries.join("chaos-control.json"),
    };
    if result.exists() {
        std::fs::remove_file(&result)?;
    }
    let mut chaos = order(args, &chaos, &binaries);
    chaos.arg("--control").arg("--json").arg(&result);
    println!("$ {}", show(&chaos));
    let status = chaos.status()?;
    let text = std::fs::read_to_string(&result)
        .with_context(|| format!("the control run gave no verdict, so it shows nothing ({status})"))?;
    let damage = damage(&serde_json::from_str(&text)?)?;
    println!("the control of scenario {} failed, as it must: {damage}", args.scenario);
    Ok(())
}

/// Builds what strikes and judges.
fn program(args: &Args) -> Result<PathBuf> {
    let mut build = command("cargo", &["build", "--package", "creel-tests", "--bin", "chaos"]);
    if !args.debug {
        build.arg("--release");
    }
    must(&mut build)?;
    Ok(run::target().join(profile(args.debug)).join("chaos"))
}

fn order(args: &Args, chaos: &std::path::Path, binaries: &std::path::Path) -> Command {
    let mut order = command(&chaos.to_string_lossy(), &["--scenario", &args.scenario]);
    order.arg("--seconds").arg(args.seconds.to_string()).arg("--seed").arg(args.seed.to_string());
    order.env("CREEL_BIN_DIR", binaries);
    order
}

fn profile(debug: bool) -> &'static str {
    if debug { "debug" } else { "release" }
}

/// The damage that a run with its guarantee switched off did. A run that failed for another reason shows nothing.
fn damage(result: &Value) -> Result<String> {
    let conduct = &result["conduct"];
    ensure!(
        result["control"] == true && conduct["controlSeen"] == true,
        "this was no control run: no guarantee was seen to be switched off"
    );
    ensure!(
        conduct["missed"].as_u64().unwrap_or(u64::MAX) < conduct["planned"].as_u64().unwrap_or(0),
        "nobody was hit in the control run, so it shows nothing"
    );
    let count = |kind: &str| result["verdict"][kind].as_u64().unwrap_or(0);
    let kinds = ["lost", "duplicated", "reordered", "beside"];
    let [lost, duplicated, reordered, beside] = kinds.map(count);
    ensure!(
        lost + duplicated + reordered + beside > 0,
        "the control run lost, doubled and disordered nothing: the chaos is too weak to show anything"
    );
    let beside =
        if beside > 0 { format!(", {beside} times two hosts polled at a time") } else { String::new() };
    Ok(format!("{lost} lost, {duplicated} duplicated, {reordered} reordered{beside}"))
}

/// Builds a gateway whose guarantees can be switched off, puts it into a folder of its own with its siblings, and builds the
/// real one again, so that nothing of that kind stays where `creel` would find it.
fn control(debug: bool) -> Result<PathBuf> {
    let mut build = command(
        "cargo",
        &["build", "--package", "creel-gateway", "--features", "creel-gateway/chaos-control"],
    );
    if !debug {
        build.arg("--release");
    }
    let folder = run::target().join("chaos-control");
    std::fs::create_dir_all(&folder)?;
    let copy = |name: &str| std::fs::copy(run::target().join(profile(debug)).join(name), folder.join(name));
    must(&mut build)?;
    copy("creel-gateway")?;
    run::build(!debug)?;
    for name in run::BINARIES.iter().filter(|name| **name != "creel-gateway") {
        copy(name)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(control: bool, missed: u64, lost: u64, strange: u64) -> Value {
        json!({
            "control": true, "good": false,
            "conduct": {"controlSeen": control, "planned": 9, "missed": missed},
            "verdict": {"lost": lost, "duplicated": 0, "reordered": 0, "strange": strange},
        })
    }

    #[test]
    fn a_control_counts_only_when_the_missing_guarantee_did_damage() {
        assert_eq!(damage(&result(true, 1, 2, 0)).ok().as_deref(), Some("2 lost, 0 duplicated, 0 reordered"));
        let mut beside = result(true, 1, 0, 0);
        beside["verdict"]["beside"] = json!(3);
        assert!(damage(&beside).is_ok_and(|said| said.contains("3 times two hosts polled")));
        for bad in [result(false, 1, 2, 0), result(true, 9, 2, 0), result(true, 1, 0, 3), json!({})] {
            assert!(damage(&bad).is_err(), "{bad}");
        }
    }
}
