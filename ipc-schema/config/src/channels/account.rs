//! Accounts of one platform: written flat for a single one, or as a map of several.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::*;

/// The platform's own keys.
pub trait Platform: Noun + Debug + Clone + PartialEq {
    /// The channel's id.
    const CHANNEL: &'static str;
    /// Keys that make an account what it is. They are never taken over from the channel's section by the
    /// accounts in its map.
    const IDENTITY: &'static [&'static str];
    /// The hosts that the account has to reach.
    fn endpoints(&self) -> Vec<Endpoint>;
    /// Completes the account, and reports what is missing in it.
    fn complete(&mut self, id: &Id, table: &Node, at: &mut Reading<'_>);
}

/// One account of a platform.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Account<P> {
    /// What all platforms have in common.
    pub common: Common,
    /// The platform's own keys.
    pub platform: P,
}

/// All accounts of one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel<P> {
    /// By account id.
    pub accounts: BTreeMap<Id, Account<P>>,
}

impl<P> Default for Channel<P> {
    fn default() -> Self {
        Self { accounts: BTreeMap::new() }
    }
}

type Entries = [(Key, Node)];
const ACCOUNTS: &str = "accounts";

impl<P: Platform> Account<P> {
    fn keys() -> Vec<&'static str> {
        [Common::KEYS, P::KEYS].concat()
    }

    fn read(id: &Id, table: &Node, on: bool, at: &mut Reading<'_>) -> Self {
        let mut common = Common::read_entries(table, at);
        common.enabled &= on;
        common.check(table, at);
        let mut platform = P::read_entries(table, at);
        if common.enabled {
            platform.complete(id, table, at);
        }
        Self { common, platform }
    }
}

impl<P: Platform> Shape for Account<P> {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let table = at.table(node, &Self::keys())?;
        Some(Self::read(&Id::default_account(), table, true, at))
    }
    fn show(&self, show: Show) -> Value {
        let mut table = self.common.show_entries(show);
        table.extend(self.platform.show_entries(show));
        Value::Object(table)
    }
    fn schema() -> Value {
        let mut properties = Common::properties();
        properties.extend(P::properties());
        crate::schema::closed(properties)
    }
}

impl<P: Platform> Channel<P> {
    pub(super) fn views(&self) -> Vec<AccountView<'_>> {
        self.accounts
            .iter()
            .map(|(id, account)| AccountView {
                channel: P::CHANNEL,
                id,
                common: &account.common,
                settings: account,
            })
            .collect()
    }

    /// Reads the section. Each account is its own table over the section's shared keys over `channels.defaults`.
    pub(super) fn read_over(node: &Node, defaults: &Entries, at: &mut Reading<'_>) -> Option<Self> {
        let account_keys = Account::<P>::keys();
        let table = at.table(node, &[account_keys.as_slice(), &[ACCOUNTS]].concat())?;
        let entries = table.as_table().unwrap_or_default();
        let own: Vec<(Key, Node)> =
            entries.iter().filter(|(key, _)| account_keys.contains(&key.text.as_str())).cloned().collect();
        let shared: Vec<(Key, Node)> =
            own.iter().filter(|(key, _)| !P::IDENTITY.contains(&key.text.as_str())).cloned().collect();

        // Switching the section off switches every account off.
        let on = table.get("enabled").is_none_or(|n| n.kind != NodeKind::Bool(false));

        let mut channel = Self::default();
        let listed = match table.get(ACCOUNTS).map(|accounts| (accounts, &accounts.kind)) {
            None => None,
            Some((_, NodeKind::Table(listed))) => Some(listed),
            Some((accounts, NodeKind::List(_))) => {
                at.fault(
                    accounts.mark,
                    "accounts is a table by account id, not a list",
                    "write accounts: { work: { … } }",
                );
                return Some(channel);
            }
            Some((accounts, _)) => return at.wrong_kind(accounts, "a table { … }"),
        };
        for (key, account) in listed.into_iter().flatten() {
            let id = <Id as crate::shape::MapKey>::read_key(&key.text, key.mark, at);
            let table = at.table(account, &account_keys);
            if let (Some(id), Some(table)) = (id, table) {
                let base = if id == Id::default_account() { &own } else { &shared };
                let whole =
                    over(table.mark, [table.as_table().unwrap_or_default(), base, defaults], &account_keys);
                channel.accounts.insert(id.clone(), Account::read(&id, &whole, on, at));
            }
        }
        let flat = listed.is_none() || own.len() > shared.len();
        let id = Id::default_account();
        if flat && !channel.accounts.contains_key(&id) {
            let whole = over(table.mark, [own.as_slice(), defaults, &[]], &account_keys);
            channel.accounts.insert(id.clone(), Account::read(&id, &whole, on, at));
        }
        Some(channel)
    }
}

/// One table out of several; the first that has a key gives its value.
fn over(mark: Mark, layers: [&Entries; 3], known: &[&str]) -> Node {
    let mut whole: Vec<(Key, Node)> = Vec::new();
    for (key, value) in layers.into_iter().flatten() {
        // Unknown keys were reported; there may be any number of them.
        if known.contains(&key.text.as_str()) && !whole.iter().any(|(k, _)| k.text == key.text) {
            whole.push((key.clone(), value.clone()));
        }
    }
    Node { mark, kind: NodeKind::Table(whole) }
}

impl<P: Platform> Shape for Channel<P> {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        Self::read_over(node, &[], at)
    }
    fn show(&self, show: Show) -> Value {
        json!({ACCOUNTS: self.accounts.show(show)})
    }
    fn schema() -> Value {
        let mut properties = Common::properties();
        properties.extend(P::properties());
        properties.insert(ACCOUNTS.into(), BTreeMap::<Id, Account<P>>::schema());
        crate::schema::closed(properties)
    }
}
