//! A folder or file of the host inside tool runs: `host:inside:ro`.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use crate::node::Node;
use crate::shape::{Reading, Shape, Show};

/// One entry of `binds`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Bind {
    /// The path on the host.
    pub host: PathBuf,
    /// Where commands find it.
    pub inside: PathBuf,
    /// Whether they may write there.
    pub writable: bool,
}

impl Bind {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = text.split(':');
        let (Some(host), Some(inside), Some(access), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("it does not have three parts");
        };
        let writable = match access {
            "ro" => false,
            "rw" => true,
            _ => return Err("its last part is neither ro nor rw"),
        };
        let plain = |path: &Path| {
            path.is_absolute()
                && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        };
        let (host, inside) = (PathBuf::from(host), PathBuf::from(inside));
        if !plain(&host) || !plain(&inside) {
            return Err("its paths must be absolute and without \"..\"");
        }
        let taken = ["/", "/proc", "/sys", "/dev", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/tmp"];
        if taken.iter().any(|path| inside == Path::new(path)) {
            return Err("the sandbox has a folder of its own there");
        }
        let system = ["/proc", "/sys", "/dev", "/run", "/boot", "/var/run", "/root/.ssh"];
        if host == Path::new("/") || system.iter().any(|path| host.starts_with(path)) {
            return Err("commands may never see that folder of the host");
        }
        Ok(Self { host, inside, writable })
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = if self.writable { "rw" } else { "ro" };
        write!(f, "{}:{}:{access}", self.host.display(), self.inside.display())
    }
}

impl Shape for Bind {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(node, at)?;
        Self::parse(&text)
            .map_err(|why| {
                let fix = "write \"/path/on/the/host:/path/inside:ro\" or \":rw\"";
                at.fault(node.mark, format!("\"{text}\" is no bind: {why}"), fix);
            })
            .ok()
    }
    fn show(&self, _: Show) -> Value {
        self.to_string().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^/[^:]+:/[^:]+:(ro|rw)$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_names_two_places_and_an_access() {
        let bind = Bind::parse("/srv/data:/data:rw").unwrap();
        assert_eq!((bind.to_string().as_str(), bind.writable), ("/srv/data:/data:rw", true));
        for bad in [
            "/srv/data:/data",
            "/srv/data:/data:rwx",
            "data:/data:ro",
            "/srv/../etc:/data:ro",
            "/:/host:ro",
            "/srv:/:ro",
            "/run/docker.sock:/run/docker.sock:rw",
            "/srv:/etc:ro",
            "/a:/b:ro:z",
            "/proc/1:/p:ro",
        ] {
            assert!(Bind::parse(bad).is_err(), "{bad}");
        }
    }
}
