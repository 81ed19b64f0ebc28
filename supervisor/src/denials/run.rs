//! What a command was denied, once it has ended.

use std::path::PathBuf;
use std::time::Duration;

use creel_ipc::msg::sandbox::{Certainty, Denial, Rule};
use creel_ipc::msg::tool::{ToolCause, ToolExit, ToolRunParams};
use creel_launch::{LaunchSpec, Layer};
use serde::{Deserialize, Serialize};

use super::printed;
use crate::tool::command::Command;
use crate::tool::layers::Bound;

/// Denials of one command that are told.
const MOST: usize = 8;
const SIGXFSZ: i32 = 25;
const SIGSYS: i32 = 31;

/// What a command was launched with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Terms {
    /// The agent.
    pub agent: String,
    /// Its sandbox.
    pub spec: LaunchSpec,
    /// The time it had.
    pub wall: Duration,
    /// Bytes that are kept of each stream.
    pub keep: usize,
    /// The limits that file systems keep for it.
    #[serde(default)]
    pub quotas: Vec<Layer>,
    /// For whom it is outside of the sandbox, if it is so because somebody may.
    #[serde(default)]
    pub elevated: Option<String>,
}

/// What its cgroup counted; all zero without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Whether something was killed for its memory.
    pub oom: bool,
    /// Forks that were refused.
    pub forks: u64,
    /// Periods in which it had to wait for a processor.
    pub throttled: u64,
}

impl Terms {
    /// Those of a command of an agent.
    pub fn of(asked: &ToolRunParams, command: &Command) -> Self {
        let Command { spec, wall, keep, .. } = command;
        let people: Vec<String> = asked.elevated_for.iter().map(ToString::to_string).collect();
        let elevated = asked.elevated.then(|| people.join(", "));
        let quotas = command.bounds.iter().filter(|bound| bound.by_quota).map(Bound::layer).collect();
        Self { agent: asked.agent.clone(), spec: spec.clone(), wall: *wall, keep: *keep, quotas, elevated }
    }

    /// It was launched, and of these folders the file system keeps the limits, whatever was expected.
    pub fn launched(&mut self, by_quota: &[PathBuf]) {
        let views: Vec<_> = self.spec.fs.iter().filter(|view| by_quota.contains(&view.path)).collect();
        let kept = |layer: &mut Layer| views.iter().any(|view| view.at == layer.at);
        self.quotas.extend(self.spec.layers.extract_if(.., kept));
    }

    /// Everything that can be said of what this command was denied.
    pub fn denials(&self, run: &str, exit: &ToolExit, counted: Counted, now_ms: i64) -> Vec<Denial> {
        let mut found = self.exact(exit, counted);
        let known: Vec<Rule> = found.iter().map(|(rule, ..)| *rule).collect();
        for (rule, sentence) in printed::denials(&self.spec, &self.quotas, [&exit.stderr, &exit.stdout]) {
            // What the kernel counted needs no conclusion.
            let again = known.contains(&rule) && matches!(rule, Rule::Memory | Rule::Pids | Rule::Size);
            if !again && !found.iter().any(|(.., other, _)| *other == sentence) {
                found.push((rule, Certainty::Inferred, sentence, 1));
            }
        }
        found.truncate(MOST);
        let told = |(rule, certainty, sentence, count)| Denial {
            at_ms: now_ms,
            unit: format!("agent:{}", self.agent),
            run: Some(run.to_owned()),
            rule,
            certainty,
            sentence,
            count,
        };
        found.into_iter().map(told).collect()
    }

