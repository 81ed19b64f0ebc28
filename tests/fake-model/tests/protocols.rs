//! Both protocols over a socket, as bytes.

use anyhow::Result;
use fake_model::{FakeModel, Fault};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn post(server: &FakeModel, path: &str, body: &Value) -> Result<String> {
    let url = server.anthropic_url();
    let mut socket = TcpStream::connect(url.trim_start_matches("http://")).await?;
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: fake\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + &body).as_bytes()).await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer)?)
}

fn ask(text: &str) -> Value {
    json!({"model": "fake-1", "stream": true, "messages": [{"role": "user", "content": text}]})
}

#[tokio::test]
async fn a_streamed_completion() -> Result<()> {
    let server = FakeModel::start(0).await?;
    let answer = post(&server, "/v1/chat/completions", &ask("echo a longer answer than one piece")).await?;
    assert!(answer.contains(r#""content":"a longer ans""#), "{answer}");
    assert!(answer.contains("\"finish_reason\":\"stop\"") && answer.contains("data: [DONE]"), "{answer}");
    assert_eq!(server.control().asked()[0].last, "echo a longer answer than one piece");
    assert_eq!(server.control().stats().finished, 1);
    Ok(())
}

#[tokio::test]
async fn a_tool_call_and_its_result() -> Result<()> {
    let server = FakeModel::start(0).await?;
    let answer = post(&server, "/v1/chat/completions", &ask("tool date +%s")).await?;
    assert!(answer.contains(r#""name":"exec""#) && answer.contains("tool_calls"), "{answer}");
    let mut body = ask("tool date");
    body["messages"]
        .as_array_mut()
        .unwrap()
        .push(json!({"role": "tool", "content": "17\n", "tool_call_id": "c"}));
    body["stream"] = json!(false);
    let answer = post(&server, "/v1/chat/completions", &body).await?;
    assert!(answer.contains("tool said: 17"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn streamed_messages() -> Result<()> {
    let server = FakeModel::start(0).await?;
    let answer = post(&server, "/v1/messages", &ask("echo hi")).await?;
    for part in ["event: message_start", r#""text_delta","text":"hi""#, "event: message_stop"] {
        assert!(answer.contains(part), "{part} is missing in {answer}");
    }
    let result =
        json!([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "ok\nx"}]}]);
    let answer =
        post(&server, "/v1/messages", &json!({"messages": [{"role": "user", "content": result}]})).await?;
    assert!(answer.contains("tool said: ok"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn faults_come_once_each() -> Result<()> {
    let server = FakeModel::start(0).await?;
    server.control().fail_next([Fault::TooMany(2), Fault::Overloaded, Fault::CutAfter(1)]);
    let answer = post(&server, "/v1/chat/completions", &ask("echo a")).await?;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: 2"), "{answer}");
    let answer = post(&server, "/v1/messages", &ask("echo a")).await?;
    assert!(answer.starts_with("HTTP/1.1 529"), "{answer}");
    let answer = post(&server, "/v1/chat/completions", &ask("echo a longer answer than one piece")).await?;
    assert!(answer.contains("a longer ans") && !answer.contains("[DONE]"), "{answer}");
    let answer = post(&server, "/v1/chat/completions", &ask("echo b")).await?;
    assert!(answer.contains("[DONE]"), "{answer}");
    assert_eq!(server.control().stats().faults, 3);
    Ok(())
}

#[tokio::test]
async fn no_json_is_refused() -> Result<()> {
    let server = FakeModel::start(0).await?;
    let answer = post(&server, "/control", &json!({"delay": 1})).await?;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("unknown field"), "{answer}");
    Ok(())
}
