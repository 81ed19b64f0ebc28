//! Names in a workspace that somebody else obeys: the host's git, shells, editors and other agents, or the agent itself.
//!
//! A command in a writable workspace sees those that exist read-only; what it makes of them is taken away after the run.

/// Files that make up the agent itself, at the top of its workspace. Its file tools may write them, where each change is
/// a call that everybody can read; commands may not.
pub const AGENT_FILES: &[&str] = &[
    "AGENTS.md",
    "SOUL.md",
    "USER.md",
    "TOOLS.md",
    "IDENTITY.md",
    "MEMORY.md",
    "HEARTBEAT.md",
    "BOOTSTRAP.md",
];

/// What programs of the host read, at the top of a workspace, to learn what to execute.
pub const HOST_FILES: &[&str] = &[
    ".envrc",
    ".openclaw",
    ".creel",
    ".claude",
    ".codex",
    ".cursor",
    ".gemini",
    ".mcp.json",
    ".vscode",
    ".vscode-tasks.json",
    ".idea",
    ".devcontainer",
    ".devcontainer.json",
    ".husky",
    ".gitconfig",
    ".bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".zprofile",
    ".ssh",
    "CLAUDE.md",
    "GEMINI.md",
];

/// Names that are as dangerous in any folder: a shell that enters it may read them.
pub const ANYWHERE: &[&str] = &[".envrc"];

/// What in a git directory leads the host's git to execute something, or to read such settings elsewhere.
pub const GIT_FILES: &[&str] =
    &["hooks", "config", "config.worktree", "commondir", "modules", "worktrees", "objects/info/alternates"];

/// Everything at the top of a workspace that a command may not change.
pub fn at_top() -> impl Iterator<Item = String> {
    let named = AGENT_FILES.iter().chain(HOST_FILES).map(|name| (*name).to_owned());
    named.chain(GIT_FILES.iter().map(|name| format!(".git/{name}")))
}

/// Whether a path of the workspace may not be written with the file tools either: the host obeys it.
pub fn is_the_hosts(path: &str) -> bool {
    let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".").peekable();
    let top = parts.peek().copied().unwrap_or_default();
    HOST_FILES.contains(&top) || parts.any(|part| part == ".git" || ANYWHERE.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_obeys_is_told_from_what_it_only_stores() {
        for path in [
            ".envrc",
            "sub/.envrc",
            "./.git/hooks/pre-commit",
            "a/b/.git/config",
            ".vscode/tasks.json",
            ".git",
        ] {
            assert!(is_the_hosts(path), "{path}");
        }
        for path in
            ["AGENTS.md", "MEMORY.md", "src/main.rs", "docs/.vscode/settings.json", ".gitignore", "", "envrc"]
        {
            assert!(!is_the_hosts(path), "{path}");
        }
    }

    #[test]
    fn no_name_is_said_twice() {
        let mut names: Vec<String> = at_top().collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
