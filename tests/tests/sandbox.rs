//! The tool sandbox, asked for by a model, as an agent lives in it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use creel_kit::ws::Client;
use creel_kit::{Creel, TestHome, config};
use fake_model::FakeModel;
use serde_json::{Value, json};

use crate::with;

/// A home whose model does what it is told.
pub(crate) struct Place {
    pub(crate) home: TestHome,
    pub(crate) model: FakeModel,
}

impl Place {
    pub(crate) async fn new(over: Value) -> Result<Self> {
        let (home, model) = (TestHome::new()?, FakeModel::start(0).await?);
        home.configure(config::model(&model.openai_url()))?;
        home.configure(over)?;
        std::fs::create_dir_all(home.path().join("workspace"))?;
        Ok(Self { home, model })
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.home.path().join("workspace")
    }

    /// The whole result of one call of a tool, as the model reads it.
    pub(crate) async fn call(
        &self,
        client: &mut Client,
        session: &str,
        tool: &str,
        arguments: Value,
    ) -> Result<String> {
        self.model.control().forget();
        let end = client.ask(session, &format!("call {tool} {arguments}")).await?;
        ensure!(end.state == "final", "{}", end.payload);
        Ok(self.model.control().asked().last().context("the model was not asked")?.last.clone())
    }

    pub(crate) async fn exec(&self, client: &mut Client, command: &str) -> Result<String> {
        self.call(client, "main", "exec", json!({ "command": command })).await
    }

    fn host(&self, script: &str) -> Result<()> {
        let done = Command::new("sh").args(["-ec", script]).current_dir(self.workspace()).output()?;
        ensure!(done.status.success(), "{done:?}");
        Ok(())
    }
}

#[tokio::test]
async fn git_commits_and_what_the_host_would_obey_is_taken_away() -> Result<()> {
    let place = Place::new(json!({})).await?;
    place.host("git init -q -b main . ; echo careful > AGENTS.md; echo mine > .envrc")?;
    let config = std::fs::read_to_string(place.workspace().join(".git/config"))?;
    with(place.home.start().await?, async |creel: &Creel| {
        let mut client = Client::connect(creel).await?;
        let said = place.exec(&mut client, "echo 1 > a && git add a && git commit -qm one && git log --format=%s").await?;
        assert!(said.starts_with("one\n"), "{said}");

        let said = place
            .exec(
                &mut client,
                "echo evil > .git/hooks/pre-commit; git config core.fsmonitor evil; echo evil > AGENTS.md; echo evil > .envrc; \
                 rm -rf .git/hooks; mv .git other; mkdir sub && echo evil > sub/.envrc; mkdir .openclaw && echo {} > .openclaw/hooks.json; \
                 mkfifo hang.md; git init -q new && echo evil > new/.git/hooks/post-commit; echo done",
            )
            .await?;
        assert!(said.contains("done\n"), "{said}");
        for told in ["sub/.envrc", ".openclaw", "new/.git/hooks/post-commit"] {
            assert!(said.contains(told), "the model is not told of {told}: {said}");
        }
        let workspace = place.workspace();
        let read = |name: &str| std::fs::read_to_string(workspace.join(name)).unwrap_or_default();
        assert_eq!((read("AGENTS.md").as_str(), read(".envrc").as_str()), ("careful\n", "mine\n"));
        assert_eq!(read(".git/config"), config);
        for gone in [".git/hooks/pre-commit", "sub/.envrc", ".openclaw", "hang.md", "new/.git/hooks/post-commit"] {
            assert!(workspace.join(gone).symlink_metadata().is_err(), "{gone}");
        }
        place.host("git -C new status && test -z \"$(git status --porcelain .git)\"")?;

        let events = creel.cli(&["events", "--unit", "agent:main"]).await?;
        assert!(events.success()?.contains("dangerous files taken away"), "{events:?}");
        let list = creel.cli(&["sandbox", "quarantine", "list"]).await?;
        assert!(list.success()?.contains(".openclaw"), "{list:?}");
        creel.cli(&["sandbox", "quarantine", "restore", "main", ".openclaw"]).await?.success()?;
        assert!(workspace.join(".openclaw/hooks.json").exists());
        // What the operator brought back stays, and is out of the command's reach.
        let said = place.exec(&mut client, "echo evil > .openclaw/hooks.json; ls -a").await?;
        assert!(said.contains(".openclaw") && read(".openclaw/hooks.json") == "{}\n", "{said}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn file_tools_write_the_agents_own_files_and_not_the_hosts() -> Result<()> {
    let place = Place::new(json!({})).await?;
    with(place.home.start().await?, async |creel: &Creel| {
        let mut client = Client::connect(creel).await?;
        let write = |path: &str| json!({"path": path, "content": "x"});
        let said = place.call(&mut client, "main", "write", write("MEMORY.md")).await?;
        assert!(said.contains("Wrote 1 bytes"), "{said}");
        let said = place.call(&mut client, "main", "write", write(".vscode/tasks.json")).await?;
        assert!(said.contains("Ask the operator"), "{said}");
        assert!(!place.workspace().join(".vscode/tasks.json").exists());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn sandbox_exec_takes_away_what_it_left_and_passes_no_escape_sequences() -> Result<()> {
    let home = TestHome::new()?;
    let workspace = home.scratch().join("ws");
    std::fs::create_dir(&workspace)?;
    let at = workspace.to_string_lossy().into_owned();
    let script = "printf '\\033]52;c;cnQ=\\007ok\\n'; mkdir .openclaw; echo > .openclaw/hooks.json; echo > .envrc; mkfifo l11.md || true";
    let args = ["sandbox", "exec", "--workspace", &at, "--access", "rw", "--", "sh", "-c", script];
    let output = home.cli(&args).await?;
    assert_eq!(output.success()?, "?]52;c;cnQ=?ok\n");
    assert!(output.stderr.contains("The run left .envrc, .openclaw"), "{output:?}");
    assert_eq!(std::fs::read_dir(&workspace)?.count(), 0, "{output:?}");
    let raw = home.cli(&["sandbox", "exec", "--workspace", &at, "--raw", "--", "printf", "\\033[1m"]).await?;
    assert_eq!(raw.success()?, "\u{1b}[1m");
    Ok(())
}
