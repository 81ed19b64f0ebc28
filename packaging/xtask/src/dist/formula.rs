//! The Homebrew formula of a release. Text only: it was never run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Stage;

/// Writes it and returns its path.
pub(super) fn make(stage: &Stage, tarball: &Path) -> Result<PathBuf> {
    let path = super::folder().join("creel.rb");
    let file = tarball.file_name().unwrap_or_default().to_string_lossy().into_owned();
    fs::write(&path, text(&stage.version, &file, &super::sha256(tarball)?))?;
    Ok(path)
}

fn text(version: &str, file: &str, sha256: &str) -> String {
    format!(
        "class Creel < Formula\n\
         \x20 desc \"Home for AI agents that cannot take each other down\"\n\
         \x20 homepage \"https://github.com/creel-dev/creel\"\n\
         \x20 url \"https://github.com/creel-dev/creel/releases/download/v{version}/{file}\"\n\
         \x20 sha256 \"{sha256}\"\n\
         \x20 license any_of: [\"MIT\", \"Apache-2.0\"]\n\
         \n\
         \x20 def install\n\
         \x20   bin.install \"bin/creel\"\n\
         \x20   (libexec/\"creel\").install Dir[\"libexec/creel/*\"]\n\
         \x20   man1.install Dir[\"share/man/man1/*\"]\n\
         \x20   generate_completions_from_executable(bin/\"creel\", \"completions\")\n\
         \x20 end\n\
         \n\
         \x20 service do\n\
         \x20   run [opt_bin/\"creel\", \"up\"]\n\
         \x20   environment_variables CREEL_SERVICE: \"launchd\", CREEL_LIBEXEC: opt_libexec/\"creel\"\n\
         \x20   keep_alive successful_exit: false\n\
         \x20   throttle_interval 10\n\
         \x20   error_log_path var/\"log/creel.log\"\n\
         \x20 end\n\
         \n\
         \x20 test do\n\
         \x20   assert_match version.to_s, shell_output(\"#{{bin}}/creel --version\")\n\
         \x20 end\n\
         end\n"
    )
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn the_formula_names_its_archive_and_its_digest() {
        let text = text("0.1.0", "creel-0.1.0-macos-aarch64.tar.gz", &"ab".repeat(32));
        assert!(text.contains("/v0.1.0/creel-0.1.0-macos-aarch64.tar.gz\""), "{text}");
        assert!(
            text.contains(&format!("sha256 \"{}\"", "ab".repeat(32))) && text.contains("#{bin}/creel"),
            "{text}"
        );
        assert_eq!(
            text.matches(" do\n").count() + text.matches("def ").count() + 1,
            text.matches("end\n").count()
        );
    }
}
