//! Which release a program is of, for whoever compares programs that belong together.

use std::ffi::OsString;

/// What a program answers whose only argument is `--version`: its name and version. `None`: it was not asked.
pub fn answer(args: impl IntoIterator<Item = OsString>, program: &str, version: &str) -> Option<String> {
    let mut args = args.into_iter().skip(1);
    (args.next()? == "--version" && args.next().is_none()).then(|| format!("{program} {version}\n"))
}

/// The version in such an answer.
pub fn version(answer: &str) -> Option<&str> {
    let (_, version) = answer.trim_end().split_once(' ')?;
    (!version.contains(char::is_whitespace)).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_asked_answers() {
        let of = |words: &[&str]| answer(words.iter().map(OsString::from), "creel-agent", "0.1.0");
        let told = of(&["creel-agent", "--version"]).unwrap();
        assert_eq!(version(&told), Some("0.1.0"));
        assert_eq!((of(&["creel-agent"]), of(&["creel-agent", "--version", "x"])), (None, None));
        assert_eq!((version("nonsense"), version("a b c")), (None, None));
    }
}
