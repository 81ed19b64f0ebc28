//! A real Debian under qemu: `tests/vm`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{answers, command, must, root};

/// Debian releases that things are tried on: an older kernel and systemd, and a newer one.
pub(crate) const SUITES: [&str; 2] = ["bookworm", "trixie"];

/// What a guest is given beside its share.
pub(crate) struct Guest {
    /// The folder of its image.
    folder: PathBuf,
    suite: &'static str,
    /// More arguments of its kernel.
    arguments: &'static str,
}

/// File systems with project quota, and how they are made in a file.
pub(crate) const DISKS: [(&str, &[&str]); 2] = [
    ("ext4", &["mke2fs", "-q", "-t", "ext4", "-O", "quota,project", "-E", "quotatype=prjquota"]),
    ("xfs", &["mkfs.xfs", "-q"]),
];

/// Installs what is needed to boot one. Needs root.
pub(crate) fn install() -> Result<()> {
    let needed = [("qemu-system-x86_64", "--version"), ("mmdebstrap", "--version"), ("mkfs.xfs", "-V")];
    if needed.iter().all(|(program, version)| answers(program, version)) {
        return Ok(());
    }
    let needs =
        "a virtual machine needs the Debian packages qemu-system-x86, mmdebstrap, e2fsprogs and xfsprogs";
    if !answers("apt-get", "--version") {
        bail!("{needs}: install them first");
    }
    let failed =
        || format!("{needs}, and apt could not install them (as root, and with a mirror that answers?)");
    must(command("apt-get", &["update", "-qq"]).env("DEBIAN_FRONTEND", "noninteractive"))
        .with_context(failed)?;
    let packages = ["qemu-system-x86", "mmdebstrap", "e2fsprogs", "xfsprogs"];
    let mut install = command("apt-get", &["install", "-y", "-qq", "--no-install-recommends"]);
    must(install.args(packages).env("DEBIAN_FRONTEND", "noninteractive")).with_context(failed)
}

impl Guest {
    /// Builds the image of a release, where it is not built yet. `CREEL_VM` names another folder for images.
    pub(crate) fn of(suite: &'static str) -> Result<Self> {
        let images = std::env::var_os("CREEL_VM").map_or_else(|| root().join("target/vm"), PathBuf::from);
        let folder = images.join(suite);
        must(command("tests/vm/build-image.sh", &[]).arg(&folder).arg(suite)).with_context(|| {
            format!("the image of Debian {suite} cannot be built: that needs root and a Debian mirror that has {suite}")
        })?;
        Ok(Self { folder, suite, arguments: "" })
    }

    /// The same with more arguments of its kernel.
    pub(crate) fn with(self, arguments: &'static str) -> Self {
        Self { arguments, ..self }
    }

    /// Boots it once, with a copy of `share`, and runs a command as root; fails as the command does.
    pub(crate) fn run(&self, share: &Path, shell: &str, seconds: u32) -> Result<()> {
        println!("--- {} (at most {seconds} s)", self.suite);
        let mut run = command("tests/vm/run.sh", &[]);
        run.arg(&self.folder).arg(share).arg(shell).env("TIMEOUT", seconds.to_string());
        if !self.arguments.is_empty() {
            run.env("APPEND", self.arguments);
        }
        // Linux 6.12 patches its own code while it runs, and where two processors are emulated one was seen to execute half of
        // the old instruction: a panic of the guest in the middle of an attack.
        if self.suite == "trixie" && std::env::var_os("CPUS").is_none() {
            run.env("CPUS", "1");
        }
        must(&mut run).with_context(|| format!("in the virtual machine with Debian {}", self.suite))
    }
}
