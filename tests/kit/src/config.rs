//! Configurations for tests, as JSON values that grow by merging.

use serde_json::{Value, json};

/// Puts `over` over `base`: tables grow together, everything else is replaced.
pub fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

/// What every test home has: its own port, no waiting for further messages, and a brake and waits that let tests
/// kill as often as they like.
pub fn base(port: u16) -> Value {
    json!({
        "gateway": {"port": port, "reload": {"debounceMs": 50}},
        "agents": {"defaults": {"tools": {"exec": {"security": "full", "ask": "off"}}}},
        "messages": {"queue": {"mode": "followup", "debounceMs": 0}},
        "supervisor": {
            "backoff": {"initialMs": 20, "maxMs": 500, "jitter": 0.0},
            "brake": {"crashes": 10000, "windowSeconds": 1, "crashesPerHour": 100000},
        },
        "logging": {"level": "debug"},
    })
}

/// A model server as the provider `fake`, used by every agent.
pub fn model(base_url: &str) -> Value {
    json!({
        "agents": {"defaults": {"model": "fake/fake-1"}},
        "models": {"providers": {"fake": {
            "baseUrl": base_url, "api": "openai-completions", "apiKey": "fake-key",
            "models": [{"id": "fake-1", "contextWindow": 1_000_000, "maxTokens": 200_000}],
        }}},
    })
}

/// A Telegram account to which everybody may write.
pub fn telegram(api_root: &str, token: &str) -> Value {
    json!({"channels": {"telegram": {
        "botToken": token, "apiRoot": api_root, "pollTimeoutSeconds": 2,
        "dmPolicy": "open", "allowFrom": ["*"], "groupPolicy": "open", "groups": {"*": {"requireMention": true}},
    }}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_grow_together() {
        let mut config = json!({"a": {"b": 1, "c": [1]}});
        merge(&mut config, json!({"a": {"c": [2], "d": 3}}));
        assert_eq!(config, json!({"a": {"b": 1, "c": [2], "d": 3}}));
    }
}
