//! Is there an Ollama on this machine? Asked once, by `creel up`, before it becomes the supervisor.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use creel_config::Env;
use creel_config::found::{OLLAMA_NOTE, OllamaAnswer};
use serde::Deserialize;

/// Where Ollama listens when nobody said otherwise.
const USUAL: &str = "127.0.0.1:11434";
/// Time for the whole question; a machine without Ollama refuses at once.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of an answer; a longer one is not Ollama's.
const MAX_ANSWER: u64 = 1 << 20;

#[derive(Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

/// Notes a local Ollama in the environment that the supervisor and the gateway plan with.
pub(crate) fn look(env: &mut Env) {
    let at = env
        .get("OLLAMA_HOST")
        .filter(|host| !host.trim().is_empty())
        .map_or(USUAL, String::as_str)
        .to_owned();
    if let Some(answer) = ask(&at) {
        env.insert(OLLAMA_NOTE.to_owned(), answer.note());
    }
}

/// Asks for the list of models. Only addresses of this machine are asked: a probe must not wander off.
fn ask(at: &str) -> Option<OllamaAnswer> {
    let address = local(at)?;
    let deadline = Instant::now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    // In one piece: a server that answers after the first of several resets the connection over the rest.
    stream.write_all(format!("GET /api/tags HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
        match stream.read(&mut piece).ok()? {
            0 => break,
            n => answer.extend_from_slice(&piece[..n]),
        }
        if answer.len() as u64 > MAX_ANSWER {
            return None;
        }
    }
    let text = String::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    if head.split_whitespace().nth(1) != Some("200") {
        return None;
    }
    let tags: Tags = serde_json::from_str(body.trim()).ok()?;
    Some(OllamaAnswer { at: at.to_owned(), models: tags.models.into_iter().map(|tag| tag.name).collect() })
}

fn local(at: &str) -> Option<SocketAddr> {
    let bare = at.split_once("://").map_or(at, |(_, rest)| rest).trim_end_matches('/');
    let with_port = if bare.contains(':') { bare.to_owned() } else { format!("{bare}:11434") };
    with_port
        .replacen("0.0.0.0", "127.0.0.1", 1)
        .to_socket_addrs()
        .ok()?
        .find(|address| address.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        at
    }

    #[test]
    fn a_local_ollama_is_found_with_its_models() {
        let at = server(
            "HTTP/1.0 200 OK\r\n\r\n{\"models\":[{\"name\":\"qwen3:8b\",\"size\":1},{\"name\":\"llama3\"}]}",
        );
        let mut env = Env::from([("OLLAMA_HOST".to_owned(), at.clone())]);
        look(&mut env);
        let noted = OllamaAnswer::noted(&env).unwrap();
        assert_eq!((noted.at, noted.models), (at, vec!["qwen3:8b".to_owned(), "llama3".to_owned()]));
    }

    #[test]
    fn what_is_not_ollama_is_not_taken_for_it() {
        assert_eq!(ask(&server("HTTP/1.0 404 Not Found\r\n\r\n{\"models\":[]}")), None);
        assert_eq!(ask(&server("hello")), None);
        assert_eq!(ask("192.0.2.1:11434"), None);
    }
}
