//! Prints: whether two values differ, without keeping either.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use serde::Serialize;

use crate::found::{EffectiveProvider, Found};
use crate::scalar::Id;

/// A keyed hash. The key lives as long as the process, so a print says nothing to anybody else.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Print(u64);

impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Print(…)")
    }
}

impl Print {
    /// The print of anything that can be written as JSON.
    pub(super) fn of(value: &impl Serialize) -> Self {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        let text = serde_json::to_string(value).unwrap_or_default();
        Self(KEY.get_or_init(RandomState::new).hash_one(text))
    }
}

/// What a worker is told of the providers. What the models cost or hold may change while it runs.
pub(super) fn providers(providers: &BTreeMap<Id, EffectiveProvider>) -> Print {
    let lines: Vec<_> = providers
        .iter()
        .map(|(id, provider)| {
            let headers: Vec<_> =
                provider.headers.iter().map(|(name, value)| (name, value.expose())).collect();
            let key = provider.key.as_ref().map(creel_ipc::Secret::expose);
            (id.as_str(), provider.api, provider.url.as_ref().map(|url| url.as_str()), key, headers)
        })
        .collect();
    Print::of(&lines)
}

/// What was found at start.
pub(super) fn found(found: &Found) -> Vec<(String, Option<String>, Vec<String>)> {
    let keys = found.keys.iter().map(|(id, key)| (id.clone(), Some(key.expose().to_owned()), Vec::new()));
    let providers = found.providers.iter().map(|provider| {
        (
            provider.id.to_string(),
            provider.url.as_ref().map(|url| url.as_str().to_owned()),
            provider.models.clone(),
        )
    });
    keys.chain(providers).collect()
}
