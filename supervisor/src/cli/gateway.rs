//! `creel gateway`.

use std::process::ExitCode;

use serde_json::Value;

use super::error::CliError;
use super::socket::Socket;
use super::{Context, OK, table};

/// Call the gateway directly.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Call one method and print its result as JSON
    #[command(
        after_help = "Examples:\n  creel gateway call health\n  creel gateway call chat.history --params '{\"sessionKey\":\"main\"}'"
    )]
    Call {
        /// The method's name; `methods.list` names them all
        method: String,
        /// The method's parameters, a JSON object
        #[arg(long, value_name = "JSON", default_value = "{}")]
        params: String,
    },
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    let Command::Call { method, params } = command;
    let wrong = |error| {
        CliError::Usage(format!("--params is no JSON object: {error}. Give it as '{{\"key\": \"value\"}}'."))
    };
    let params: Value = serde_json::from_str(&params).map_err(|error| wrong(error.to_string()))?;
    if !params.is_object() {
        return Err(wrong(format!("it is {}", kind(&params))));
    }
    let answer = Socket::connect(context)?.call(&method, &params)?;
    context.out.data(&answer, || table::json(&format!("{answer:#}")))?;
    Ok(OK)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "an array",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) | Value::Null => "a single word",
        Value::Object(_) => "an object",
    }
}
