//! The published schemas.

use anyhow::{Context, Result};

use crate::shell::root;

/// Writes `ipc-schema/schema/*.json` and removes files of methods that are gone.
pub(crate) fn write() -> Result<()> {
    let folder = root().join("ipc-schema/schema");
    std::fs::create_dir_all(&folder)?;
    let files = creel_ipc::catalog::schema_files();
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        if !files.iter().any(|(name, _)| entry.file_name() == name.as_str()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    for (name, text) in &files {
        std::fs::write(folder.join(name), text).with_context(|| format!("{name} cannot be written"))?;
    }
    println!("{} schemas in {}", files.len(), folder.display());
    Ok(())
}
