//! From the older versions to version 3.
//!
//! Version 1 has no tree: each record follows the one above it. A compaction names the first record that it keeps by its
//! place in the file, the header being 0. Version 2 calls the messages of extensions `hookMessage`.

use serde_json::{Map, Value, json};

/// Objects with their lines.
type Objects = [(usize, Map<String, Value>)];

pub(super) fn upgrade(version: u64, header_line: usize, objects: &mut Objects) {
    if version < 2 {
        grow_a_tree(header_line, objects);
    }
    if version < 3 {
        for (_, object) in objects.iter_mut() {
            rename_hooks(object);
        }
    }
}

fn grow_a_tree(header_line: usize, objects: &mut Objects) {
    // By lines and not by what could be read: a line that is left out counts for the places of the others.
    let ids: Vec<(usize, String)> =
        objects.iter().map(|(line, _)| (line - header_line, format!("{:08x}", line - header_line))).collect();
    let mut parent = Value::Null;
    for ((_, object), (_, id)) in objects.iter_mut().zip(&ids) {
        if let Some(place) = object.shift_remove("firstKeptEntryIndex").and_then(|place| place.as_u64()) {
            let kept = ids.iter().find(|(index, _)| *index as u64 >= place).map(|(_, id)| id.as_str());
            if let Some(kept) = kept {
                object.insert("firstKeptEntryId".to_owned(), json!(kept));
            }
        }
        object.insert("id".to_owned(), json!(id));
        object.insert("parentId".to_owned(), parent);
        parent = json!(id);
    }
}

fn rename_hooks(object: &mut Map<String, Value>) {
    let role = object.get_mut("message").and_then(|message| message.get_mut("role"));
    if let Some(role) = role.filter(|role| *role == "hookMessage") {
        *role = json!("custom");
    }
}
