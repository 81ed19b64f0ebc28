//! What a unit is told to try when it tests its own sandbox: things of this very host that must be out of its reach.

use std::path::{Path, PathBuf};

use creel_config::plan::{Plan, UnitKind};
use creel_launch::{LaunchSpec, Level, Net, Role};

/// The variable that a unit reads them from: lines of a key, a space and a value (`creel-seal` reads it).
pub const PROMISE: &str = "CREEL_SELFTEST";

/// What every host has, and no unit sees.
const HOST: [&str; 2] = ["/sys", "/etc/hostname"];

/// The promise of one launch. `private`: files of this installation that only few units may see.
pub fn promise(spec: &LaunchSpec, plan: &Plan, private: &[PathBuf]) -> String {
    let network = match spec.net {
        Net::Host => "host",
        Net::Listener | Net::None => "none",
    };
    let mut text = format!("level {}\nnetwork {network}\nsupervisor {}", spec.level, std::process::id());
    if spec.level == Level::L0 {
        return text;
    }
    let workspaces = plan.units.iter().filter_map(|unit| match &unit.kind {
        UnitKind::Agent { workspace, .. } => Some(workspace.as_path()),
        _ => None,
    });
    let port = plan.units.iter().find_map(|unit| match unit.kind {
        UnitKind::Gateway { port, .. } => Some(port),
        _ => None,
    });
    if let Some(port) = port {
        text.push_str(&format!("\nport {port}"));
    }
    let views: Vec<PathBuf> = spec.fs.iter().filter_map(|view| view.path.canonicalize().ok()).collect();
    let outside = |path: &Path| outside(path, &views, spec.role);
    let others = workspaces.filter_map(outside).take(1);
    let private = private.iter().map(PathBuf::as_path).chain(HOST.map(Path::new));
    for path in private.filter_map(outside).chain(others) {
        text.push_str("\noutside ");
        text.push_str(&path);
    }
    text
}

/// The path by its real name, when it exists and neither a view nor the role shows it or anything below it. A workspace that is
/// named as `/etc` by mistake is its agent's problem, and nobody else's.
fn outside(path: &Path, views: &[PathBuf], role: Role) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let seen = creel_launch::has_of_its_own(role, &path)
        || views.iter().any(|view| path.starts_with(view) || view.starts_with(&path));
    path.to_str().filter(|text| !seen && !text.contains('\n')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use creel_config::{Config, Found, Overrides, Paths};
    use creel_launch::View;

    use super::*;

    #[test]
    fn what_a_view_shows_is_not_promised_to_be_out_of_reach() {
        let home = tempfile::tempdir().unwrap();
        let overrides = Overrides { home: Some(home.path().to_owned()), ..Overrides::default() };
        let paths = Paths::compose(&overrides, None, None).unwrap();
        let plan = Config::default().plan(&paths, &Found::default());
        let [mine, other] = ["mine", "other"].map(|name| home.path().canonicalize().unwrap().join(name));
        std::fs::create_dir(&mine).unwrap();
        std::fs::write(&other, "x").unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&mine, &link).unwrap();
        let mut spec = LaunchSpec::new("agent:main", Role::Agent, vec!["/x".into()]);
        spec.fs.push(View::rw(&mine));
        let private = [mine.clone(), link, other.clone(), home.path().to_owned(), home.path().join("none")];
        let text = promise(&spec, &plan, &private);
        assert!(text.contains(&format!("outside {}", other.display())), "{text}");
        assert_eq!(text.matches(home.path().to_str().unwrap()).count(), 1, "{text}");
        let shown = ["/etc", "/usr/lib", "/", "/tmp"].map(PathBuf::from);
        assert!(!promise(&spec, &plan, &shown).replace("outside /etc/hostname", "").contains("outside /etc"));
        for path in shown {
            assert_eq!(outside(&path, &[], Role::Gateway), None, "{}", path.display());
        }
        assert!(text.starts_with("level L2\nnetwork none\n") && text.contains("\nport 18789"), "{text}");
        spec.level = Level::L0;
        assert!(!promise(&spec, &plan, &private).contains("outside"));
    }
}
