//! What is wrong is refused with a clear sentence, and everything else lives.

use anyhow::Result;
use creel_ipc::msg::unit::UnitState;
use creel_kit::ws::{Client, connect_params};
use creel_kit::{Creel, TelegramHome, TestHome, config, deadline, within};
use fake_telegram::{Inject, TOKEN};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::with;

const EX_CONFIG: i32 = 78;

#[tokio::test]
async fn a_typo_in_the_configuration_stops_the_start() -> Result<()> {
    let home = TestHome::new()?;
    home.write_config_text("{\n  gateway: { port: 1 },\n  chanels: {},\n}\n")?;
    for args in [["up"].as_slice(), &["config", "validate"]] {
        let output = home.cli(args).await?;
        assert_eq!(output.code, Some(EX_CONFIG), "{args:?}: {output:?}");
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains("creel.json:3:3") && said.contains("channels"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_reload_changes_nothing_and_says_so() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel: &Creel| {
        let good = home.config()?;
        let before = pids(creel).await?;
        home.write_config_text("{ gateway: { port: \"many\" } }")?;
        let reload = creel.cli(&["reload"]).await?;
        assert_ne!(reload.code, Some(0), "{reload:?}");
        let said = format!("{}{}", reload.stdout, reload.stderr);
        assert!(said.contains("creel.json:1:"), "{said}");
        assert!(creel.status().await?.config_error.is_some());
        assert_eq!(pids(creel).await?, before);
        assert_eq!(Client::connect(creel).await?.ask("main", "hello").await?.state, "final");
        home.write_config(&good)?;
        creel.cli(&["reload"]).await?.success()?;
        assert_eq!(creel.status().await?.config_error, None);
        Ok(())
    })
    .await
}

async fn pids(creel: &Creel) -> Result<Vec<(String, Option<u32>)>> {
    Ok(creel.status().await?.units.into_iter().map(|unit| (unit.name, unit.pid)).collect())
}

/// The agent whose workspace is a symlink does not run; another one does.
#[tokio::test]
async fn a_workspace_that_is_a_symlink() -> Result<()> {
    let home = TestHome::new()?;
    home.configure(json!({"agents": {"list": [{"id": "main"}, {"id": "other", "workspace": "elsewhere"}]}}))?;
    std::os::unix::fs::symlink("/etc", home.path().join("elsewhere"))?;
    let creel = home.launch()?;
    // Ready or not: the sound half works.
    let unit = creel_kit::until("the odd agent is refused", deadline::PATIENCE, async || {
        let Ok(unit) = creel.unit("agent:other").await else { return Ok(None) };
        let refused =
            matches!(unit.state, UnitState::Quarantined | UnitState::Backoff) && unit.last_exit.is_some();
        Ok(refused.then_some(unit))
    })
    .await?;
    let why = unit.last_exit.and_then(|exit| exit.detail).unwrap_or_default().to_lowercase();
    assert!(why.contains("elsewhere") && (why.contains("symlink") || why.contains("symbolic link")), "{why}");
    creel_kit::until("the sound agent runs", deadline::PATIENCE, async || {
        Ok((creel.unit("agent:main").await?.state == UnitState::Running).then_some(()))
    })
    .await?;
    // Creel as a whole may never be ready with an agent that cannot run.
    let mut client = creel_kit::until("the gateway takes clients", deadline::PATIENCE, async || {
        Ok(Client::connect(&creel).await.ok())
    })
    .await?;
    assert_eq!(client.ask("main", "hello").await?.state, "final");
    creel.stop().await
}

#[tokio::test]
async fn a_wrong_token() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel: &Creel| {
        let right = home.token()?;
        let flipped: String = right.chars().rev().collect();
        for wrong in ["", "x", flipped.as_str(), &format!("{right}x"), &"y".repeat(10_000)] {
            let mut client = Client::open(home.port()).await?;
            client.wait("connect.challenge", |frame| frame["event"] == "connect.challenge").await?;
            let response = client.request("connect", connect_params(wrong)).await?;
            assert_eq!(response["ok"], false, "{} characters", wrong.len());
            assert!(!response.to_string().contains(&right), "the answer tells the token");
            client.wait_closed().await?;
        }
        // One that is too long for a stranger's frame is not even answered.
        let mut client = Client::open(home.port()).await?;
        let params = connect_params(&"y".repeat(1 << 20));
        client
            .send_text(json!({"type": "req", "id": "1", "method": "connect", "params": params}).to_string())
            .await?;
        client.wait_closed().await?;
        Client::connect(creel).await?.call("health", json!({})).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn garbage_on_the_websocket() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel: &Creel| {
        let gateway = creel.process("gateway").await?;
        let mut neighbour = Client::connect(creel).await?;
        let deep = "[".repeat(50_000);
        let nested = format!(r#"{{"type":"req","id":"1","method":"health","params":{deep}"#);
        let texts =
            ["", "{", "null", "[]", r#"{"type":"res"}"#, r#"{"type":"req","id":7}"#, "\u{0}", &nested];
        for text in texts {
            // A stranger has one chance; a friend may go on, or is told why not.
            let mut stranger = Client::open(home.port()).await?;
            stranger.send_text(text).await?;
            assert_ne!(stranger.wait_closed().await?, "", "{text:.40}");
            let mut friend = Client::connect(creel).await?;
            friend.send_text(text).await?;
            assert!(answers_or_closes(&mut friend).await?, "{text:.40}");
        }
        for bytes in [vec![0xff; 16], vec![0; 4 << 20]] {
            let mut stranger = Client::open(home.port()).await?;
            // It may be closed while we still write.
            let _ = stranger.send_bytes(bytes.clone()).await;
            stranger.wait_closed().await?;
            let mut friend = Client::connect(creel).await?;
            let _ = friend.send_bytes(bytes).await;
            assert!(answers_or_closes(&mut friend).await?);
        }
        let mut client = Client::connect(creel).await?;
        for (method, params) in [
            ("no.such.method", json!({})),
            ("chat.send", json!({"sessionKey": 7})),
            ("chat.send", json!({"sessionKey": "agent:nobody:main", "message": "x", "idempotencyKey": "k"})),
            ("chat.history", json!("text instead of an object")),
            ("agent.wait", json!({"runId": "no such run", "timeoutMs": 1})),
        ] {
            let response = client.request(method, params.clone()).await?;
            assert_eq!(response["type"], "res", "{method} {params}");
            if method != "agent.wait" {
                assert_eq!(response["ok"], false, "{method} {params}: {response}");
                let sentence = response["error"]["message"].as_str().unwrap_or_default();
                assert!(sentence.len() > 10, "{method}: {response}");
            }
        }
        assert_eq!(neighbour.ask("main", "hello").await?.state, "final");
        assert_eq!(creel.process("gateway").await?, gateway, "the gateway was restarted");
        Ok(())
    })
    .await
}

/// Whether a client that wrote garbage is still served, or was shown the door: anything but silence.
async fn answers_or_closes(client: &mut Client) -> Result<bool> {
    let served = client.call("health", json!({})).await.is_ok();
    Ok(served || !client.wait_closed().await?.is_empty())
}

#[tokio::test]
async fn garbage_on_the_control_socket() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel: &Creel| {
        let wide = vec![b'a'; 2 << 20];
        let cases: [&[u8]; 7] = [
            b"\n\n\n",
            b"garbage\n",
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no.such\",\"params\":{}}\n",
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"unit.restart\",\"params\":{\"unit\":7}}\n",
            b"\xff\xfe\x00\n",
            &wide,
            b"{\"jsonrpc\":",
        ];
        for case in cases {
            let mut socket = UnixStream::connect(home.control_socket()).await?;
            // It may be closed while we still write.
            let _ = socket.write_all(case).await;
            let asked = socket
                .write_all(b"\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"units.status\",\"params\":{}}\n")
                .await;
            let answered = within("an answer or the end", deadline::PATIENCE, answer(socket)).await?;
            // Who wrote no messages may be hung up on; who only asked for the wrong thing is served on.
            let sound = case.starts_with(b"\n") || case.ends_with(b"}\n");
            assert!(answered || !sound, "{:?}: {asked:?}", String::from_utf8_lossy(case));
        }
        let status = creel.status().await?;
        assert_eq!(status.supervisor_pid, creel.supervisor().pid);
        assert!(status.units.iter().all(|unit| unit.restarts == 0), "{status:?}");
        let unknown = creel.cli(&["restart", "agent:nobody"]).await?;
        assert_ne!(unknown.code, Some(0), "{unknown:?}");
        assert!(unknown.stderr.contains("agent:nobody"), "{unknown:?}");
        Ok(())
    })
    .await
}

