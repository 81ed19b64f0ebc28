//! Where the command line talks: data on stdout, everything else on stderr.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::error::CliError;
use super::table::{self, lines};

/// How to print.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool, when: ColourWhen) -> Self {
        let colour = match when {
            ColourWhen::Auto => {
                let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !json && io::stdout().is_terminal() && !unwanted
            }
            ColourWhen::Always => !json,
            ColourWhen::Never => false,
        };
        Self { json, colour }
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints data: as JSON with `--json`, else the text.
    pub(crate) fn data(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json {
            let json = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
            return self.line(table::json(&json));
        }
        let text = text();
        if text.is_empty() { Ok(()) } else { self.line(text.trim_end_matches('\n')) }
    }

    /// Prints data as one line of JSON.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<(), CliError> {
        self.line(table::json(&serde_json::to_string(value).map_err(io::Error::from)?))
    }

    /// Prints one line.
    pub(crate) fn line(&self, text: impl fmt::Display) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        Ok(writeln!(stdout, "{text}").and_then(|()| stdout.flush())?)
    }

    /// Prints a piece of text at once, without a newline.
    pub(crate) fn piece(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        Ok(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())?)
    }

    /// Says something that is no data.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        // A closed stderr is no reason to fail.
        let _closed = writeln!(io::stderr().lock(), "{text}");
    }

    /// Says why the command failed.
    pub(crate) fn error(&self, error: &CliError) {
        if matches!(error, CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return;
        }
        if self.json {
            let json = serde_json::json!({ "error": error.to_string() });
            self.note(table::json(&json.to_string()));
        } else {
            // Much of it is what somebody else said: a model's server, a command, a sender.
            self.note(format_args!("creel: {}", lines(&error.to_string())));
        }
    }

    /// Text in a colour, where colours are seen.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", colour as u8) } else { text.to_owned() }
    }
}

/// When text has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ColourWhen {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also into a pipe
    Always,
    /// Nowhere
    Never,
}

/// A colour of the terminal (SGR code).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Colour {
    /// Something is wrong.
    Red = 31,
    /// All is well.
    Green = 32,
    /// Something is on its way.
    Yellow = 33,
    /// Beside the point.
    Grey = 90,
}
