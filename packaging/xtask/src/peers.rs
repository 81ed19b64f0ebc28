//! Real peers that the tests run against, from Debian and npm.

use std::path::Path;

use anyhow::{Result, bail};

use crate::shell::{answers, command, must, root};

/// A program the tests need, and the Debian package that brings it.
struct Peer {
    program: &'static str,
    argument: &'static str,
    package: &'static str,
}

const DEBIAN: [Peer; 10] = [
    Peer { program: "/usr/sbin/ngircd", argument: "--version", package: "ngircd" },
    Peer { program: "/usr/bin/chromium", argument: "--version", package: "chromium" },
    Peer { program: "/usr/bin/bwrap", argument: "--version", package: "bubblewrap" },
    Peer { program: "/usr/bin/strace", argument: "--version", package: "strace" },
    Peer { program: "/sbin/ip", argument: "-Version", package: "iproute2" },
    Peer { program: "/usr/sbin/iptables", argument: "--version", package: "iptables" },
    Peer { program: "curl", argument: "--version", package: "curl" },
    Peer { program: "git", argument: "--version", package: "git" },
    Peer { program: "openssl", argument: "version", package: "openssl" },
    Peer { program: "/usr/bin/pip3", argument: "--version", package: "python3-pip" },
];

/// Where Debian keeps its PostgreSQL servers, one folder for each version.
pub(crate) const SERVERS: &str = "/usr/lib/postgresql";

/// Installs PostgreSQL, where it is missing, without the cluster that Debian makes and starts by itself: the tests make
/// and start their own.
pub(crate) fn install_postgres() -> Result<()> {
    let servers = std::fs::read_dir(SERVERS).into_iter().flatten().flatten();
    if servers.map(|entry| entry.path().join("bin/postgres")).any(|program| program.is_file()) {
        return Ok(());
    }
    let settings = Path::new("/etc/postgresql-common");
    if std::fs::create_dir_all(settings).is_ok() && !settings.join("createcluster.conf").exists() {
        std::fs::write(settings.join("createcluster.conf"), "create_main_cluster = false\n")?;
    }
    from_debian(&[&Peer { program: SERVERS, argument: "", package: "postgresql" }])
}

/// Supervisors that ours is compared with. They may be missing from the machine of who only runs the tests.
const SUPERVISORS: [Peer; 3] = [
    Peer { program: "/usr/bin/s6-svscan", argument: "-h", package: "s6" },
    Peer { program: "/usr/bin/runsvdir", argument: "-h", package: "runit" },
    Peer { program: "/usr/bin/supervisord", argument: "--version", package: "supervisor" },
];

/// Sandboxes that ours is compared with.
const SANDBOXES: [Peer; 2] = [
    Peer { program: "/usr/bin/bwrap", argument: "--version", package: "bubblewrap" },
    Peer { program: "/usr/bin/firejail", argument: "--version", package: "firejail" },
];

/// Installs the sandboxes that ours is compared with, where they are missing.
pub(crate) fn install_sandboxes() -> Result<()> {
    let missing: Vec<_> = SANDBOXES.iter().filter(|peer| !Path::new(peer.program).is_file()).collect();
    from_debian(&missing)
}

/// Installs the supervisors that ours is compared with, where they are missing.
pub(crate) fn install_supervisors() -> Result<()> {
    let missing: Vec<_> = SUPERVISORS.iter().filter(|peer| !Path::new(peer.program).is_file()).collect();
    from_debian(&missing)
}

/// Installs what is missing. Debian packages need root.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<_> = DEBIAN.iter().filter(|peer| !answers(peer.program, peer.argument)).collect();
    from_debian(&missing)?;
    install_postgres()?;
    let peers = root().join("tests/peers");
    if !peers.join("node_modules").is_dir() {
        must(command("npm", &["ci", "--no-audit", "--no-fund"]).current_dir(peers))?;
    }
    Ok(())
}

fn from_debian(missing: &[&Peer]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|peer| peer.package).collect();
    if !answers("apt-get", "--version") {
        bail!("install these programs first: {}", packages.join(", "));
    }
    must(command("apt-get", &["update", "-qq"]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let mut install = command("apt-get", &["install", "-y", "-qq", "--no-install-recommends"]);
    must(install.args(&packages).env("DEBIAN_FRONTEND", "noninteractive"))
}
