//! Denials concluded from what a command printed, and checked against the sandbox it had. A command can print what it
//! likes: this is for the model and for people, and decides nothing.

use std::path::{Component, Path, PathBuf};

use creel_ipc::msg::sandbox::Rule;
use creel_ipc::terminal::steers;
use creel_launch::{Access, LaunchSpec, Layer, Level, Net, View, outline};

/// Lines that are looked at, and bytes of one.
const LINES: usize = 2000;
const LINE: usize = 600;
/// Bytes of a path that are shown.
const PATH: usize = 200;

/// What each of these phrases may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    ReadOnly,
    Refused,
    Missing,
    Network,
    Forks,
    Memory,
    TooLarge,
    Full,
    OpenFiles,
}

const PHRASES: [(&str, Said); 25] = [
    ("Read-only file system", Said::ReadOnly),
    ("Permission denied", Said::Refused),
    ("permission denied", Said::Refused),
    ("Operation not permitted", Said::Refused),
    ("Directory nonexistent", Said::Missing),
    ("No such file or directory", Said::Missing),
    ("Network is unreachable", Said::Network),
    ("Could not resolve host", Said::Network),
    ("Temporary failure in name resolution", Said::Network),
    ("Name or service not known", Said::Network),
    ("Could not resolve proxy", Said::Network),
    ("getaddrinfo ", Said::Network),
    ("Failed to connect", Said::Network),
    ("Connection refused", Said::Network),
    ("Cannot fork", Said::Forks),
    ("fork: retry", Said::Forks),
    ("fork: Resource temporarily unavailable", Said::Forks),
    ("Cannot allocate memory", Said::Memory),
    ("MemoryError", Said::Memory),
    ("std::bad_alloc", Said::Memory),
    ("memory allocation of ", Said::Memory),
    ("File too large", Said::TooLarge),
    ("No space left on device", Said::Full),
    ("Disk quota exceeded", Said::Full),
    ("Too many open files", Said::OpenFiles),
];

/// Programs whose refusal is one of the system call list.
const CALLERS: [&str; 9] =
    ["mount", "umount", "unshare", "ptrace", "chroot", "nsenter", "keyctl", "perf", "setns"];

/// The sentences, each once. `quotas`: the limits that file systems keep.
pub(super) fn denials(spec: &LaunchSpec, quotas: &[Layer], texts: [&String; 2]) -> Vec<(Rule, String)> {
    let mut all: Vec<(Rule, String)> = Vec::new();
    for line in texts.into_iter().flat_map(|text| text.lines().take(LINES)) {
        let line = line.get(..line.floor_char_boundary(LINE)).unwrap_or_default();
        let Some((at, said)) = PHRASES.iter().find_map(|(phrase, said)| Some((line.find(phrase)?, *said)))
        else {
            continue;
        };
        if let Some(denial) = conclusion(spec, quotas, line, at, said)
            && !all.contains(&denial)
        {
            all.push(denial);
        }
    }
    all
}

fn conclusion(
    spec: &LaunchSpec,
    quotas: &[Layer],
    line: &str,
    at: usize,
    said: Said,
) -> Option<(Rule, String)> {
    let limits = &spec.limits;
    match said {
        Said::ReadOnly | Said::Refused | Said::Missing => {
            let file = || path_in(line, at, &spec.cwd).and_then(|path| file(spec, &path, said));
            call(spec, line, said).or_else(|| file().map(|sentence| (Rule::Files, sentence)))
        }
        Said::Network if spec.net == Net::None && spec.level > Level::L0 => Some((
            Rule::Network,
            "It reaches nothing: a command has no network (sandbox.network).".to_owned(),
        )),
        // What egress refuses it tells itself, with the host.
        Said::Network => None,
        Said::Forks => {
            let may = limits.nproc?;
            Some((
                Rule::Pids,
                format!("It could not fork: it may have {may} processes and threads (sandbox.pids)."),
            ))
        }
        Said::Memory => {
            let may = limits.data?;
            Some((Rule::Memory, format!("It got no more memory: it may use {may} bytes (sandbox.memory).")))
        }
        Said::TooLarge => {
            let may = limits.fsize?;
            Some((Rule::Size, format!("A file may have {may} bytes at most (built in).")))
        }
        Said::Full => {
            let path = path_in(line, at, &spec.cwd);
            // Who names no file, as a shell does for its own redirections, writes where it is.
            let view = covering(&spec.fs, path.as_deref().unwrap_or(&spec.cwd));
            let of_view = |layers: &[Layer]| {
                let view = view?;
                layers.iter().find(|layer| layer.at == view.at).cloned()
            };
            if let Some(quota) = of_view(quotas) {
                return Some((Rule::Size, full(&quota, None)));
            }
            if let Some(layer) = of_view(&spec.layers) {
                return Some((Rule::Size, full(&layer, limits.data)));
            }
            let private = path.is_none_or(|path| path.starts_with("/tmp")) && spec.level >= Level::L2;
            private
                .then(|| (Rule::Size, format!("The private /tmp holds {} bytes (built in).", spec.tmp_bytes)))
        }
        Said::OpenFiles => {
            let may = limits.nofile?;
            Some((Rule::OpenFiles, format!("A process may have {may} open files (built in).")))
        }
    }
}