/// Whether the request with the id 2 is answered before the socket is closed.
async fn answer(socket: UnixStream) -> Result<bool> {
    let mut lines = BufReader::new(socket).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let line: Value = serde_json::from_str(&line)?;
        if line["id"] == 2 {
            return Ok(line["result"]["units"].is_array());
        }
    }
    Ok(false)
}

#[tokio::test]
async fn telegram_updates_from_the_future() -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |creel: &Creel| {
        let worker = creel.process("channel:telegram:default").await?;
        let person = json!({"id": 9, "is_bot": false, "first_name": "Zoë"});
        let chat = json!({"id": 9, "type": "private"});
        let updates: [Value; 5] = [
            json!({"hologram": {"id": "x", "depth": [1, 2, {"three": null}]}}),
            json!({"message": {"message_id": 900, "date": 4_102_444_800_i64, "chat": chat, "from": person,
                "smell": {"kind": "lavender"}}}),
            json!({"message": {"message_id": "nine hundred and one", "chat": 7}}),
            json!({"message": {"message_id": 902, "date": 1, "from": person, "text": "echo lost",
                "chat": {"id": 9, "type": "hive-mind"}}}),
            json!({"message": null}),
        ];
        for update in updates {
            let inject = Inject { token: TOKEN.into(), update: Some(update), ..Inject::default() };
            home.telegram.inject(inject).map_err(anyhow::Error::msg)?;
        }
        home.say(1, "echo still here")?;
        assert_eq!(home.wait_said(1, 1).await?, ["still here"]);
        assert_eq!(creel.process("channel:telegram:default").await?, worker, "the worker was restarted");
        Ok(())
    })
    .await
}

