//! Reading a tool's arguments, with sentences that let the model mend its call.

use serde_json::{Map, Value};

/// The arguments of one call.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a> {
    tool: &'a str,
    object: &'a Map<String, Value>,
}

impl<'a> Arguments<'a> {
    /// Takes the arguments and refuses names that the tool does not have.
    ///
    /// # Errors
    /// A sentence for the model.
    pub fn of(tool: &'a str, arguments: &'a Value, known: &[&str]) -> Result<Self, String> {
        let object = super::object(tool, arguments)?;
        if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
            let list = known.join("`, `");
            return Err(format!("`{tool}` has no argument `{name}`; it has `{list}`."));
        }
        Ok(Self { tool, object })
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// A sentence for the model.
    pub fn text(&self, name: &str) -> Result<&'a str, String> {
        match self.object.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.wrong(name, "a string", other)),
            None => Err(format!("`{}` needs the argument `{name}`, a string.", self.tool)),
        }
    }

    /// A text that may be missing.
    ///
    /// # Errors
    /// A sentence for the model.
    pub fn given_text(&self, name: &str) -> Result<Option<&'a str>, String> {
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    /// Yes or no; no when it is missing.
    ///
    /// # Errors
    /// A sentence for the model.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(name, "true or false", other)),
        }
    }

    /// A number of at least 1 that may be missing.
    ///
    /// # Errors
    /// A sentence for the model.
    pub fn count(&self, name: &str) -> Result<Option<u64>, String> {
        let value = match self.object.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        // Models like to write 5.0 and "5".
        let number = match value {
            Value::String(text) => text.trim().parse::<f64>().ok(),
            other => other.as_f64(),
        };
        match number {
            Some(number) if number >= 1.0 && number.fract() == 0.0 && number <= 1e15 => {
                Ok(Some(number as u64))
            }
            _ => Err(self.wrong(name, "a whole number of at least 1", value)),
        }
    }

    /// A list that must be there and not be empty.
    ///
    /// # Errors
    /// A sentence for the model.
    pub fn list(&self, name: &str) -> Result<&'a [Value], String> {
        match self.object.get(name) {
            Some(Value::Array(list)) if !list.is_empty() => Ok(list),
            Some(other) => Err(self.wrong(name, "a list with at least one item", other)),
            None => Err(format!("`{}` needs the argument `{name}`, a list.", self.tool)),
        }
    }

    fn wrong(&self, name: &str, wanted: &str, got: &Value) -> String {
        let mut shown: String = got.to_string().chars().take(60).collect();
        if shown.len() < got.to_string().len() {
            shown.push('…');
        }
        format!("The argument `{name}` of `{}` must be {wanted}; it is {shown}.", self.tool)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mistake_has_its_sentence() {
        let of = |value: Value| -> String {
            let known = ["path", "limit", "edits"];
            let checked = Arguments::of("read", &value, &known).and_then(|arguments| {
                arguments.text("path")?;
                arguments.count("limit")?;
                arguments.list("edits").map(|_| ())
            });
            checked.unwrap_err()
        };
        let sentences = [
            of(json!(7)),
            of(json!("{\"path\":")),
            of(json!({"file": "a"})),
            of(json!({})),
            of(json!({"path": 3})),
            of(json!({"path": "a", "limit": 0})),
            of(json!({"path": "a", "limit": "many"})),
            of(json!({"path": "a"})),
            of(json!({"path": "a", "edits": []})),
        ];
        insta::assert_snapshot!(sentences.join("\n"));
    }

    #[test]
    fn numbers_as_models_write_them() {
        let value = json!({"a": 5.0, "b": "5", "c": null});
        let arguments = Arguments::of("t", &value, &["a", "b", "c"]).unwrap();
        assert_eq!(arguments.count("a"), Ok(Some(5)));
        assert_eq!(arguments.count("b"), Ok(Some(5)));
        assert_eq!(arguments.count("c"), Ok(None));
    }
}
