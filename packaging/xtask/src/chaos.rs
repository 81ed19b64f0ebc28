//! `cargo xtask chaos`: real processes, release builds.

use anyhow::{Context, Result, ensure};
use clap::Args as ClapArgs;
use serde_json::Value;

use crate::run;
use crate::shell::{command, must, show};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// How long messages flow and processes die.
    #[arg(long, default_value_t = 120)]
    seconds: u32,
    /// Seed of everything that is random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The negative control: take the fences out and demand that the checker finds losses, duplicates or disorder.
    #[arg(long)]
    without_fence: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let binaries = if args.without_fence { control()? } else { run::build(true)? };
    must(&mut command("cargo", &["build", "--release", "--package", "creel-tests", "--bin", "chaos"]))?;
    let chaos = run::target().join("release/chaos").to_string_lossy().into_owned();
    let (seconds, seed) = (args.seconds.to_string(), args.seed.to_string());
    let mut chaos = command(&chaos, &["--seconds", &seconds, "--seed", &seed]);
    chaos.env("CREEL_BIN_DIR", &binaries);
    if !args.without_fence {
        return must(&mut chaos);
    }
    let result = binaries.join("result.json");
    if result.exists() {
        std::fs::remove_file(&result)?;
    }
    chaos.arg("--without-fence").arg("--json").arg(&result);
    println!("$ {}", show(&chaos));
    let status = chaos.status()?;
    let text = std::fs::read_to_string(&result)
        .with_context(|| format!("the run without fences gave no verdict, so it shows nothing ({status})"))?;
    println!("the run without fences failed, as it must: {}", damage(&serde_json::from_str(&text)?)?);
    Ok(())
}

/// The damage that a run without fences did. A run that failed for another reason shows nothing.
fn damage(result: &Value) -> Result<String> {
    let conduct = &result["conduct"];
    ensure!(
        result["withoutFence"] == true && conduct["fencesOutSeen"] == true,
        "this was no run without fences: the gateway never said that it has none"
    );
    ensure!(
        conduct["missed"].as_u64().unwrap_or(u64::MAX) < conduct["planned"].as_u64().unwrap_or(0),
        "nobody was hit in the run without fences, so it shows nothing"
    );
    let count = |kind: &str| result["verdict"][kind].as_u64().unwrap_or(0);
    let [lost, duplicated, reordered] = ["lost", "duplicated", "reordered"].map(count);
    ensure!(
        lost + duplicated + reordered > 0,
        "the run without fences lost, doubled and disordered nothing: the chaos is too weak to show anything"
    );
    Ok(format!("{lost} lost, {duplicated} duplicated, {reordered} reordered"))
}

/// Builds a gateway with the fences removed, puts it into a folder of its own with its siblings, and builds the
/// real one again, so that nothing without fences stays where `creel` would find it.
fn control() -> Result<std::path::PathBuf> {
    let feature =
        ["build", "--release", "--package", "creel-gateway", "--features", "creel-gateway/chaos-control"];
    let folder = run::target().join("chaos-control");
    std::fs::create_dir_all(&folder)?;
    let copy = |name: &str| std::fs::copy(run::target().join("release").join(name), folder.join(name));
    must(&mut command("cargo", &feature))?;
    copy("creel-gateway")?;
    run::build(true)?;
    for name in run::BINARIES.iter().filter(|name| **name != "creel-gateway") {
        copy(name)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(fences_out: bool, missed: u64, lost: u64, strange: u64) -> Value {
        json!({
            "withoutFence": true, "good": false,
            "conduct": {"fencesOutSeen": fences_out, "planned": 9, "missed": missed},
            "verdict": {"lost": lost, "duplicated": 0, "reordered": 0, "strange": strange},
        })
    }

    #[test]
    fn a_control_counts_only_when_the_missing_fences_did_damage() {
        assert_eq!(damage(&result(true, 1, 2, 0)).ok().as_deref(), Some("2 lost, 0 duplicated, 0 reordered"));
        for bad in [result(false, 1, 2, 0), result(true, 9, 2, 0), result(true, 1, 0, 3), json!({})] {
            assert!(damage(&bad).is_err(), "{bad}");
        }
    }
}
