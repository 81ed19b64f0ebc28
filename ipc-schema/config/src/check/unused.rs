//! Keys that describe and change nothing. They may stay, and whoever wrote them is told that they have no effect.

use super::{Check, positions};
use crate::fault::Fault;
use crate::node::{Mark, Node, NodeKind};
use crate::sandbox::docker::Meaningless;

impl Check<'_> {
    pub(super) fn unused(&mut self) {
        let mut marks: Vec<Mark> = Vec::new();
        for (_, _, agent) in positions(self.tree) {
            marks.extend(
                agent.get("identity").and_then(|identity| identity.get("emoji")).map(|node| node.mark),
            );
        }
        let providers = self.tree.get("models").and_then(|models| models.get("providers"));
        for (_, provider) in providers.and_then(Node::as_table).unwrap_or_default() {
            let Some(NodeKind::List(models)) = provider.get("models").map(|models| &models.kind) else {
                continue;
            };
            for model in models {
                marks.extend(["name", "cost"].iter().filter_map(|key| model.get(key)).map(|node| node.mark));
            }
        }
        let defaults = self.tree.get("agents").and_then(|agents| agents.get("defaults"));
        let agents = positions(self.tree).into_iter().map(|(_, _, agent)| agent).chain(defaults);
        for (key, node) in agents
            .filter_map(|agent| agent.get("sandbox")?.get("docker")?.as_table())
            .flatten()
            .filter_map(|(key, node)| {
                Meaningless::KEYS.iter().find(|known| **known == key.text).map(|key| (key, node))
            })
        {
            self.findings.warnings.push(Fault {
                mark: node.mark,
                path: None,
                what: format!("docker.{key} means nothing without containers"),
                fix: "it may stay, without effect".into(),
            });
        }
        self.findings.warnings.extend(marks.into_iter().map(|mark| Fault {
            mark,
            path: None,
            what: "nothing uses this key yet".into(),
            fix: "it may stay, without effect".into(),
        }));
    }
}
