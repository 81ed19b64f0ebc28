//! Keys of the store and of the cluster that only mean something for another engine.

use super::Check;
use crate::fault::Fault;
use crate::node::{Node, Step};
use crate::store::{Place, StoreKind};

impl Check<'_> {
    pub(super) fn store(&mut self) {
        let store = &self.config.store;
        // Where the state is not, it may be going: `creel store migrate` reads both places.
        let mut idle: Vec<(Vec<Step>, &str, &str)> = Vec::new();
        match store.kind {
            StoreKind::Sqlite => {
                if self.tree_has(&path!["store", "postgres"]) {
                    let what = "the state is in a file (store.kind), and only `creel store migrate --to postgres` reads this";
                    let fix = "write store.kind: \"postgres\" to use it";
                    idle.push((path!["store", "postgres"].into(), what, fix));
                }
                for key in written(self.tree.get("cluster")) {
                    let what = "several hosts need PostgreSQL, and this one is alone";
                    let fix = "write store.kind: \"postgres\" and store.postgres to use it";
                    idle.push((path!["cluster", key.as_str()].into(), what, fix));
                }
            }
            StoreKind::Postgres => {
                if store.path.is_some() {
                    let what = "the state is in PostgreSQL (store.kind), and only `creel store migrate --to sqlite` reads this";
                    idle.push((
                        path!["store", "path"].into(),
                        what,
                        "write store.kind: \"sqlite\" to use it",
                    ));
                }
            }
        }
        for (path, what, fix) in idle {
            let mark = self.tree.mark_along(&path);
            let (what, fix) = (what.to_owned(), fix.to_owned());
            self.findings.warnings.push(Fault { mark, path: Some(path), what, fix });
        }
        let store = &self.config.store;
        for (number, standby) in store.postgres.standbys.iter().enumerate() {
            if standby.host.is_empty() {
                let path = path!["store", "postgres", "standbys", number];
                let fix = "write its host: the folder of its unix socket, or a host name";
                self.fault(path, "this standby has no place", fix);
            }
        }
        let near = |place: &Place| matches!(place, Place::Socket(_));
        if store.postgres.tls.ca.is_some() && store.postgres.places().iter().all(near) {
            let path = path!["store", "postgres", "tls", "ca"];
            self.fault(path, "no TLS is spoken over a unix socket", "remove it");
        }
    }
}

fn written(table: Option<&Node>) -> Vec<String> {
    let entries = table.and_then(Node::as_table).unwrap_or_default();
    entries.iter().map(|(key, _)| key.text.clone()).collect()
}
