//! The tool `exec`: a command in the tool sandbox. The worker itself may start nothing (D1).

use creel_ipc::msg::tool::{ToolCause, ToolExit, ToolRunParams};
use creel_ipc::terminal::stripped;
use serde_json::Value;

use super::{Outcome, arguments::Arguments, truncate};

/// Bytes of the error output that are shown beside the output itself.
const MAX_STDERR: usize = 16 * 1024;

/// What `exec` waits for a command with a terminal, or one that is to run on, before it leaves it, milliseconds.
const YIELD: u64 = 10_000;
/// What it waits for one that is to run in the background at once: a command that cannot be run says so.
const AT_ONCE: u64 = 300;

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The command.
    pub command: ToolRunParams,
    /// After so many milliseconds it is left running; without it is waited for to its end.
    pub leave_after: Option<u64>,
    /// Whether it gets a terminal.
    pub terminal: bool,
}

/// The run of a call, or the sentence for the model. `run` is unique to the turn's step.
///
/// # Errors
/// A sentence for the model.
pub fn plan(run: String, arguments: &Value, default_wall_ms: u64) -> Result<Plan, String> {
    let known = ["command", "workdir", "timeout", "background", "yieldMs", "pty", "elevated"];
    let arguments = Arguments::of("exec", arguments, &known)?;
    let command = arguments.text("command")?;
    if command.trim().is_empty() {
        return Err("The argument `command` of `exec` is empty.".to_owned());
    }
    if command.contains('\0') {
        return Err(
            "The argument `command` of `exec` contains a NUL character, which no command can.".to_owned()
        );
    }
    let timeout = arguments.count("timeout")?.map(|seconds| seconds.saturating_mul(1000));
    let (terminal, patience) = (arguments.flag("pty")?, arguments.count("yieldMs")?);
    let leave_after = match (arguments.flag("background")?, patience) {
        (true, _) => Some(AT_ONCE),
        (false, Some(patience)) => Some(patience),
        (false, None) => terminal.then_some(YIELD),
    };
    // Whoever waits for the end has the agent's time; what runs on has the operator's for that.
    let wall_ms = timeout.or((leave_after.is_none() && default_wall_ms > 0).then_some(default_wall_ms));
    let command = ToolRunParams {
        run,
        agent: String::new(),
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()],
        cwd: arguments.given_text("workdir")?.map(str::to_owned),
        env: std::collections::BTreeMap::new(),
        wall_ms,
        session: None,
        main: false,
        known_only: false,
        elevated: arguments.flag("elevated")?,
        elevated_for: Vec::new(),
    };
    Ok(Plan { command, leave_after, terminal })
}

/// What the model reads of a run that ended: what a terminal would obey, colours included, is not in it.
pub fn report(exit: &ToolExit) -> Outcome {
    let mut text = String::new();
    let (stdout, stderr) = (stripped(&exit.stdout), stripped(&exit.stderr));
    let (stdout, cut) = truncate::tail(&stdout);
    if cut || exit.dropped_bytes > 0 {
        text.push_str(
            "[The beginning of the output is cut off; write it to a file and read that to see all.]\n",
        );
    }
    text.push_str(stdout);
    let (stderr, _) = truncate::tail(&stderr);
    let stderr = truncate::end(stderr, MAX_STDERR);
    if !stderr.trim().is_empty() {
        end_line(&mut text);
        text.push_str("[stderr]\n");
        text.push_str(stderr);
    }
    end_line(&mut text);
    if text.is_empty() && exit.cause != ToolCause::LaunchFailed {
        text.push_str("(no output)\n");
    }
    text.push_str(&ending(exit));
    if let Some(message) = exit.message.as_deref().filter(|message| !message.trim().is_empty()) {
        text.push('\n');
        text.push_str(message);
    }
    for denial in &exit.denials {
        text.push_str("\n[sandbox] ");
        text.push_str(&denial.sentence);
    }
    let well = exit.cause == ToolCause::Exited && exit.code == Some(0);
    Outcome { text, is_error: !well }
}

pub(super) fn ending(exit: &ToolExit) -> String {
    match (exit.cause, exit.code, exit.signal) {
        (ToolCause::Exited, Some(code), _) => format!("[exit code {code}]"),
        (ToolCause::Exited, None, _) => "[ended]".to_owned(),
        (ToolCause::Signalled, _, Some(signal)) => format!("[killed by signal {signal}]"),
        (ToolCause::Signalled, _, None) => "[killed by a signal]".to_owned(),
        (ToolCause::TimedOut, _, _) => {
            format!("[stopped after {:.1} s: its time was up]", exit.wall_ms as f64 / 1000.0)
        }
        (ToolCause::Killed, _, _) => "[stopped on request]".to_owned(),
        (ToolCause::LaunchFailed, _, _) => {
            "[the sandbox could not be built, so the command never ran]".to_owned()
        }
    }
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn exit(cause: ToolCause, code: Option<i32>, stdout: &str, stderr: &str) -> ToolExit {
        ToolExit {
            code,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            wall_ms: 1500,
            ..ToolExit::of(cause)
        }
    }

    #[test]
    fn what_the_model_reads() {
        let denied = ToolExit {
            message: Some("Writing to /etc is denied by `sandbox.tools`.".to_owned()),
            ..exit(ToolCause::Exited, Some(2), "", "cannot create /etc/x")
        };
        let seen: Vec<String> = [
            exit(ToolCause::Exited, Some(0), "hello\n", ""),
            exit(ToolCause::Exited, Some(0), "", ""),
            exit(ToolCause::Exited, Some(1), "some", "warn\n"),
            exit(ToolCause::TimedOut, None, "part", ""),
            exit(ToolCause::LaunchFailed, None, "", ""),
            denied,
        ]
        .iter()
        .map(report)
        .map(|outcome| format!("{} {}", if outcome.is_error { "ERR" } else { "ok " }, outcome.text))
        .collect();
        insta::assert_snapshot!(seen.join("\n---\n"));
    }

    #[test]
    fn the_run_of_a_call() {
        let of = |arguments: Value| plan("t1:2".to_owned(), &arguments, 30_000).unwrap();
        let Plan { command: run, leave_after, .. } = of(json!({"command": "ls", "timeout": 5}));
        assert_eq!((run.run.as_str(), run.wall_ms, run.argv[2].as_str()), ("t1:2", Some(5000), "ls"));
        assert_eq!(leave_after, None);
        assert_eq!(of(json!({"command": "ls"})).command.wall_ms, Some(30_000));
        let left = of(json!({"command": "ls", "background": true, "workdir": "src"}));
        assert_eq!((left.command.wall_ms, left.leave_after), (None, Some(AT_ONCE)));
        assert_eq!(left.command.cwd.as_deref(), Some("src"));
        let terminal = of(json!({"command": "ls", "pty": true, "timeout": 60}));
        assert_eq!((terminal.command.wall_ms, terminal.leave_after), (Some(60_000), Some(YIELD)));
        assert_eq!(of(json!({"command": "ls", "yieldMs": 50})).leave_after, Some(50));
        for wrong in [json!({"command": ""}), json!({"command": "a\0b"}), json!({"cmd": "ls"}), json!([])] {
            plan("r".to_owned(), &wrong, 0).unwrap_err();
        }
    }
}
