//! What an operator stopped stays down: over a reload, and over a restart of the supervisor.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use creel_config::disk;

use super::Tree;

impl Tree {
    /// Takes over what an earlier supervisor was told to keep down.
    pub(super) fn hold_the_stopped(&mut self) {
        let text = match std::fs::read_to_string(self.list()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.unkept(&error),
        };
        let names = match serde_json::from_str::<BTreeSet<String>>(&text) {
            Ok(names) => names,
            Err(error) => return self.unkept(&error.into()),
        };
        for name in names {
            if let Some(member) = self.members.get_mut(&name) {
                member.held = true;
                tracing::info!("{name} stays down: it was stopped. `creel start {name}` starts it.");
            }
        }
    }

    /// Remembers that an operator stopped a unit, or wants it again.
    pub(super) fn set_held(&mut self, name: &str, held: bool) {
        let Some(member) = self.members.get_mut(name) else { return };
        if std::mem::replace(&mut member.held, held) == held {
            return;
        }
        let names: BTreeSet<&String> =
            self.members.iter().filter(|(_, member)| member.held).map(|(name, _)| name).collect();
        let kept = serde_json::to_string(&names)
            .map_err(io::Error::from)
            .and_then(|text| disk::replace(&self.list(), &text));
        if let Err(error) = kept {
            self.unkept(&error);
        }
    }

    fn list(&self) -> PathBuf {
        self.ground.paths.state().join("stopped.json")
    }

    fn unkept(&self, error: &io::Error) {
        tracing::warn!(
            "Which units are stopped is only known until Creel ends: {} cannot be used: {error}.",
            self.list().display()
        );
    }
}
