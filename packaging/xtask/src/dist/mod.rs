//! `cargo xtask dist`: what is handed out. Everything is put in place in one folder first, as it will lie on a machine;
//! the packages are made from that folder. Times and owners are fixed, so that the same files are packed into the same bytes.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args as ClapArgs;

use crate::shell::{answers, command, must, root};

mod deb;
mod formula;
mod oci;
mod stage;
mod tarball;

pub(crate) use deb::{make as make_deb, newer as newer_deb};
pub(crate) use stage::Stage;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The Debian package.
    #[arg(long)]
    deb: bool,
    /// The archive for any Linux, unpacked into /usr/local or any other folder.
    #[arg(long)]
    tarball: bool,
    /// The Homebrew formula (text; it names the tarball of a release and was never run).
    #[arg(long)]
    formula: bool,
    /// The OCI image, as a layout that skopeo, podman and others read.
    #[arg(long)]
    oci: bool,
    /// Pack binaries without optimisation: builds faster, for tests of the packages themselves.
    #[arg(long)]
    debug: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let all = !(args.deb || args.tarball || args.formula || args.oci);
    let begun = Instant::now();
    let stage = Stage::make(!args.debug)?;
    let mut made = Vec::new();
    if all || args.deb {
        made.push(deb::make(&stage)?);
    }
    if all || args.tarball || args.formula {
        let tarball = tarball::make(&stage)?;
        if all || args.formula {
            made.push(formula::make(&stage, &tarball)?);
        }
        made.push(tarball);
    }
    if all || args.oci {
        made.push(oci::make(&stage)?);
    }
    println!("\nMade in {} s:", begun.elapsed().as_secs());
    for path in &made {
        println!("  {}", path.display());
    }
    Ok(())
}

/// Where everything is made.
fn folder() -> PathBuf {
    root().join("target/dist")
}

/// The time that files in packages bear: that of the commit, or what SOURCE_DATE_EPOCH says.
fn epoch() -> Result<String> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(given);
    }
    let output = command("git", &["log", "-1", "--format=%ct"]).output().context("git cannot be started")?;
    ensure!(output.status.success(), "git does not know the time of the last commit: set SOURCE_DATE_EPOCH");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Packs a folder so that the same files give the same bytes.
fn tar(folder: &std::path::Path, into: &std::path::Path, names: &[&str], flags: &[&str]) -> Result<()> {
    let mtime = format!("--mtime=@{}", epoch()?);
    let fixed = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu", &mtime];
    let mut tar = command("tar", &fixed);
    tar.args(flags).arg("-cf").arg(into).arg("-C").arg(folder).args(names);
    must(&mut tar)
}

/// The hexadecimal SHA-256 of a file.
fn sha256(path: &std::path::Path) -> Result<String> {
    ensure!(answers("sha256sum", "--version"), "sha256sum was not found: install coreutils");
    let output = command("sha256sum", &[]).arg(path).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().next().context("sha256sum said nothing")?.to_owned())
}
