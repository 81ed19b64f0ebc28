//! Who has what, where several hosts share a database.

use std::collections::BTreeMap;

use super::{Core, is_webchat};
use crate::hub::{Cluster, HostRow, HubError, LeaseRow};
use crate::store::{LeaseRecord, Lost};

impl Core {
    pub(crate) async fn cluster(&self) -> Result<Cluster, HubError> {
        let records = self.desk.read(|store| store.leases()).await?;
        let role = self.settings().config.cluster.role.word();
        Ok(seen(&self.who.host, role, self.who.ttl.as_secs(), records))
    }
}

/// A host holds the account of its own port as long as it is there.
fn seen(own: &str, role: &str, lease_seconds: u64, records: Vec<LeaseRecord>) -> Cluster {
    let row = |name: &str| HostRow {
        name: name.to_owned(),
        own: name == own,
        role: (name == own).then(|| role.to_owned()),
        up: name == own,
        accounts: 0,
        turns: 0,
    };
    let mut hosts = BTreeMap::from([(own.to_owned(), row(own))]);
    let mut leases = Vec::new();
    for record in records {
        let host = hosts.entry(record.host.clone()).or_insert_with(|| row(&record.host));
        let holds = record.left_ms > 0 || own.is_empty();
        let (kind, key) = match record.what {
            Lost::Account(account) if is_webchat(&account) => {
                host.up |= holds;
                continue;
            }
            Lost::Account(account) => {
                host.accounts += usize::from(holds);
                ("account", account)
            }
            Lost::Lane(lane) | Lost::Turn(lane) => {
                host.turns += usize::from(holds);
                ("lane", lane)
            }
        };
        leases.push(LeaseRow { kind, key, host: record.host, epoch: record.epoch, left_ms: record.left_ms });
    }
    Cluster { shared: !own.is_empty(), lease_seconds, hosts: hosts.into_values().collect(), leases }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_up_while_it_holds_the_account_of_its_own_port() {
        let record = |what, host: &str, left_ms| LeaseRecord {
            what,
            host: host.to_owned(),
            life: String::new(),
            epoch: 3,
            left_ms,
        };
        let account = |name: &str| Lost::Account(name.to_owned());
        let seen = seen(
            "alpha",
            "primary",
            15,
            vec![
                record(account("telegram:default"), "beta", 9_000),
                record(account("webchat:beta"), "beta", 8_000),
                record(account("webchat:gamma"), "gamma", -1),
                record(account("irc:default"), "gamma", -1),
                record(Lost::Lane("agent:main:main".to_owned()), "beta", 7_000),
            ],
        );
        let hosts: Vec<_> = seen.hosts.iter().map(|h| (h.name.as_str(), h.up, h.accounts, h.turns)).collect();
        assert_eq!(hosts, [("alpha", true, 0, 0), ("beta", true, 1, 1), ("gamma", false, 0, 0)]);
        assert_eq!(seen.hosts[0].role.as_deref(), Some("primary"));
        assert_eq!(
            seen.leases.iter().map(|lease| lease.kind).collect::<Vec<_>>(),
            ["account", "account", "lane"]
        );
    }
}
