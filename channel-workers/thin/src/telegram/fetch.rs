//! Files that people sent: streamed into the unit's `out/`, named by their hash.

use std::io;
use std::path::Path;
use std::time::Duration;

use creel_ipc::blob::Attachment;
use creel_ipc::msg::channel::Inbound;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::Telegram;
use super::api::Failure;
use super::update::{FileRef, Message};

/// Bytes of the largest file that the Bot API gives out.
const MOST: u64 = 20 * 1024 * 1024;
/// Time for one file.
const TIME: Duration = Duration::from_secs(120);
const ATTEMPTS: u32 = 3;

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Api(#[from] Failure),
    #[error("it is larger than the 20 MB that a bot can fetch")]
    TooLarge,
    #[error("it cannot be kept: {0}")]
    Disk(#[from] io::Error),
}

impl Telegram {
    /// The message with its files. A file that cannot be had is named in the text: the message itself is never lost.
    pub(super) async fn fetch(&self, message: Message) -> Inbound {
        let Message { mut inbound, files } = message;
        for file in files {
            let Some(blobs) = &self.blobs else {
                note(&mut inbound, &file, "files are not received here");
                continue;
            };
            match self.fetch_one(&file, &blobs.join("out")).await {
                Ok(attachment) => inbound.attachments.push(attachment),
                Err(error) => {
                    tracing::warn!(
                        message = inbound.ext_id,
                        kind = file.kind,
                        "A file is not received: {error}"
                    );
                    note(&mut inbound, &file, &error.to_string());
                }
            }
        }
        inbound
    }

    async fn fetch_one(&self, file: &FileRef, out: &Path) -> Result<Attachment, FetchError> {
        if file.bytes.is_some_and(|bytes| bytes > MOST) {
            return Err(FetchError::TooLarge);
        }
        let mut attempt = 1;
        loop {
            match self.stream(file, out).await {
                Err(FetchError::Api(Failure::NotSent(_) | Failure::Lost(_))) if attempt < ATTEMPTS => {
                    tokio::time::sleep(self.pace.retry.0 * attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn stream(&self, file: &FileRef, out: &Path) -> Result<Attachment, FetchError> {
        let told = self.api.call("getFile", &json!({"file_id": file.id}), self.pace.call).await?;
        let path = told["file_path"].as_str().unwrap_or_default();
        if path.is_empty() || path.contains("..") {
            return Err(Failure::Lost("getFile told no path".to_owned()).into());
        }
        let mut response = self.api.download(path, TIME).await?;
        let torn = Torn(out.join(format!(".{}", Uuid::now_v7())));
        let mut kept = tokio::fs::File::create(&torn.0).await?;
        let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
        loop {
            let chunk = response.chunk().await.map_err(|_| Failure::Lost("the file broke off".to_owned()))?;
            let Some(chunk) = chunk else { break };
            bytes += chunk.len() as u64;
            if bytes > MOST {
                return Err(FetchError::TooLarge);
            }
            hash.update(&chunk);
            kept.write_all(&chunk).await?;
        }
        kept.flush().await?;
        kept.sync_all().await?;
        let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        tokio::fs::rename(&torn.0, out.join(&sha256)).await?;
        Ok(Attachment { sha256, bytes, mime: file.mime.clone(), name: file.name.clone() })
    }
}

/// A file that is not whole yet; removed unless it was renamed.
struct Torn(std::path::PathBuf);

impl Drop for Torn {
    fn drop(&mut self) {
        // After the renaming there is nothing left to remove.
        let _renamed = std::fs::remove_file(&self.0);
    }
}

fn note(inbound: &mut Inbound, file: &FileRef, why: &str) {
    let name = file.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    if !inbound.text.is_empty() {
        inbound.text.push_str("\n\n");
    }
    inbound.text.push_str(&format!("[{}{name}: {why}]", file.kind.replace('_', " ")));
}
