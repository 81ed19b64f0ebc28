//! The page at `/`, in Chromium, against a real Creel whose demo answers and uses a tool.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use creel_kit::home::run_to_end;
use creel_kit::{Creel, TestHome};

use crate::with;

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser() -> Result<()> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    ensure!(
        peers.join("node_modules").is_dir(),
        "{} is missing: `cargo xtask test` installs it, or run `npm ci` in tests/peers.",
        peers.join("node_modules").display()
    );
    let home = TestHome::new()?;
    with(home.start().await?, async |creel: &Creel| {
        let mut node = Command::new("npm");
        node.args(["run", "--silent", "test:ui"]).current_dir(&peers);
        node.env("CREEL_URL", format!("http://127.0.0.1:{}/#token={}", creel.home().port(), home.token()?));
        let output = run_to_end(node, Duration::from_secs(280)).await?;
        ensure!(output.code == Some(0), "{output}");
        Ok(())
    })
    .await
}