    fn exact(&self, exit: &ToolExit, counted: Counted) -> Vec<(Rule, Certainty, String, u64)> {
        let limits = &self.spec.limits;
        let mut found = Vec::new();
        let mut exact = |rule, sentence, count| found.push((rule, Certainty::Exact, sentence, count));
        if counted.oom {
            let may = limits.data.map_or_else(|| "its limit".to_owned(), |bytes| format!("{bytes} bytes"));
            let sentence = format!(
                "The kernel killed it for its memory: all of its processes together may use {may} (sandbox.memory)."
            );
            exact(Rule::Memory, sentence, 1);
        }
        if counted.forks > 0 {
            let may = limits.nproc.unwrap_or(0);
            let sentence =
                format!("Forks were refused: it may have {may} processes and threads (sandbox.pids).");
            exact(Rule::Pids, sentence, counted.forks);
        }
        if let Some(percent) = limits.cpu_percent.filter(|_| counted.throttled > 0) {
            let sentence =
                format!("It was slowed down: it may use {percent} % of one processor (sandbox.cpuPercent).");
            exact(Rule::Cpu, sentence, counted.throttled);
        }
        if exit.cause == ToolCause::TimedOut {
            let sentence = format!(
                "It was ended when its time of {} s was up (the timeout of the call, at most sandbox.wallSeconds).",
                self.wall.as_secs_f64()
            );
            exact(Rule::Wall, sentence, 1);
        }
        if exit.dropped_bytes > 0 {
            let sentence = format!(
                "{} bytes of its output were not kept: {} bytes of each stream are (sandbox.outputBytes).",
                exit.dropped_bytes, self.keep
            );
            exact(Rule::Output, sentence, 1);
        }
        found.extend(signalled(exit, limits.fsize));
        found
    }
}

/// What a signal tells. The first process of a run passes the signal of the command on as an exit code, which the
/// command could have chosen itself.
fn signalled(exit: &ToolExit, fsize: Option<u64>) -> Option<(Rule, Certainty, String, u64)> {
    let by_code = exit.code.map(|code| code - 128);
    let (signal, certainty) = match exit.signal {
        Some(signal) => (signal, Certainty::Exact),
        None => (by_code?, Certainty::Inferred),
    };
    let (rule, sentence) = match signal {
        SIGSYS => {
            let sentence = "It was killed for a system call of a foreign architecture, which no command may make (built in).";
            (Rule::Call, sentence.to_owned())
        }
        SIGXFSZ => {
            let may = fsize.unwrap_or(0);
            (
                Rule::Size,
                format!(
                    "It was killed for a file of more than {may} bytes, the most it may write (built in)."
                ),
            )
        }
        _ => return None,
    };
    Some((rule, certainty, sentence, 1))
}

#[cfg(test)]
mod tests {
    use creel_launch::{LaunchSpec, Role, View};

    use super::*;

    fn exit(cause: ToolCause, code: Option<i32>, stderr: &str) -> ToolExit {
        ToolExit { code, stderr: stderr.to_owned(), wall_ms: 1, ..ToolExit::of(cause) }
    }

    fn terms() -> Terms {
        let mut spec = LaunchSpec::new("tool:r", Role::Tool, vec!["sh".into()]);
        spec.cwd = "/home/a/work".into();
        spec.fs.push(View::rw("/home/a/work"));
        spec.limits.cpu_percent = Some(50);
        Terms {
            agent: "main".into(),
            spec,
            wall: Duration::from_secs(30),
            keep: 1 << 20,
            quotas: vec![],
            elevated: None,
        }
    }

    #[test]
    fn what_the_kernel_counted_is_exact() {
        let counted = Counted { oom: true, forks: 7, throttled: 3 };
        let mut ended = exit(ToolCause::TimedOut, None, "sh: 1: Cannot fork\n");
        ended.dropped_bytes = 9;
        let told = terms().denials("r", &ended, counted, 5);
        let line = |d: &Denial| format!("{:?} {:?} x{}: {}", d.certainty, d.rule, d.count, d.sentence);
        insta::assert_snapshot!(told.iter().map(line).collect::<Vec<_>>().join("\n"));
        assert!(told.iter().all(|d| d.unit == "agent:main" && d.run.as_deref() == Some("r") && d.at_ms == 5));
    }

    #[test]
    fn an_exit_code_that_looks_like_a_signal_is_only_a_conclusion() {
        let told = terms().denials("r", &exit(ToolCause::Exited, Some(153), ""), Counted::default(), 0);
        assert_eq!((told[0].rule, told[0].certainty), (Rule::Size, Certainty::Inferred));
        assert!(
            terms().denials("r", &exit(ToolCause::Exited, Some(1), ""), Counted::default(), 0).is_empty()
        );
    }

    #[test]
    fn a_command_that_complains_without_end_gets_few_sentences() {
        let text: String = (0..500).map(|n| format!("cat: /srv/{n}: No such file or directory\n")).collect();
        let told = terms().denials("r", &exit(ToolCause::Exited, Some(1), &text), Counted::default(), 0);
        assert_eq!(told.len(), 8);
    }
}
