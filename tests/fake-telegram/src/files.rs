//! Files that people sent: `getFile` and the download.

use serde_json::{Value, json};

use crate::server::{Answer, Refusal};
use crate::world::{State, Stored, World};

/// Bytes of the largest file that a bot can fetch.
const MAX_DOWNLOAD: u64 = 20 * 1024 * 1024;

pub(crate) fn get(state: &State, file_id: &str) -> Answer {
    let Some(file) = state.files.get(file_id) else {
        return Err(Refusal::new(400, "Bad Request: invalid file_id"));
    };
    if file.size > MAX_DOWNLOAD {
        return Err(Refusal::new(400, "Bad Request: file is too big"));
    }
    Ok(json!({
        "file_id": file_id, "file_unique_id": format!("u{file_id}"), "file_size": file.size, "file_path": file.path
    }))
}

pub(crate) fn download(world: &World, token: &str, path: &str) -> Option<Vec<u8>> {
    world.peek(|state| {
        state.bot(token)?;
        state.files.values().find(|file| file.path == path).map(|file| file.content.clone())
    })
}

/// Keeps a file and returns the member of a message that shows it.
pub(crate) fn keep(
    state: &mut State,
    kind: &str,
    name: Option<&str>,
    mime: Option<&str>,
    content: Vec<u8>,
    size: Option<u64>,
) -> Value {
    let number = state.files.len() + 1;
    let id = format!("file-{number}");
    let size = size.unwrap_or(content.len() as u64);
    let path = format!("{kind}s/file_{number}");
    state.files.insert(id.clone(), Stored { path, content, size });
    let mut file = json!({"file_id": id, "file_unique_id": format!("u{id}"), "file_size": size});
    if let Some(name) = name {
        file["file_name"] = name.into();
    }
    if let Some(mime) = mime {
        file["mime_type"] = mime.into();
    }
    match kind {
        "photo" => {
            file["width"] = 800.into();
            file["height"] = 600.into();
            let small = json!({"file_id": "small", "file_unique_id": "small", "file_size": 10, "width": 90, "height": 67});
            json!([small, file])
        }
        "sticker" => {
            file["emoji"] = "👍".into();
            file["is_animated"] = false.into();
            file["is_video"] = false.into();
            file
        }
        _ => file,
    }
}