/// `memory`: of the command, where its changes are kept in it.
fn full(layer: &Layer, memory: Option<u64>) -> String {
    let bytes = layer.bytes.map(|bytes| format!("{bytes} bytes (sandbox.disk)"));
    let inodes = layer.inodes.map(|inodes| format!("{inodes} files and folders (sandbox.inodes)"));
    let may = [bytes, inodes].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    let once = memory.map_or_else(String::new, |memory| {
        format!("; one command may change at most {memory} bytes of it (sandbox.memory)")
    });
    format!("There is no room left in {}: it may hold {may}{once}.", layer.at.display())
}

/// Why a file could not be used, if it is the sandbox.
fn file(spec: &LaunchSpec, path: &Path, said: Said) -> Option<String> {
    if spec.level == Level::L0 {
        return None;
    }
    let shown = shown(path);
    let view = covering(&spec.fs, path);
    let system = outline(spec.role, spec.level, spec.net).system;
    let built_in = ["/tmp", "/dev", "/proc"];
    // Beside a view, even below /tmp, is what the view is to be kept apart from.
    let beside =
        |view: &View| view.at.parent().is_some_and(|up| up.components().count() > 2 && path.starts_with(up));
    let seen =
        system.iter().chain(&built_in).any(|folder| path.starts_with(folder)) && !spec.fs.iter().any(beside);
    match (said, view) {
        (Said::Missing, Some(_)) => None,
        (Said::Missing | Said::Refused, None) if !seen => Some(format!(
            "{shown} is outside its sandbox: a command sees its workspace (sandbox.workspaceAccess), the folders of sandbox.binds, \
             system folders and a private /tmp."
        )),
        (Said::ReadOnly | Said::Refused, Some(view)) if view.access == Access::Ro => {
            let workspace = spec.cwd.starts_with(&view.at);
            let key = if workspace { "sandbox.workspaceAccess" } else { "sandbox.binds" };
            Some(format!("Writing {shown} is not allowed: {} is shown read-only ({key}).", view.at.display()))
        }
        (Said::ReadOnly, Some(_)) => Some(format!(
            "Writing {shown} is not allowed: what the host would run or trust in a workspace is read-only to commands (built \
             in)."
        )),
        (Said::ReadOnly, None) => Some(format!(
            "Writing {shown} is not allowed: a command writes only its workspace (sandbox.workspaceAccess), writable sandbox.binds and /tmp."
        )),
        _ => None,
    }
}

fn covering<'a>(views: &'a [View], path: &Path) -> Option<&'a View> {
    views.iter().filter(|view| path.starts_with(&view.at)).max_by_key(|view| view.at.components().count())
}

/// A refusal of a program that makes calls which are on the list.
fn call(spec: &LaunchSpec, line: &str, said: Said) -> Option<(Rule, String)> {
    if said != Said::Refused || spec.level == Level::L0 {
        return None;
    }
    let first = line.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    let caller = CALLERS.iter().find(|caller| first == **caller)?;
    let sentence = format!("`{caller}` needs a system call that no command may make (seccomp, built in).");
    Some((Rule::Call, sentence))
}

/// The path that a line complains of: the last one before the phrase, else the first one after it.
fn path_in(line: &str, at: usize, cwd: &Path) -> Option<PathBuf> {
    let (before, after) = line.split_at_checked(at)?;
    let edge = |c: char| matches!(c, '\'' | '"' | '`' | '‘' | '’' | '(' | ')' | ',' | ';');
    let trimmed = before.trim_end().trim_end_matches(':');
    let quoted = trimmed.trim_end_matches(edge);
    let last = quoted.rsplit(|c: char| edge(c) || c.is_whitespace()).next().unwrap_or_default();
    let first_after = after.split(|c: char| edge(c) || c.is_whitespace()).find(|word| word.starts_with('/'));
    // A word with a colon is the program's name, not a file's.
    let last = last.trim_end_matches(':');
    let candidate = match last {
        "" | "-" => first_after?,
        word if word.starts_with('/') || word.contains('/') || word.starts_with('.') => word,
        word if quoted.len() != trimmed.len() => word,
        _ => first_after?,
    };
    normal(&cwd.join(candidate))
}

/// Without `.` and `..`, as far as that can be said without looking.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut whole = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::ParentDir => drop(whole.pop()),
            Component::RootDir | Component::CurDir => {}
            Component::Prefix(_) => return None,
        }
    }
    Some(whole)
}

