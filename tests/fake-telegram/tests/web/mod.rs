//! One HTTP call on a connection of its own.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::net::SocketAddr;

use fake_telegram::TOKEN;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) async fn raw(address: SocketAddr, head: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nhost: h\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let (begin, length): (usize, usize) = (head.len() + 4, length.parse().unwrap());
            if answer.len() >= begin + length {
                return answer[begin..].to_vec();
            }
        }
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the server hung up");
    }
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: &Value) -> Value {
    let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json");
    serde_json::from_slice(&raw(address, &head, body.to_string().as_bytes()).await).unwrap()
}

pub(crate) async fn api(address: SocketAddr, method: &str, body: Value) -> Value {
    post(address, &format!("/bot{TOKEN}/{method}"), &body).await
}

/// The ids of the updates in an answer.
pub(crate) fn ids(answer: &Value) -> Vec<i64> {
    answer["result"].as_array().unwrap().iter().map(|update| update["update_id"].as_i64().unwrap()).collect()
}
