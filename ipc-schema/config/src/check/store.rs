//! Keys of the store and of the cluster that only mean something for another engine.

use super::Check;
use crate::node::{Node, Step};
use crate::store::{Place, StoreKind};

impl Check<'_> {
    pub(super) fn store(&mut self) {
        let store = &self.config.store;
        let mut idle: Vec<(Vec<Step>, String, &str)> = Vec::new();
        match store.kind {
            StoreKind::Sqlite => {
                if self.tree_has(&path!["store", "postgres"]) {
                    let fix = "write store.kind: \"postgres\", or remove it";
                    idle.push((path!["store", "postgres"].into(), "PostgreSQL is not the store".into(), fix));
                }
                for key in written(self.tree.get("cluster")) {
                    let what = "several hosts need PostgreSQL".to_owned();
                    let fix = "write store.kind: \"postgres\" and store.postgres, or remove it";
                    idle.push((path!["cluster", key.as_str()].into(), what, fix));
                }
            }
            StoreKind::Postgres => {
                if store.path.is_some() {
                    let what = "store.path is the file of SQLite, and PostgreSQL is the store".to_owned();
                    idle.push((path!["store", "path"].into(), what, "remove it"));
                }
                if store.postgres.tls.ca.is_some() && matches!(store.postgres.place(), Place::Socket(_)) {
                    let what = "no TLS is spoken over a unix socket".to_owned();
                    idle.push((path!["store", "postgres", "tls", "ca"].into(), what, "remove it"));
                }
            }
        }
        for (path, what, fix) in idle {
            self.fault(path, what, fix);
        }
    }
}

fn written(table: Option<&Node>) -> Vec<String> {
    let entries = table.and_then(Node::as_table).unwrap_or_default();
    entries.iter().map(|(key, _)| key.text.clone()).collect()
}
