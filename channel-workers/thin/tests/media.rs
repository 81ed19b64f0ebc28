//! Files in both directions between the Telegram worker and the fake Bot API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[cfg(test)]
mod rig;

use std::path::Path;

use creel_channel::Surroundings;
use creel_ipc::ErrorClass;
use creel_ipc::blob::Attachment;
use fake_telegram::{Fake, Fault, Inject, InjectFile, TOKEN};
use rig::{Rig, Stand, send, telegram_settings};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

async fn rig_with_folder(fake: &Fake) -> (Rig, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["in", "out"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let around = Surroundings { blobs: Some(folder.path().to_owned()), ..Surroundings::default() };
    let stand = Stand { around, ..Stand::default() };
    (Rig::telegram_with(telegram_settings(fake, TOKEN), stand).await, folder)
}

fn file(kind: &str, content: &str) -> Inject {
    let file = InjectFile {
        kind: kind.to_owned(),
        name: Some("notes.txt".to_owned()),
        mime: Some("text/plain".to_owned()),
        content: content.to_owned(),
        size: None,
    };
    Inject { text: "look".to_owned(), file: Some(file), ..Inject::default() }
}

fn put(folder: &Path, content: &[u8], mime: &str) -> Attachment {
    let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(folder.join("in").join(&sha256), content).unwrap();
    Attachment {
        sha256,
        bytes: content.len() as u64,
        mime: mime.to_owned(),
        name: Some("name.bin".to_owned()),
    }
}

#[tokio::test]
async fn a_file_is_kept_by_its_hash_and_its_caption_is_the_text() {
    let fake = Fake::start().await.unwrap();
    let (mut rig, folder) = rig_with_folder(&fake).await;
    fake.fault_next("getFile", Fault::LostResponse);
    fake.inject(file("document", "hello file")).unwrap();
    let inbound = rig.store().await;
    assert_eq!(inbound.text, "look");
    let kept = &inbound.attachments[0];
    assert_eq!((kept.mime.as_str(), kept.name.as_deref(), kept.bytes), ("text/plain", Some("notes.txt"), 10));
    assert_eq!(std::fs::read(folder.path().join("out").join(&kept.sha256)).unwrap(), b"hello file");
    assert_eq!(std::fs::read_dir(folder.path().join("out")).unwrap().count(), 1);
    fake.confirmed(TOKEN).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_had_is_named_and_the_message_still_comes() {
    let fake = Fake::start().await.unwrap();
    let (mut rig, _folder) = rig_with_folder(&fake).await;
    let mut large = file("video", "x");
    large.file.as_mut().unwrap().size = Some(48_000_000);
    fake.inject(large).unwrap();
    let inbound = rig.store().await;
    assert!(inbound.text.contains("look") && inbound.text.contains("20 MB"), "{}", inbound.text);
    assert!(inbound.attachments.is_empty());
    let mut without = Rig::telegram(&fake).await;
    rig.kill().await;
    fake.inject(file("photo", "x")).unwrap();
    assert!(without.store().await.text.contains("[photo notes.txt: files are not received here]"));
}

#[tokio::test]
async fn files_go_out_behind_the_text_by_the_method_of_their_type() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let (rig, folder) = rig_with_folder(&fake).await;
    let mut order = send("k", "Here you are.");
    order.attachments = vec![
        put(folder.path(), b"\x89PNG rest", "image/png"),
        // The platform makes no photo of it.
        put(folder.path(), b"no image at all", "image/jpeg"),
        put(folder.path(), b"some bytes", "application/zip"),
    ];
    let sent = rig.send(&order).await.unwrap();
    let said = fake.sent();
    let methods: Vec<&str> = said.iter().map(|sent| sent.method.as_str()).collect();
    assert_eq!(methods, ["sendMessage", "sendPhoto", "sendDocument", "sendDocument"]);
    assert_eq!(sent.message_ids.len(), 4);
    for (said, attachment) in said[1..].iter().zip(&order.attachments) {
        let file = said.file.as_ref().unwrap();
        assert_eq!((&file.sha256, file.name.as_str()), (&attachment.sha256, "name.bin"));
    }
}

#[tokio::test]
async fn the_text_goes_out_even_when_a_file_cannot() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let (rig, folder) = rig_with_folder(&fake).await;
    let mut order = send("k", "Here you are.");
    let good = put(folder.path(), b"bytes", "application/zip");
    let missing = Attachment { sha256: "0".repeat(64), ..good.clone() };
    let outside = Attachment { sha256: "../../etc/passwd".to_owned(), ..good.clone() };
    order.attachments = vec![missing, outside, good];
    let error = rig.send(&order).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadRequest);
    assert!(error.message.contains(&"0".repeat(64)), "{error}");
    let methods: Vec<String> = fake.sent().into_iter().map(|sent| sent.method).collect();
    assert_eq!(methods, ["sendMessage", "sendDocument"]);
}

#[tokio::test]
async fn a_lost_upload_is_an_unknown_outcome_behind_the_parts_that_went_out() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let (rig, folder) = rig_with_folder(&fake).await;
    let mut order = send("k", "Here.");
    order.attachments = vec![put(folder.path(), b"bytes", "application/zip")];
    fake.fault_next("sendDocument", Fault::LostResponse);
    let error = rig.send(&order).await.unwrap_err();
    assert_eq!((error.class(), error.data.unwrap().parts_sent), (ErrorClass::UnknownOutcome, Some(1)));
}
