//! Whether a policy lets an agent have a tool. The agent's worker asks before it offers one, the gateway before it
//! passes a command on.

use super::agent::ToolPolicy;

/// The tool that runs commands, and the other name that it goes by.
pub const EXEC: &str = "exec";
const BASH: &str = "bash";
/// The tool for commands that run on; nothing without [`EXEC`].
pub const PROCESS: &str = "process";

impl ToolPolicy {
    /// Whether a tool may be used. A deny wins; an empty list of allowed ones means all.
    pub fn allows(&self, tool: &str) -> bool {
        let lists = |list: &[String]| list.iter().any(|entry| names(entry, tool));
        let allowed = !lists(&self.deny) && (self.allow.is_empty() || lists(&self.allow));
        allowed && (tool != PROCESS || self.allows(EXEC))
    }
}

/// Whether an entry of a list names a tool: a group of tools, or a pattern in which `*` stands for any text.
fn names(entry: &str, tool: &str) -> bool {
    match entry {
        "group:fs" => matches!(tool, "read" | "write" | "edit"),
        "group:runtime" => matches!(tool, EXEC | PROCESS),
        _ => fits(entry, tool) || (tool == EXEC && fits(entry, BASH)),
    }
}

/// Whether the pattern is the whole name. Each piece between two `*` is taken where it stands first, which leaves
/// the most to the pieces after it.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match left.split_once(piece) {
            Some((_, after)) if !piece.is_empty() => left = after,
            Some(_) => {}
            None => return false,
        }
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], deny: &[&str]) -> ToolPolicy {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ToolPolicy { allow: list(allow), deny: list(deny), exec_wall_ms: 0, elevated: false }
    }

    #[test]
    fn a_pattern_may_have_stars_anywhere() {
        for pattern in ["*", "web_search", "web_*", "*_search", "w*h", "*b_s*", "**", "w*_*h", "*web_search*"]
        {
            assert!(fits(pattern, "web_search"), "{pattern}");
        }
        for pattern in ["", "web", "web_", "search", "*_", "web_*_search", "web_search*h", "*x*", "W*", "wh"]
        {
            assert!(!fits(pattern, "web_search"), "{pattern}");
        }
        assert!(!fits("ab*ba", "aba"), "a letter fits once");
        assert!(fits("", "") && fits("*", ""));
    }

    #[test]
    fn a_deny_wins_whichever_way_it_is_written() {
        for deny in ["exec", "ex*", "*ec", "*xe*", "bash", "ba*", "group:runtime", "*"] {
            assert!(!policy(&["exec"], &[deny]).allows(EXEC), "{deny}");
            assert!(deny == "*" || policy(&[], &[deny]).allows("read"), "{deny}");
        }
        assert!(policy(&["group:runtime"], &[]).allows(PROCESS) && !policy(&[], &["bash"]).allows(PROCESS));
        assert!(policy(&["re*"], &[]).allows("read") && !policy(&["re*"], &[]).allows("write"));
        assert!(policy(&["group:fs"], &[]).allows("edit") && !policy(&["group:fs"], &[]).allows(EXEC));
    }
}
