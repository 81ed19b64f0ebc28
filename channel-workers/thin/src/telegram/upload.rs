//! Files to be sent: from the unit's `in/`, by the method that fits their type.

use std::path::{Path, PathBuf};
use std::time::Duration;

use creel_ipc::blob::Attachment;
use creel_ipc::msg::channel::Route;
use creel_ipc::{ErrorClass, RpcError};
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use super::Telegram;
use super::api::Failure;
use super::send::message_id;

/// Bytes of the largest photo, and of any other file.
const MOST_PHOTO: u64 = 10 * 1024 * 1024;
const MOST_FILE: u64 = 50 * 1024 * 1024;
/// Time for one file.
const TIME: Duration = Duration::from_secs(180);

impl Telegram {
    pub(super) async fn send_file(
        &self,
        route: &Route,
        attachment: &Attachment,
        first: bool,
    ) -> Result<String, RpcError> {
        let path = self.source(attachment)?;
        let kind = kind(attachment);
        let mut outcome = self.upload(route, attachment, &path, kind, first).await?;
        if kind == "photo" && matches!(&outcome, Err(Failure::Refused { code: 400, migrated_to: None, .. })) {
            // Not every image is a photo to the platform (dimensions, formats).
            outcome = self.upload(route, attachment, &path, "document", first).await?;
        }
        if let Err(Failure::Refused { migrated_to: Some(new), .. }) = outcome {
            self.follow(route, new);
            outcome = self.upload(route, attachment, &path, kind, first).await?;
        }
        outcome
            .and_then(|message| message_id(&message))
            .map_err(|failure| self.error(&failure, &route.chat_id))
    }

    /// The file's path, once it is clear that it can be sent.
    fn source(&self, attachment: &Attachment) -> Result<PathBuf, RpcError> {
        let bad = |sentence: String| RpcError::new(ErrorClass::BadRequest, sentence);
        let Attachment { sha256, bytes, .. } = attachment;
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad(format!("The attachment's name {sha256:?} is no SHA-256.")));
        }
        if *bytes > MOST_FILE {
            return Err(bad(format!("A bot cannot send a file of {bytes} bytes; the limit is {MOST_FILE}.")));
        }
        let blobs = self.blobs.as_ref().ok_or_else(|| {
            bad("The attachment cannot be read: this worker has no CREEL_BLOB_DIR.".to_owned())
        })?;
        Ok(blobs.join("in").join(sha256))
    }

    async fn upload(
        &self,
        route: &Route,
        attachment: &Attachment,
        path: &Path,
        kind: &'static str,
        first: bool,
    ) -> Result<Result<Value, Failure>, RpcError> {
        let unreadable = |error: &dyn std::fmt::Display| {
            let sentence = format!("The attachment {} cannot be read: {error}.", attachment.sha256);
            RpcError::new(ErrorClass::BadRequest, sentence)
        };
        let name = attachment.name.clone().unwrap_or_else(|| "file".to_owned());
        let part = Part::file(path).await.map_err(|error| unreadable(&error))?.file_name(name);
        let part = part.mime_str(&attachment.mime).map_err(|error| unreadable(&error))?;
        let mut form = Form::new().part(kind, part);
        if let Value::Object(params) = self.message(route, first) {
            for (key, value) in params {
                form = form.text(key, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
        Ok(self.api.upload(method(kind), form, TIME).await)
    }
}

fn kind(attachment: &Attachment) -> &'static str {
    match attachment.mime.as_str() {
        "image/jpeg" | "image/png" | "image/webp" if attachment.bytes <= MOST_PHOTO => "photo",
        "image/gif" => "animation",
        "audio/ogg" | "audio/opus" => "voice",
        "audio/mpeg" | "audio/mp4" | "audio/x-m4a" => "audio",
        "video/mp4" => "video",
        _ => "document",
    }
}

fn method(kind: &str) -> &'static str {
    match kind {
        "photo" => "sendPhoto",
        "animation" => "sendAnimation",
        "voice" => "sendVoice",
        "audio" => "sendAudio",
        "video" => "sendVideo",
        _ => "sendDocument",
    }
}
