//! A unit on macOS, made from the same spec: the Seatbelt profile (default deny, the views, no network but the listener), the
//! limits, and what this leaves open. All of it is text: a command line for the system's own shell and `sandbox-exec`.
//!
//! There are no namespaces there: `status` says `partial`.

use std::fmt::Write as _;
use std::path::Path;

use crate::profile::{self, Execute};
use crate::spec::{Access, LaunchSpec, Limits, Net};

/// What every program needs to start at all.
const SYSTEM: [&str; 7] = [
    "/usr",
    "/bin",
    "/System/Library",
    "/System/Volumes/Preboot/Cryptexes",
    "/Library/Apple",
    "/private/etc/ssl",
    "/private/var/db/timezone",
];

/// How a unit is started on macOS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatbeltLaunch {
    /// The command line: a shell that sets the limits, `sandbox-exec` with the profile, the program.
    pub argv: Vec<String>,
    /// What is less than on Linux, a sentence each; never empty.
    pub gaps: Vec<String>,
}

/// The command line of a unit. `port` is its listener on the host's loopback.
///
/// # Errors
/// A sentence naming what this form cannot express; it is refused and not left out.
pub fn seatbelt_launch(spec: &LaunchSpec, port: Option<u16>) -> Result<SeatbeltLaunch, String> {
    if let Some(layer) = spec.layers.first() {
        return Err(format!(
            "On macOS the bytes and files of {} cannot be bounded (sandbox.disk, sandbox.inodes): take these keys out.",
            layer.at.display()
        ));
    }
    let profile = seatbelt_profile(spec, port)?;
    let begin = ["/bin/sh", "-c", &limits(&spec.limits), "creel", "/usr/bin/sandbox-exec", "-p", &profile];
    let argv = begin.into_iter().map(str::to_owned).chain(spec.argv.iter().cloned()).collect();
    let mut gaps = vec![
        "macOS: no namespaces: names, sizes and times of files, and other processes, are visible".to_owned(),
        "macOS: no cgroup: what the unit started and let go of is not ended with it".to_owned(),
    ];
    if spec.limits.data.is_some() {
        gaps.push("macOS: memory has no limit that the kernel keeps to".to_owned());
    }
    if spec.limits.nproc.is_some() {
        gaps.push("macOS: the limit of processes counts all of the user's".to_owned());
    }
    if spec.limits.cpu_percent.is_some() {
        gaps.push("macOS: the share of the processors has no limit".to_owned());
    }
    Ok(SeatbeltLaunch { argv, gaps })
}

/// A line for `sh` that sets the limits and becomes what follows. A limit that cannot be set ends it.
fn limits(limits: &Limits) -> String {
    // Units as POSIX has them for `-f`, 512 bytes, and as every shell has them for `-d`, KiB.
    let table = [
        ("-n", limits.nofile),
        ("-f", limits.fsize.map(|bytes| bytes.div_ceil(512))),
        ("-d", limits.data.map(|bytes| bytes.div_ceil(1024))),
        ("-t", limits.cpu_seconds),
    ];
    let mut line = "ulimit -c 0".to_owned();
    for (flag, value) in table {
        if let Some(value) = value {
            let _ = write!(line, " && ulimit {flag} {value}");
        }
    }
    if let Some(most) = limits.nproc {
        // Shells differ in the letter.
        let _ = write!(line, " && {{ ulimit -u {most} || ulimit -p {most}; }} 2>/dev/null");
    }
    line.push_str(" && exec \"$@\"");
    line
}

/// The profile text.
fn seatbelt_profile(spec: &LaunchSpec, port: Option<u16>) -> Result<String, String> {
    let profile = profile::role(spec.role);
    let mut text = String::from(
        "(version 1)\n(deny default)\n(allow sysctl-read)\n(allow signal (target same-sandbox))\n",
    );
    if profile.stub {
        text.push_str("(allow process-fork)\n");
    }
    text.push_str("(allow file-read-metadata (literal \"/\"))\n");
    for path in SYSTEM {
        rule(&mut text, "file-read*", Path::new(path))?;
    }
    for device in ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"] {
        let _ = writeln!(text, "(allow file-read* file-write-data (literal \"{device}\"))");
    }
    match (profile.execute, spec.argv.first()) {
        (Execute::Own, Some(program)) => rule(&mut text, "process-exec file-read*", Path::new(program))?,
        _ => text.push_str("(allow process-exec)\n"),
    }
    for view in &spec.fs {
        if view.at != view.path {
            return Err(format!(
                "The view {} cannot appear at {}: macOS has no mount namespaces. Use the same path.",
                view.path.display(),
                view.at.display()
            ));
        }
        rule(&mut text, "file-read*", &view.path)?;
        if view.access == Access::Rw {
            rule(&mut text, "file-write*", &view.path)?;
            if spec.protect_git {
                // Later rules win; this one also holds for a folder that does not exist yet.
                let _ = writeln!(text, "(deny file-write* (subpath {}))", quoted(&view.path.join(".git"))?);
            }
            for name in &spec.protect {
                let _ = writeln!(text, "(deny file-write* (subpath {}))", quoted(&view.path.join(name))?);
            }
        }
    }
    match (spec.net, port) {
        (Net::Listener, Some(port)) => {
            let _ = writeln!(text, "(allow network-outbound (remote tcp \"localhost:{port}\"))");
        }
        (Net::Host, _) => {
            text.push_str("(allow network-outbound (remote ip \"*:*\"))\n(allow system-socket)\n")
        }
        _ => {}
    }
    Ok(text)
}

