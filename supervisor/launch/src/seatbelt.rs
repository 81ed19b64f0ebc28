//! The Seatbelt profile of a unit on macOS, made from the same spec: default deny, the views, no network but the listener.
//!
//! There are no namespaces there: `status` says `partial`.

use std::fmt::Write as _;
use std::path::Path;

use crate::profile::{self, Execute};
use crate::spec::{Access, LaunchSpec, Net};

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

/// The profile text, for `sandbox_init` or `sandbox-exec -p`. `port` is the unit's listener on the host's loopback.
///
/// # Errors
/// A sentence naming the view that the profile language cannot hold.
pub fn seatbelt_profile(spec: &LaunchSpec, port: Option<u16>) -> Result<String, String> {
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
    fn what_the_language_cannot_hold_is_refused() {
        let mut spec = LaunchSpec::new("tool:x", Role::Tool, vec!["/bin/sh".into()]);
        spec.fs.push(View::ro("/a\nb"));
        assert!(seatbelt_profile(&spec, None).is_err());
        spec.fs = vec![View { path: "/a".into(), at: "/b".into(), access: Access::Ro }];
        assert!(seatbelt_profile(&spec, None).unwrap_err().contains("/b"));
    }
}
