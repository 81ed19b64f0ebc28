//! The tool `exec`: a command in the tool sandbox. The worker itself may start nothing (D1).

use creel_ipc::msg::tool::{ToolCause, ToolExit, ToolRunParams};
use serde_json::Value;

use super::{Outcome, arguments::Arguments, truncate};

/// Bytes of the error output that are shown beside the output itself.
const MAX_STDERR: usize = 16 * 1024;

/// The run of a call, or the sentence for the model. `run` is unique to the turn's step.
///
/// # Errors
/// A sentence for the model.
pub fn plan(run: String, arguments: &Value, default_wall_ms: u64) -> Result<ToolRunParams, String> {
    let arguments = Arguments::of("exec", arguments, &["command", "timeout"])?;
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
    Ok(ToolRunParams {
        run,
        agent: String::new(),
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()],
        cwd: None,
        env: std::collections::BTreeMap::new(),
        wall_ms: timeout.or((default_wall_ms > 0).then_some(default_wall_ms)),
        session: None,
        main: false,
    })
}

/// What the model reads of a run that ended.
pub fn report(exit: &ToolExit) -> Outcome {
    let mut text = String::new();
    let (stdout, cut) = truncate::tail(&exit.stdout);
    if cut || exit.dropped_bytes > 0 {
        text.push_str(
            "[The beginning of the output is cut off; write it to a file and read that to see all.]\n",
        );
    }
    text.push_str(stdout);
    let (stderr, _) = truncate::tail(&exit.stderr);
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

fn ending(exit: &ToolExit) -> String {
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
            cause,
            code,
            signal: None,
            message: None,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            dropped_bytes: 0,
            wall_ms: 1500,
            denials: Vec::new(),
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
        let run = plan("t1:2".to_owned(), &json!({"command": "ls", "timeout": 5}), 30_000).unwrap();
        assert_eq!((run.run.as_str(), run.wall_ms, run.argv[2].as_str()), ("t1:2", Some(5000), "ls"));
        assert_eq!(plan("r".to_owned(), &json!({"command": "ls"}), 30_000).unwrap().wall_ms, Some(30_000));
        for wrong in [json!({"command": ""}), json!({"command": "a\0b"}), json!({"cmd": "ls"}), json!([])] {
            plan("r".to_owned(), &wrong, 0).unwrap_err();
        }
    }
}