/// One account with a token that the platform refuses does not hold up its neighbour.
#[tokio::test]
async fn one_dead_account_beside_a_living_one() -> Result<()> {
    let home = TelegramHome::new().await?;
    home.telegram.revoke("2000:revoked");
    let root = home.telegram.api_root();
    home.home.configure(json!({"channels": {"telegram": {"accounts": {
        "default": {"botToken": TOKEN}, "dead": {"botToken": "2000:revoked", "apiRoot": root},
    }}}}))?;
    home.home.configure(config::model(&home.model.openai_url()))?;
    let creel = home.home.launch()?;
    home.say(1, "echo alive")?;
    assert_eq!(home.wait_said(1, 1).await?, ["alive"]);
    creel_kit::until("the refusal is shown", deadline::PATIENCE, async || {
        let status = creel.gateway_call("channels.status", &json!({})).await?;
        let accounts = status["channelAccounts"]["telegram"].as_array().cloned().unwrap_or_default();
        let dead = accounts.into_iter().find(|row| row["accountId"] == "dead");
        Ok(dead.filter(|row| row["lastError"].is_string() && row["connected"] == false))
    })
    .await?;
    let before = creel.unit("channel:telegram:dead").await?;
    // Each answer takes its neighbour through several polls.
    for count in 2..=5 {
        home.say(1, "echo alive")?;
        assert_eq!(home.wait_said(1, count).await?.len(), count);
    }
    let after = creel.unit("channel:telegram:dead").await?;
    assert_eq!(
        (before.pid, before.restarts),
        (after.pid, after.restarts),
        "a refused token is no reason to go round in circles: {after:?}"
    );
    creel.stop().await
}
