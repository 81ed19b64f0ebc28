//! What the worker of an agent tells of its own file tools, as a denial. It can tell what it likes: this is for people, is
//! marked, and decides nothing.

use creel_ipc::msg::sandbox::{Certainty, Denial, Rule};
use creel_ipc::msg::tool::{Refusal, ToolRefused};

use super::printed::shown;

/// The denial. Without a run: a worker could name one of its commands, whose denials are exact.
pub fn denial(told: &ToolRefused, now_ms: i64) -> Denial {
    let ToolRefused { agent, tool, path, why, more } = told;
    let why = match why {
        Refusal::Outside => "it is not in the agent's workspace (agents.list[].workspace)",
        Refusal::Protected => "programs of the host obey that file (built in)",
        Refusal::NotAFile => "it is a link, a pipe, a socket or a device (built in)",
        Refusal::Kernel => "the kernel does not let the worker do that",
        Refusal::Other => "for a reason that this version does not know",
    };
    let before =
        more.map(|more| format!(" {more} refusals before it were not passed on.")).unwrap_or_default();
    Denial {
        at_ms: now_ms,
        unit: format!("agent:{agent}"),
        run: None,
        rule: Rule::Files,
        certainty: Certainty::Told,
        sentence: format!(
            "The tool `{}` refused {}: {why}.{before}",
            shown(tool.as_ref()),
            shown(path.as_ref())
        ),
        count: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_one_sentence_that_steers_nothing() {
        let told = |path: &str, why, more| {
            let told =
                ToolRefused { agent: "main".into(), tool: "read".into(), path: path.into(), why, more };
            denial(&told, 7).sentence
        };
        let lines = [
            told("../other/notes", Refusal::Outside, None),
            told(".git/hooks/pre-commit", Refusal::Protected, None),
            told("link", Refusal::NotAFile, Some(12)),
            told("a", Refusal::Kernel, None),
            told("a", Refusal::Other, None),
        ];
        insta::assert_snapshot!(lines.join("\n"));
        let hostile = told(&format!("\u{1b}[2J{}", "x".repeat(4000)), Refusal::Outside, None);
        assert!(!hostile.contains('\u{1b}') && hostile.len() < 400, "{hostile}");
    }
}
