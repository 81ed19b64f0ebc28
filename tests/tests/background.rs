//! Commands that run on in the background, and the agent's tool for them.

use anyhow::{Context, Result};

use creel_kit::ws::Client;
use creel_kit::{Creel, TelegramHome, deadline};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::sandbox::Place;
use crate::with;

const CHAT: i64 = 1;

/// Has the model call a tool; the first line of what it read.
struct Caller<'a> {
    home: &'a TelegramHome,
    said: usize,
}

impl Caller<'_> {
    async fn call(&mut self, tool: &str, arguments: Value) -> Result<String> {
        self.home.say(CHAT, &format!("call {tool} {arguments}"))?;
        self.said += 1;
        let said = self.home.wait_said(CHAT, self.said).await?;
        let last = said.last().context("nothing was said")?;
        Ok(last.strip_prefix("tool said: ").unwrap_or(last).to_owned())
    }

    async fn process(&mut self, action: &str, session: &str, more: Value) -> Result<String> {
        let mut arguments = json!({"action": action, "sessionId": session});
        creel_kit::config::merge(&mut arguments, more);
        self.call("process", arguments).await
    }

    /// Starts a command that prints nothing at first.
    async fn start(&mut self, command: &str, more: Value) -> Result<String> {
        let mut arguments = json!({"command": command, "background": true});
        creel_kit::config::merge(&mut arguments, more);
        let said = self.call("exec", arguments).await?;
        let session = said.strip_prefix("[It runs on in the background as session ");
        let session = session.and_then(|rest| rest.split_once(". ")).with_context(|| said.clone())?.0;
        Ok(session.to_owned())
    }
}

