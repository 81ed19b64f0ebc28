//! What the service manager hands over in files (`CREDENTIALS_DIRECTORY`), as variables of the environment.

use std::io::Read;
use std::path::Path;

use creel_config::Env;

/// What systemd puts before the name of a file of `LoadCredential=creel:FOLDER`.
const PREFIX: &str = "creel_";

/// No key is longer.
const LONGEST: u64 = 64 * 1024;

/// Adds one variable for each file `creel_NAME`, without its last line break. What is set already stays.
pub fn add_to(env: &mut Env) {
    let Some(folder) = env.get("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty()).cloned() else {
        return;
    };
    for (name, value) in read(Path::new(&folder)) {
        env.entry(name).or_insert(value);
    }
}

fn read(folder: &Path) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let pair = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let name = name.strip_prefix(PREFIX).filter(|name| is_variable(name))?.to_owned();
        let mut value = String::new();
        std::fs::File::open(entry.path()).ok()?.take(LONGEST).read_to_string(&mut value).ok()?;
        Some((name, value.trim_end_matches(['\r', '\n']).to_owned()))
    };
    entries.flatten().filter_map(pair).collect()
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_uppercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_a_variable_and_wins_over_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file("creel_OPENAI_API_KEY", "sk-1\n");
        file("creel_ANTHROPIC_API_KEY", "from the file");
        file("creel_.swp", "no variable");
        file("OTHER", "not for us");
        let mut env = Env::from([
            ("CREDENTIALS_DIRECTORY".to_owned(), folder.path().to_string_lossy().into_owned()),
            ("ANTHROPIC_API_KEY".to_owned(), "from the environment".to_owned()),
        ]);
        add_to(&mut env);
        assert_eq!(env["OPENAI_API_KEY"], "sk-1");
        assert_eq!(env["ANTHROPIC_API_KEY"], "from the environment");
        assert_eq!(env.len(), 3);
    }
}
