//! The tool sandbox, asked for by a model, as an agent lives in it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use creel_ipc::terminal::steers;
use creel_kit::deadline::{PATIENCE, until};
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
        place.host("git -c safe.directory='*' -C new status")?;

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

async fn place_and(
    over: Value,
    test: impl AsyncFnOnce(&Place, &Creel, &mut Client) -> Result<()>,
) -> Result<()> {
    let place = Place::new(over).await?;
    with(place.home.start().await?, async |creel: &Creel| {
        let mut client = Client::connect(creel).await?;
        test(&place, creel, &mut client).await
    })
    .await
}

#[tokio::test]
async fn a_workspace_that_is_read_only_or_hidden_is_not_written() -> Result<()> {
    for (access, why) in [("ro", "Read-only file system"), ("none", "nonexistent")] {
        place_and(json!({"sandbox": {"workspaceAccess": access}}), async |place, _, client| {
            std::fs::write(place.workspace().join("note"), "mine")?;
            let note = place.workspace().join("note");
            let said = place.exec(client, &format!("echo x > {}; pwd", note.display())).await?;
            let denied = said.contains(why) || said.contains("Permission denied");
            assert!(denied, "{access}: {said}");
            assert_eq!(std::fs::read_to_string(note)?, "mine");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn sessions_share_a_home_as_configured() -> Result<()> {
    for (scope, seen) in [("session", "nothing"), ("agent", "secret"), ("shared", "secret")] {
        let over = json!({"sandbox": {"scope": scope, "workspaceAccess": "none"}});
        place_and(over, async |place, _, client| {
            let tool = async |client: &mut Client, session: &str, command: &str| {
                place.call(client, session, "exec", json!({ "command": command })).await
            };
            tool(client, "main", "echo secret > ~/kept; echo gone > /tmp/kept").await?;
            let look = "cat ~/kept 2>/dev/null || echo nothing; cat /tmp/kept 2>/dev/null || echo fresh";
            let own = tool(client, "main", look).await?;
            assert!(own.starts_with("secret\nfresh\n"), "{scope}: {own}");
            let other = tool(client, "agent:main:other", look).await?;
            assert!(other.starts_with(&format!("{seen}\nfresh\n")), "{scope}: {other}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn only_the_main_session_is_outside_where_the_operator_wants_it_so() -> Result<()> {
    place_and(json!({"sandbox": {"mode": "non-main", "scope": "session"}}), async |place, creel, client| {
        let inside = "readlink /proc/self/ns/net";
        let host = std::fs::read_link("/proc/self/ns/net")?.to_string_lossy().into_owned();
        let main = place.exec(client, inside).await?;
        assert!(main.contains(&host), "{main} against {host}");
        let other = place.call(client, "agent:main:stranger", "exec", json!({ "command": inside })).await?;
        assert!(other.starts_with("net:[") && !other.contains(&host), "{other} against {host}");

        // The operator is told the same, measured, for each of the two.
        let explain = async |session: &str| {
            creel.cli(&["sandbox", "explain", "--session", session, "--json"]).await?.json()
        };
        let main = explain("main").await?;
        assert_eq!(
            (&main["session"]["confined"], &main["session"]["main"]),
            (&json!(false), &json!(true)),
            "{main}"
        );
        assert_eq!(main["sandboxes"][0]["isolation"]["level"], "L0", "{main}");
        let other = explain("agent:main:stranger").await?;
        assert_eq!(
            (&other["session"]["key"], &other["session"]["confined"]),
            (&json!("agent:main:stranger"), &json!(true)),
            "{other}"
        );
        assert_eq!(other["sandboxes"][0]["isolation"]["level"], other["level"], "{other}");
        let home = other["session"]["home"].as_str().context("no home")?.to_owned();
        assert!(home.contains("/session/main/"), "{other}");
        let seen = other["sandboxes"][0]["visible"].as_array().context("nothing is visible")?.clone();
        assert!(
            other["level"] == "L1"
                || seen.iter().any(|row| row["note"].as_str().is_some_and(|note| note.contains(&home))),
            "{other}"
        );
        let nobody = creel.cli(&["sandbox", "explain", "--session", "agent:main:nobody"]).await?;
        assert!(
            nobody.code != Some(0)
                && nobody.stderr.contains("there are: agent:main:main, agent:main:stranger"),
            "{nobody:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn binds_and_variables_of_the_operator_and_words_for_docker() -> Result<()> {
    let data = tempfile::tempdir()?;
    std::fs::write(data.path().join("a"), "shown")?;
    let bind = format!("{}:/data:ro", data.path().display());
    let over = json!({
        "sandbox": {"env": {"COLOUR": "red"}},
        "agents": {"defaults": {"sandbox": {"docker": {"binds": [bind], "pidsLimit": 50, "cpus": 1.5, "image": "x", "env": {"LANG": "C"}}}}},
    });
    place_and(over, async |place, creel, client| {
        let said = place.exec(client, "cat /data/a; echo $COLOUR; echo x > /data/a").await?;
        assert!(said.starts_with("shownred\n") && said.contains("Read-only file system"), "{said}");
        let checked = creel.cli(&["config", "validate"]).await?;
        let told = format!("{}{}", checked.stdout, checked.stderr);
        assert!(told.contains("docker.image means nothing"), "{told}");
        // Creel's own folders are out of reach, whatever is written.
        let own = format!("{}:/data:ro", place.home.path().display());
        place.home.configure(json!({"sandbox": {"binds": [own]}, "agents": {"defaults": {"sandbox": {"docker": {"binds": []}}}}}))?;
        creel.cli(&["reload"]).await?.success()?;
        let said = place.exec(client, "ls /data").await?;
        assert!(said.contains("is refused") && said.contains("sandbox.binds"), "{said}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_the_host_would_obey_is_taken_out_of_writable_binds_too() -> Result<()> {
    let data = tempfile::tempdir()?;
    std::fs::write(data.path().join(".envrc"), "mine")?;
    let bind = format!("{}:/data:rw", data.path().display());
    // Creel may run as root and its commands as somebody else, who must be able to write there.
    std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    for access in ["rw", "none"] {
        let over = json!({"sandbox": {"binds": [bind], "workspaceAccess": access}});
        place_and(over, async |place, creel, client| {
            let script = "cd /data; echo evil > .envrc; mkdir -p sub .vscode; echo evil > sub/.envrc; echo {} > .vscode/tasks.json; echo done";
            let said = place.exec(client, script).await?;
            let folder = data.path().display().to_string();
            assert!(said.contains("done\n") && said.contains(&format!("sub/.envrc (in {folder})")), "{said}");
            assert_eq!(std::fs::read_to_string(data.path().join(".envrc"))?, "mine");
            for gone in ["sub/.envrc", ".vscode"] {
                assert!(!data.path().join(gone).exists(), "{gone}: {said}");
            }
            let list = creel.cli(&["sandbox", "quarantine", "list"]).await?;
            assert!(list.success()?.contains(".vscode"), "{list:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Only the run that misbehaves ends, the limit is named, and everybody else serves on.
#[tokio::test]
async fn a_run_that_takes_too_much_ends_alone() -> Result<()> {
    let pids = async |creel: &Creel| -> Result<Vec<Option<u32>>> {
        Ok(creel.status().await?.units.iter().map(|unit| unit.pid).collect())
    };
    place_and(json!({"sandbox": {"wallSeconds": 5, "pids": 64}}), async |place, creel, client| {
        let before = pids(creel).await?;
        let bomb = place.exec(client, "b() { b | b & }; b; sleep 60").await?;
        assert!(bomb.contains("fork") || bomb.contains("time"), "{bomb}");
        let busy = place.exec(client, "while :; do :; done").await?;
        assert!(busy.contains("its time of 5000 ms was up"), "{busy}");
        assert_eq!(pids(creel).await?, before, "somebody else ended, too");
        Ok(())
    })
    .await?;
    // With time enough on a slow disk, too.
    place_and(json!({"sandbox": {"wallSeconds": 300, "memory": "256m"}}), async |place, creel, client| {
        let before = pids(creel).await?;
        let memory = place.exec(client, "head -c 900000000 /dev/zero | tail -n 1 | wc -c").await?;
        assert!(
            memory.contains("memory exhausted")
                || memory.contains("sandbox.memory")
                || memory.contains("annot allocate"),
            "{memory}"
        );
        let big = place.exec(client, "dd if=/dev/zero of=big bs=1M count=4096 2>&1; rm -f big").await?;
        assert!(
            big.contains("File size limit") || big.contains("File too large") || big.contains("signal 25"),
            "{big}"
        );
        assert_eq!(pids(creel).await?, before, "somebody else ended, too");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_terminal_gets_no_escape_sequences_of_a_model() -> Result<()> {
    place_and(json!({}), async |_, creel, _| {
        let said = creel.cli(&["agent", "--message", "echo a\u{1b}]52;c;cnQ=\u{7}b\u{9b}31m ü"]).await?;
        assert_eq!(said.success()?.trim_end(), "a?]52;c;cnQ=?b?31m ü");
        Ok(())
    })
    .await
}

/// What a command and a model may try on whoever reads: the clipboard, both spellings of CSI, and the direction of text.
const HOSTILE: &str = "\\033]52;c;cm0=\\007\\302\\2352J\\033[31m\\342\\200\\256x";

#[tokio::test]
async fn neither_models_nor_terminals_get_what_commands_wrote_to_steer_them() -> Result<()> {
    let steered = |text: &str| text.chars().any(|c| steers(c) && c != '\n');
    place_and(json!({"sandbox": {"network": "allow-list"}}), async |place, creel, client| {
        // Printed, denied with a name in it, left with a name in it, and asked of egress.
        let script = format!(
            "H=\"$(printf '{HOSTILE}')\"; printf \"out$H\\n\"; echo x > \"/srv/$(printf '\\033[2J\\302\\235\\342\\200\\256x')\"; mkdir \"$H\" && echo > \"$H/.envrc\"; \
             printf \"CONNECT a$H.example:443 HTTP/1.1\\r\\n\\r\\n\" | curl -sS telnet://${{HTTPS_PROXY#http://}}; true"
        );
        let said = place.exec(client, &script).await?;
        assert!(said.contains("out") && said.contains("/srv/") && !steered(&said), "{said:?}");
        for pty in [false, true] {
            let script = format!("printf 'begin{HOSTILE}\\n'; read end");
            let asked = json!({"command": script, "background": true, "pty": pty});
            let started = place.call(client, "main", "exec", asked).await?;
            let session = started.split_once("as session ").and_then(|(_, rest)| rest.split_once(". `"));
            let session = session.with_context(|| started.clone())?.0.to_owned();
            for action in ["poll", "log"] {
                let asked = json!({"action": action, "sessionId": session});
                let said = place.call(client, "main", "process", asked).await?;
                ensure!(!steered(&started) && !steered(&said), "{action} {pty}: {started:?} {said:?}");
            }
            let log = json!({"action": "log", "sessionId": session});
            until("it has printed", PATIENCE, async || {
                let said = place.call(client, "main", "process", log.clone()).await?;
                ensure!(!steered(&said), "{said:?}");
                Ok(said.starts_with("beginx\n").then_some(()))
            })
            .await?;
        }
        for words in [
            &["sandbox", "why"][..],
            &["sandbox", "quarantine", "list"],
            &["events"],
            &["logs"],
            &["egress", "log"],
            &["status", "--verbose"],
            &["sessions"],
            &["gateway", "call", "chat.history", "--params", "{\"sessionKey\":\"main\"}"],
        ] {
            for json in [&[][..], &["--json"]] {
                let shown = creel.cli(&[words, json].concat()).await?;
                ensure!(!steered(&shown.stdout) && !steered(&shown.stderr), "{words:?}: {shown:?}");
            }
        }
        let why = creel.cli(&["sandbox", "why"]).await?;
        ensure!(why.success()?.contains("/srv/?[2J??x is outside"), "{why:?}");
        Ok(())
    })
    .await
}