#[tokio::test]
async fn a_process_outlives_gateway_agent_and_upgrade_and_reads_each_line_once() -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |creel: &Creel| {
        let mut caller = Caller { home: &home, said: 0 };
        let script = "while read line; do echo got $line; done; echo bye; exit 3";
        let session = caller.start(script, json!({})).await?;
        assert_eq!(
            caller.process("submit", &session, json!({"data": "one"})).await?,
            "4 bytes were written."
        );
        assert_eq!(caller.process("poll", &session, json!({"timeout": 60_000})).await?, "got one");

        for unit in ["gateway", "agent:main"] {
            let old = creel.kill(unit, Signal::SIGKILL).await?;
            creel.wait_replaced(unit, old).await?;
        }
        creel.cli(&["upgrade", "--no-roll"]).await?.success()?;
        assert_eq!(
            caller.process("submit", &session, json!({"data": "two"})).await?,
            "4 bytes were written."
        );
        // The agent that had read the first line is gone; a new one begins at the beginning.
        assert_eq!(caller.process("log", &session, json!({"offset": 1, "limit": 1})).await?, "got two");

        assert_eq!(
            caller.process("write", &session, json!({"data": "last\n", "eof": true})).await?,
            "5 bytes were written."
        );
        deadline::until("its end", deadline::PATIENCE, async || {
            let listed = caller.call("process", json!({"action": "list"})).await?;
            Ok(listed.contains("exit code 3").then_some(()))
        })
        .await?;
        assert_eq!(caller.process("log", &session, json!({"limit": 1})).await?, "bye");
        let refused = caller.process("submit", &session, json!({"data": "x"})).await?;
        assert_eq!(refused, "It does not run.");
        let unknown = caller.process("poll", "nobody", json!({})).await?;
        assert!(unknown.starts_with("There is no process nobody"), "{unknown}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_terminal_is_one_and_an_agent_that_is_stopped_leaves_no_process() -> Result<()> {
    let home = TelegramHome::new().await?;
    home.home.configure(json!({"sandbox": {"backgroundRuns": 1}}))?;
    with(home.start().await?, async |creel: &Creel| {
        let mut caller = Caller { home: &home, said: 0 };
        // Interrupted by a key, which only a terminal of its own makes a signal.
        let script = "stty -echo; trap 'echo interrupted; exit 7' INT; touch ready; test -t 0 && test -t 2 && read x < /dev/tty && echo on $x; while :; do sleep 0.1; done";
        let session = caller.start(script, json!({"pty": true})).await?;
        let full = caller.call("exec", json!({"command": "true", "background": true})).await?;
        assert!(full.contains("sandbox.backgroundRuns allows 1"), "{full}");
        let ready = home.home.path().join("workspace/ready");
        let listens = async || Ok(ready.exists().then_some(()));
        deadline::until("it listens to the terminal", deadline::PATIENCE, listens).await?;
        caller.process("send-keys", &session, json!({"keys": ["h", "i", "Enter"]})).await?;
        assert_eq!(caller.process("poll", &session, json!({"timeout": 60_000})).await?, "on hi");
        caller.process("send-keys", &session, json!({"keys": ["C-c"]})).await?;
        assert_eq!(caller.process("poll", &session, json!({"timeout": 60_000})).await?, "interrupted");
        deadline::until("its end", deadline::PATIENCE, async || {
            let listed = caller.call("process", json!({"action": "list"})).await?;
            Ok(listed.contains("exit code 7").then_some(()))
        })
        .await?;

        let asleep = || creel.processes().iter().filter(|process| process.name == "sleep").count();
        caller.start("exec sleep 3600", json!({})).await?;
        deadline::until("it sleeps", deadline::PATIENCE, async || Ok((asleep() == 1).then_some(()))).await?;
        creel.cli(&["stop", "agent:main"]).await?.success()?;
        deadline::until("the end of its process", deadline::PATIENCE, async || Ok((asleep() == 0).then_some(())))
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_process_is_denied_is_told_to_its_agent_and_kept_for_the_operator() -> Result<()> {
    let place = Place::new(json!({"sandbox": {"network": "allow-list"}})).await?;
    with(place.home.start().await?, async |creel: &Creel| {
        let mut client = Client::connect(creel).await?;
        let script = "cat /srv/another/secret; curl -sS https://evil.example.org/; read line; exit 4";
        let arguments = json!({"command": script, "background": true});
        let started = place.call(&mut client, "main", "exec", arguments).await?;
        let session = started.split_once("as session ").and_then(|(_, rest)| rest.split_once(". `"));
        let session = session.with_context(|| started.clone())?.0.to_owned();
        // What egress refuses is known while it runs, and is its agent's.
        let why = async || -> Result<Value> {
            let told = creel.cli(&["sandbox", "why", "--agent", "main", "--json"]).await?;
            Ok(serde_json::from_str::<Value>(told.success()?)?["denials"].take())
        };
        let of = |denials: &Value, part: &str| {
            let mut all = denials.as_array().into_iter().flatten();
            all.any(|one| {
                one["sentence"].as_str().is_some_and(|told| told.contains(part)) && one["run"] == session
            })
        };
        deadline::until("the refusal of egress", deadline::PATIENCE, async || {
            Ok(of(&why().await?, "evil.example.org:443 was refused by egress").then_some(()))
        })
        .await?;
        // Its terms are known to the program after this one, too.
        creel.cli(&["upgrade", "--no-roll"]).await?.success()?;
        let submit = json!({"action": "submit", "sessionId": session, "data": "go"});
        place.call(&mut client, "main", "process", submit).await?;
        let poll = json!({"action": "poll", "sessionId": session, "timeout": 60_000});
        let mut heard = String::new();
        deadline::until("its end", deadline::PATIENCE, async || {
            heard = place.call(&mut client, "main", "process", poll.clone()).await?;
            Ok(heard.contains("[exit code 4]").then_some(()))
        })
        .await?;
        assert!(heard.contains("[sandbox] /srv/another/secret"), "{heard}");
        assert!(heard.contains("[sandbox] evil.example.org:443 was refused by egress"), "{heard}");
        let denials = why().await?;
        assert!(of(&denials, "/srv/another/secret"), "{denials}");
        Ok(())
    })
    .await
}
