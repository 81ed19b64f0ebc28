//! Whether a configuration of git's is one that `git init`, `git clone` or `git remote add` writes: no program in it.

/// Bytes of a configuration that is looked at; none that git writes by itself is longer.
pub(super) const MOST: u64 = 64 << 10;

/// Keys that name no program and no other file, by section.
const HARMLESS: &[(&str, &[&str])] = &[
    (
        "core",
        &[
            "repositoryformatversion",
            "filemode",
            "bare",
            "logallrefupdates",
            "ignorecase",
            "precomposeunicode",
            "symlinks",
        ],
    ),
    ("remote", &["url", "pushurl", "fetch", "tagopt"]),
    ("branch", &["remote", "merge", "rebase", "description"]),
    ("user", &["name", "email"]),
    ("submodule", &["url", "active"]),
    ("init", &["defaultbranch"]),
    ("extensions", &["objectformat"]),
];

/// Whether a text holds nothing but such keys. Anything that is not understood is not harmless.
pub(super) fn is_harmless(config: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(config) else { return false };
    let mut keys: &[&str] = &[];
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let Some(header) = header.strip_suffix(']') else { return false };
            let section = header.split_once(' ').map_or(header, |(section, _)| section).to_ascii_lowercase();
            match HARMLESS.iter().find(|(name, _)| *name == section) {
                Some((_, of_section)) => keys = of_section,
                None => return false,
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { return false };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        let known = keys.contains(&key.as_str());
        // A transport of the form `name::address` is a program; so is what a leading dash may become.
        let plain = !value.contains("::") && !value.starts_with(['-', '"']) && !value.contains(['\\', '\0']);
        if !known || !plain {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_writes_by_itself_is_harmless_and_what_names_a_program_is_not() {
        let clone = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\
                     [remote \"origin\"]\n\turl = https://example.org/x.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
                     [branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n";
        assert!(is_harmless(clone.as_bytes()) && is_harmless(b""));
        for bad in [
            "[core]\n\tfsmonitor = ./x\n",
            "[core]\n\thooksPath = h\n",
            "[core]\n\tworktree = ../../..\n",
            "[core] fsmonitor = ./x\n",
            "[core]\n\tbare = \\\n fsmonitor = x\n",
            "[filter \"x\"]\n\tclean = ./x\n",
            "[include]\n\tpath = x\n",
            "[alias]\n\tst = !x\n",
            "[remote \"o\"]\n\turl = ext::sh -c x\n",
            "[remote \"o\"]\n\tuploadpack = x\n",
            "[core]\n\tbare\n",
            "fsmonitor = x\n",
            "\u{feff}[core]\n",
            "[core]\n\tsshCommand = x",
        ] {
            assert!(!is_harmless(bad.as_bytes()), "{bad}");
        }
        assert!(!is_harmless(b"[core]\n\xff"));
    }
}
