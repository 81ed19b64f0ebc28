//! The tool `write`.

use serde_json::Value;

use super::workspace::Workspace;
use super::{Outcome, arguments::Arguments};

/// Writes a whole file.
pub fn run(workspace: &Workspace, arguments: &Value) -> Outcome {
    match write(workspace, arguments) {
        Ok(text) => Outcome::ok(text),
        Err(sentence) => Outcome::error(sentence),
    }
}

fn write(workspace: &Workspace, arguments: &Value) -> Result<String, String> {
    let arguments = Arguments::of("write", arguments, &["path", "content"])?;
    let (path, content) = (arguments.text("path")?, arguments.text("content")?);
    workspace.write(path, content.as_bytes()).map_err(|error| error.to_string())?;
    Ok(format!("Wrote {} bytes to {path}.", content.len()))
}
