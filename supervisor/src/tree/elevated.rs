//! Commands outside of the tool sandbox: each leaves two lines in the journal.

use creel_ipc::msg::event::EventKind;
use creel_ipc::msg::tool::{ToolCause, ToolExit, ToolRunParams};

use super::Tree;
use crate::denials::Terms;

/// Characters of a command that are told.
const TOLD: usize = 400;

impl Tree {
    /// A run is about to begin: with what, for the time when it has ended.
    pub(super) fn expect(&mut self, asked: &ToolRunParams, terms: Terms) {
        if let Some(whom) = &terms.elevated {
            let detail = format!(
                "Run {} begins outside of the sandbox (tools.elevated) for {whom}: {}",
                asked.run,
                shown(&asked.argv)
            );
            self.audit(EventKind::Elevated, &terms.agent, None, detail);
        }
        self.denials.expect(&asked.run, terms);
    }

    /// A run has ended that was begun with these terms.
    pub(super) fn elevated_ended(&mut self, run: &str, terms: &Terms, exit: &ToolExit) {
        let Some(whom) = &terms.elevated else { return };
        let how = match (exit.cause, exit.code, exit.signal) {
            (ToolCause::Exited, Some(code), _) => format!("exit code {code}"),
            (ToolCause::Signalled, _, Some(signal)) => format!("signal {signal}"),
            (ToolCause::TimedOut, ..) => "its time was up".to_owned(),
            (ToolCause::Killed, ..) => "stopped on request".to_owned(),
            (ToolCause::LaunchFailed, ..) => "it could not be started".to_owned(),
            (ToolCause::Exited | ToolCause::Signalled, ..) => "no more is known".to_owned(),
        };
        let detail =
            format!("Run {run}, outside of the sandbox for {whom}, ended after {} ms: {how}.", exit.wall_ms);
        self.audit(EventKind::Elevated, &terms.agent, exit.code, detail);
    }
}

/// A command as one line of text: what a shell is given, else all of its words.
fn shown(argv: &[String]) -> String {
    let text = match argv {
        [_, flag, line] if flag == "-c" => line.clone(),
        words => words.join(" "),
    };
    let mut text: String = text.escape_debug().to_string();
    if text.len() > TOLD {
        text.truncate(text.floor_char_boundary(TOLD));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_command_is_one_line_that_no_terminal_obeys() {
        let of = |words: &[&str]| shown(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["/bin/sh", "-c", "a\n\u{1b}[31mb"]), "a\\n\\u{1b}[31mb");
        assert_eq!(of(&["ls", "-l"]), "ls -l");
        let long = of(&["/bin/sh", "-c", &"é".repeat(1000)]);
        assert!(long.len() < 410 && long.ends_with('…'), "{long}");
    }
}
