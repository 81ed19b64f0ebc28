//! Everything as it will lie on a machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::run::{self, BINARIES};
use crate::shell::{answers, command, must};
use crate::{page, pages};

/// The folder that packages are made from.
pub(crate) struct Stage {
    /// The root of what is staged; below it lies `usr`.
    pub(crate) root: PathBuf,
    /// Creel's version.
    pub(crate) version: String,
    /// Whether the binaries are optimised.
    pub(crate) release: bool,
}

impl Stage {
    /// Builds the binaries and puts everything in place.
    pub(crate) fn make(release: bool) -> Result<Self> {
        page::build(release)?;
        let built = run::build(release)?;
        let root = super::folder().join("stage");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        let stage = Self { root, version: env!("CARGO_PKG_VERSION").to_owned(), release };
        stage.binaries(&built)?;
        stage.texts()?;
        stage.pages()?;
        println!("staged in {}", stage.root.display());
        Ok(stage)
    }

    /// A folder of the stage, made if it is not there.
    pub(crate) fn folder(&self, path: &str) -> Result<PathBuf> {
        let folder = self.root.join(path);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn binaries(&self, built: &Path) -> Result<()> {
        let (bin, libexec) = (self.folder("usr/bin")?, self.folder("usr/libexec/creel")?);
        for name in BINARIES {
            let folder = if name == "creel" { &bin } else { &libexec };
            let to = folder.join(name);
            fs::copy(built.join(name), &to).with_context(|| format!("{name} is not built"))?;
            if answers("strip", "--version") {
                must(command("strip", &["--strip-unneeded"]).arg(&to))?;
            }
        }
        Ok(())
    }

    fn texts(&self) -> Result<()> {
        let texts = [
            ("usr/lib/systemd/system", "creel.service", &["service", "text", "system-unit"]),
            ("usr/lib/sysusers.d", "creel.conf", &["service", "text", "sysusers"]),
            ("usr/lib/tmpfiles.d", "creel.conf", &["service", "text", "tmpfiles"]),
        ];
        for (folder, file, words) in texts {
            self.said(folder, file, words)?;
        }
        Ok(())
    }

    /// Man pages and completions, at the places where they are looked for.
    fn pages(&self) -> Result<()> {
        let made = super::folder().join("completions");
        pages::write(&self.folder("usr/share/man/man1")?, &made)?;
        let shells = [
            ("usr/share/bash-completion/completions", "creel"),
            ("usr/share/zsh/vendor-completions", "_creel"),
            ("usr/share/fish/vendor_completions.d", "creel.fish"),
        ];
        for (folder, file) in shells {
            fs::copy(made.join(file), self.folder(folder)?.join(file))?;
        }
        Ok(())
    }

    /// Writes what the staged `creel` prints.
    fn said(&self, folder: &str, file: &str, words: &[&str]) -> Result<()> {
        let creel = self.root.join("usr/bin/creel");
        let output = command(&creel.to_string_lossy(), words).output()?;
        ensure!(output.status.success(), "`creel {}` failed", words.join(" "));
        fs::write(self.folder(folder)?.join(file), output.stdout)?;
        Ok(())
    }
}
