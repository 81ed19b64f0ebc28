//! Building the web page.

use anyhow::Result;

use crate::shell::{answers, command, must, root};

/// Builds `gateway/ui/dist`. Without Node the binaries build all the same and the gateway says that the page is
/// absent; `required` makes that an error.
pub(crate) fn build(required: bool) -> Result<bool> {
    if !answers("npm", "--version") {
        anyhow::ensure!(!required, "npm was not found: install Node.js 20.19 or newer to build the web page");
        println!("npm was not found: building without the web page");
        return Ok(false);
    }
    let ui = root().join("gateway/ui");
    if !ui.join("node_modules").is_dir() {
        must(command("npm", &["ci", "--no-audit", "--no-fund"]).current_dir(&ui))?;
    }
    must(command("npm", &["run", "--silent", "build"]).current_dir(&ui))?;
    Ok(true)
}
