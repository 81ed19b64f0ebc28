//! Reading an account's settings: what is missing or wrong is said with the key and what to write.

use creel_ipc::msg::channel::ChannelConfig;
use creel_ipc::{ErrorClass, RpcError, Secret};
use serde_json::Value;

/// The settings of one account.
pub(crate) struct Settings<'a> {
    config: &'a ChannelConfig,
    value: &'a Value,
    /// Keys on the way to the value, such as `sasl.`.
    path: String,
}

impl<'a> Settings<'a> {
    pub(crate) fn of(config: &'a ChannelConfig) -> Result<Self, RpcError> {
        let settings = Self { config, value: config.settings.expose(), path: String::new() };
        if settings.value.is_object() { Ok(settings) } else { Err(settings.fault("", "are no object")) }
    }

    /// An error that a human must mend; `what` goes on after the key.
    pub(crate) fn fault(&self, key: &str, what: &str) -> RpcError {
        let ChannelConfig { channel, account, .. } = self.config;
        let sentence = if key.is_empty() && self.path.is_empty() {
            format!("The settings of the {channel} account `{account}` {what}.")
        } else {
            format!("The setting `{}{key}` of the {channel} account `{account}` {what}.", self.path)
        };
        RpcError::new(ErrorClass::ConfigFatal, sentence)
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, RpcError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(key, "must be a text")),
        }
    }

    pub(crate) fn secret(&self, key: &str) -> Result<Option<Secret>, RpcError> {
        let text = self.text(key)?;
        if text.is_some_and(|text| text.contains(['\r', '\n', '\0'])) {
            return Err(self.fault(key, "holds a line break; check how it was pasted"));
        }
        Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
    }

    pub(crate) fn number(&self, key: &str, least: u64, most: u64) -> Result<Option<u64>, RpcError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
                _ => Err(self.fault(key, &format!("must be a whole number from {least} to {most}"))),
            },
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, RpcError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.fault(key, "must be true or false")),
        }
    }

    pub(crate) fn texts(&self, key: &str) -> Result<Vec<&'a str>, RpcError> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let texts = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        texts.ok_or_else(|| self.fault(key, "must be a list of texts"))
    }

    pub(crate) fn table(&self, key: &str) -> Result<Option<Self>, RpcError> {
        match self.get(key) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => {
                let path = format!("{}{key}.", self.path);
                Ok(Some(Self { config: self.config, value, path }))
            }
            Some(_) => Err(self.fault(key, "must be a table { … }")),
        }
    }
}
