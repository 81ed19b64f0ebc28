//! `cargo xtask chaos` and `cargo xtask bench`: real processes, release builds.

use anyhow::{Result, ensure};
use clap::Args as ClapArgs;

use crate::run;
use crate::shell::{command, must};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// How long messages flow and processes die.
    #[arg(long, default_value_t = 120)]
    seconds: u32,
    /// Seed of everything that is random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The negative control: take the fences out and expect the checker to find losses, duplicates or disorder.
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
    let status = chaos.arg("--without-fence").status()?;
    ensure!(!status.success(), "the run without fences passed: the chaos is too weak to show anything");
    println!("the run without fences failed, as it must: {status}");
    Ok(())
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

#[derive(ClapArgs)]
pub(crate) struct BenchArgs {
    /// One figure; all when absent.
    #[arg(long)]
    only: Option<String>,
}

pub(crate) fn bench(args: &BenchArgs) -> Result<()> {
    let binaries = run::build(true)?;
    must(&mut command("cargo", &["build", "--release", "--package", "creel-tests", "--bin", "bench"]))?;
    let bench = run::target().join("release/bench").to_string_lossy().into_owned();
    let mut bench = command(&bench, &[]);
    if let Some(only) = &args.only {
        bench.args(["--only", only]);
    }
    must(bench.env("CREEL_BIN_DIR", binaries))
}