fn rule(text: &mut String, operation: &str, path: &Path) -> Result<(), String> {
    let _ = writeln!(text, "(allow {operation} (subpath {}))", quoted(path)?);
    Ok(())
}

/// A path as a string of the profile language.
fn quoted(path: &Path) -> Result<String, String> {
    let refused =
        || format!("The path {} cannot stand in a Seatbelt profile; rename the folder.", path.display());
    let text = path
        .to_str()
        .filter(|t| t.starts_with('/') && !t.chars().any(char::is_control))
        .ok_or_else(refused)?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Role, View};

    #[test]
    fn a_tool_may_fork_and_write_its_workspace_but_not_git_and_has_no_network() {
        let mut spec = LaunchSpec::new("tool:x", Role::Tool, vec!["/bin/sh".into()]);
        spec.fs.push(View::rw("/Users/a/work \"x\""));
        let text = seatbelt_profile(&spec, None).unwrap();
        assert!(text.starts_with("(version 1)\n(deny default)\n"));
        assert!(text.contains("(allow process-fork)"));
        let write = text.find("(allow file-write* (subpath \"/Users/a/work \\\"x\\\"\"))").unwrap();
        assert!(text.find("(deny file-write* (subpath \"/Users/a/work \\\"x\\\"/.git\"))").unwrap() > write);
        assert!(!text.contains("network"));
    }

    #[test]
    fn a_worker_reaches_its_listener_and_executes_itself_alone() {
        let mut spec = LaunchSpec::new("agent:main", Role::Agent, vec!["/opt/creel/creel-agent".into()]);
        spec.net = Net::Listener;
        let text = seatbelt_profile(&spec, Some(4711)).unwrap();
        assert!(text.contains("(remote tcp \"localhost:4711\")") && !text.contains("process-fork"));
        assert!(text.contains("(allow process-exec file-read* (subpath \"/opt/creel/creel-agent\"))"));
    }

    #[test]
    fn the_command_line_sets_limits_and_says_what_is_missing() {
        let mut spec = LaunchSpec::new("tool:x", Role::Tool, vec!["/bin/echo".into(), "a b".into()]);
        spec.limits = Limits {
            nofile: Some(64),
            fsize: Some(1000),
            data: Some(1 << 30),
            nproc: Some(512),
            cpu_seconds: Some(60),
            cpu_percent: Some(50),
        };
        let launch = seatbelt_launch(&spec, None).unwrap();
        insta::assert_snapshot!(launch.argv.join("\n"));
        insta::assert_snapshot!(launch.gaps.join("\n"));
        spec.layers.push(crate::Layer { at: "/w".into(), bytes: Some(1), inodes: None });
        assert!(seatbelt_launch(&spec, None).unwrap_err().contains("sandbox.disk"));
    }

    /// The shell of this system in place of the one there: both take the same line.
    #[test]
    fn the_line_of_limits_is_understood_by_a_shell() {
        let wanted = Limits { nofile: Some(64), fsize: Some(1024), nproc: Some(4096), ..Limits::default() };
        let shell = |limit: &Limits| {
            let ask = "ulimit -n; ulimit -f; ulimit -c";
            let args = ["-c", &limits(limit), "creel", "/bin/sh", "-c", ask];
            std::process::Command::new("/bin/sh").args(args).output().unwrap()
        };
        let told = shell(&wanted);
        assert_eq!(String::from_utf8_lossy(&told.stdout), "64\n2\n0\n", "{told:?}");
        let raised = shell(&Limits { nofile: Some(u64::MAX), ..wanted });
        assert!(!raised.status.success() && raised.stdout.is_empty(), "{raised:?}");
    }

    #[test]
    fn what_the_language_cannot_hold_is_refused() {
        let mut spec = LaunchSpec::new("tool:x", Role::Tool, vec!["/bin/sh".into()]);
        spec.fs.push(View::ro("/a\nb"));
        assert!(seatbelt_profile(&spec, None).is_err());
        spec.fs = vec![View { path: "/a".into(), at: "/b".into(), access: Access::Ro }];
        assert!(seatbelt_profile(&spec, None).unwrap_err().contains("/b"));
    }
}