/// A path as text without control characters, and not too long.
pub(super) fn shown(path: &Path) -> String {
    let text: String = path.to_string_lossy().chars().map(|c| if steers(c) { '?' } else { c }).collect();
    let (kept, rest) = text.split_at(text.floor_char_boundary(PATH));
    if rest.is_empty() { kept.to_owned() } else { format!("{kept}…") }
}

#[cfg(test)]
mod tests {
    use creel_launch::Role;

    use super::*;

    fn spec() -> LaunchSpec {
        let mut spec = LaunchSpec::new("tool:r", Role::Tool, vec!["sh".into()]);
        spec.cwd = "/home/a/work".into();
        spec.fs = vec![View::rw("/home/a/work"), View::ro("/srv/data")];
        spec
    }

    #[test]
    fn what_common_programs_print_becomes_a_sentence() {
        let said = [
            "cat: /home/b/.ssh/id_ed25519: No such file or directory",
            "touch: cannot touch '/etc/passwd': Read-only file system",
            "touch: cannot touch ‘/srv/data/x’: Read-only file system",
            "/bin/sh: 1: cannot create .git/hooks/pre-commit: Read-only file system",
            "/bin/sh: 1: cannot create /etc/cron.d/x: Directory nonexistent",
            "cat: ../other/notes: No such file or directory",
            "OSError: [Errno 30] Read-only file system: '/usr/lib/x'",
            "curl: (6) Could not resolve host: evil.example",
            "sh: 1: Cannot fork",
            "MemoryError",
            "dd: error writing '/tmp/fill': No space left on device",
            "dd: error writing 'big': File too large",
            "mount: /mnt: permission denied.",
            "unshare: unshare failed: Operation not permitted",
            "OSError: [Errno 24] Too many open files: 'x'",
        ];
        let shown = said.map(|line| {
            let found = denials(&spec(), &[], [&line.to_owned(), &String::new()]);
            let told =
                found.first().map_or("-".to_owned(), |(rule, sentence)| format!("{rule:?}: {sentence}"));
            format!("{line}\n  {told}")
        });
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn an_ordinary_failure_is_no_denial() {
        for line in [
            "cat: notes.txt: No such file or directory",
            "cat: /home/a/work/none: No such file or directory",
            "ls: cannot access '/usr/none': No such file or directory",
            "python3: can't open file '/tmp/none.py': [Errno 2] No such file or directory",
            "sh: 1: nosuch: not found",
            "grep: pattern Read-only",
        ] {
            let found = denials(&spec(), &[], [&line.to_owned(), &String::new()]);
            assert!(found.is_empty(), "{line}: {found:?}");
        }
        let open = LaunchSpec { level: Level::L0, ..spec() };
        assert!(
            denials(&open, &[], [&"cat: /root/x: Permission denied".to_owned(), &String::new()]).is_empty()
        );
    }

    #[test]
    fn a_full_workspace_is_told_with_its_keys() {
        let mut spec = spec();
        let told = |spec: &LaunchSpec, line: &str| {
            denials(spec, &[], [&line.to_owned(), &String::new()]).into_iter().map(|(_, told)| told).next()
        };
        let lines = [
            "dd: error writing 'big': No space left on device",
            "OSError: [Errno 28] No space left on device: '/home/a/work/sub/x'",
            "head: error writing 'standard output': No space left on device",
            "touch: cannot touch 'f7': Disk quota exceeded",
        ];
        assert_eq!(told(&spec, lines[1]), None);
        for (bytes, inodes) in [(Some(1 << 20), None), (None, Some(20)), (Some(1 << 20), Some(20))] {
            spec.layers = vec![Layer { at: "/home/a/work".into(), bytes, inodes }];
            for line in lines {
                let told = told(&spec, line).unwrap();
                assert_eq!(told.contains("1048576 bytes (sandbox.disk)"), bytes.is_some(), "{told}");
                assert_eq!(
                    told.contains("20 files and folders (sandbox.inodes)"),
                    inodes.is_some(),
                    "{told}"
                );
            }
        }
        // Of a file system's own limit the same, but for what is kept in memory.
        let quotas: Vec<_> = spec.layers.drain(..).collect();
        for line in lines {
            let found = denials(&spec, &quotas, [&line.to_owned(), &String::new()]);
            let [(_, told)] = found.as_slice() else { panic!("{found:?}") };
            assert!(told.contains("1048576 bytes (sandbox.disk)"), "{told}");
            assert!(!told.contains("sandbox.memory"), "{told}");
        }
        let tmp = told(&spec, "dd: error writing '/tmp/fill': No space left on device").unwrap();
        assert!(tmp.contains("/tmp") && !tmp.contains("sandbox.disk"), "{tmp}");
    }

    #[test]
    fn a_hostile_path_steers_nothing() {
        let line = format!("cat: /\u{1b}[2J{}: No such file or directory", "x".repeat(400));
        let (_, sentence) = denials(&spec(), &[], [&line, &String::new()]).remove(0);
        assert!(!sentence.contains('\u{1b}') && sentence.len() < 450, "{sentence}");
    }
}
