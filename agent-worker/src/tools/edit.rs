//! The tool `edit`.

use std::io::Read;

use serde_json::Value;

use super::workspace::{MAX_FILE, Workspace, WorkspaceError};
use super::{Outcome, arguments::Arguments};

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit<'a> {
    old: &'a str,
    new: &'a str,
}

/// Replaces exact text in a file. With `check`, a file that already has every new text and no old one is left as it is:
/// an earlier life may have done it.
pub fn run(workspace: &Workspace, arguments: &Value, check: bool) -> Outcome {
    match edit(workspace, arguments, check) {
        Ok(text) => Outcome::ok(text),
        Err(sentence) => Outcome::error(sentence),
    }
}

fn edit(workspace: &Workspace, arguments: &Value, check: bool) -> Result<String, String> {
    let arguments = Arguments::of("edit", arguments, &["path", "edits"])?;
    let path = arguments.text("path")?;
    let edits = arguments.list("edits")?;
    let edits: Vec<Edit<'_>> = edits
        .iter()
        .map(|item| {
            let item = Arguments::of("edit", item, &["oldText", "newText"])?;
            let edit = Edit { old: item.text("oldText")?, new: item.text("newText")? };
            if edit.old.is_empty() {
                return Err(
                    "The `oldText` of an edit must not be empty; use `write` for a new file.".to_owned()
                );
            }
            Ok(edit)
        })
        .collect::<Result<_, _>>()?;
    let original = text(workspace, path)?;
    let crlf = original.contains("\r\n");
    let plain = if crlf { original.replace("\r\n", "\n") } else { original };
    if check && edits.iter().all(|edit| is_done(&plain, edit)) {
        return Ok(format!("{path} already has the new text; nothing was changed."));
    }
    let changed = apply(path, &plain, &edits)?;
    if changed == plain {
        return Err(format!("The edits change nothing in {path}: each `newText` equals its `oldText`."));
    }
    let changed = if crlf { changed.replace('\n', "\r\n") } else { changed };
    workspace.write(path, changed.as_bytes()).map_err(|error| error.to_string())?;
    let n = edits.len();
    Ok(format!("Made {n} replacement{} in {path}.", if n == 1 { "" } else { "s" }))
}

fn text(workspace: &Workspace, path: &str) -> Result<String, String> {
    let (file, bytes) = workspace.read(path).map_err(|error| error.to_string())?;
    let too_big =
        |bytes| WorkspaceError::TooBig { path: path.to_owned(), bytes, limit: MAX_FILE }.to_string();
    if bytes > MAX_FILE {
        return Err(too_big(bytes));
    }
    let mut content = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut content);
    read.map_err(|source| WorkspaceError::Io { path: path.to_owned(), what: "read", source }.to_string())?;
    if content.len() as u64 > MAX_FILE {
        return Err(too_big(content.len() as u64));
    }
    String::from_utf8(content).map_err(|_| format!("`{path}` is not UTF-8 text; `edit` works only on text."))
}

/// The new text is there and the old one is not, leaving aside where the new one holds the old one.
fn is_done(text: &str, edit: &Edit<'_>) -> bool {
    let (old, new) = (edit.old.replace("\r\n", "\n"), edit.new.replace("\r\n", "\n"));
    (new.is_empty() || text.contains(&new)) && !text.replace(&new, "").contains(&old)
}

fn apply(path: &str, text: &str, edits: &[Edit<'_>]) -> Result<String, String> {
    let mut spans = Vec::new();
    for (n, edit) in edits.iter().enumerate() {
        let old = edit.old.replace("\r\n", "\n");
        let mut found = text.match_indices(&old);
        let n = n + 1;
        let Some((at, _)) = found.next() else {
            return Err(format!(
                "Edit {n}: its `oldText` does not occur in {path}. Read the file again and copy the text exactly, with its spaces and line ends."
            ));
        };
        let others = found.count();
        if others > 0 {
            return Err(format!(
                "Edit {n}: its `oldText` occurs {} times in {path}; add lines around it until it is unique.",
                others + 1
            ));
        }
        spans.push((at, at + old.len(), edit.new.replace("\r\n", "\n"), n));
    }
    spans.sort_by_key(|span| span.0);
    if let Some(pair) = spans.windows(2).find(|pair| pair[0].1 > pair[1].0) {
        return Err(format!(
            "Edits {} and {} overlap in {path}; make them one edit.",
            pair[0].3.min(pair[1].3),
            pair[0].3.max(pair[1].3)
        ));
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (start, end, new, _) in &spans {
        out.push_str(&text[from..*start]);
        out.push_str(new);
        from = *end;
    }
    out.push_str(&text[from..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edited(content: &str, edits: &[(&str, &str)], check: bool) -> (Outcome, String) {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("f");
        std::fs::write(&file, content).unwrap();
        let workspace = Workspace::open(home.path().to_str().unwrap()).unwrap();
        let list: Vec<Value> = edits.iter().map(|(o, n)| json!({"oldText": o, "newText": n})).collect();
        let outcome = run(&workspace, &json!({"path": "f", "edits": list}), check);
        (outcome, std::fs::read_to_string(&file).unwrap())
    }

    #[test]
    fn several_edits_match_the_original_text() {
        let (outcome, text) = edited("a b c", &[("a", "b2"), ("b", "c2"), ("c", "")], false);
        assert_eq!((outcome.is_error, text.as_str()), (false, "b2 c2 "));
    }

    #[test]
    fn windows_line_ends_stay() {
        let (_, text) = edited("one\r\ntwo\r\n", &[("one\ntwo", "1\n2")], false);
        assert_eq!(text, "1\r\n2\r\n");
    }

    #[test]
    fn mistakes_change_nothing() {
        for edits in
            [&[("x", "y")][..], &[("a", "b")], &[("a b", "1"), ("b c", "2")], &[("c", "c")], &[("", "x")]]
        {
            let (outcome, text) = edited("a a b c", edits, false);
            assert!(outcome.is_error, "{edits:?}");
            assert_eq!(text, "a a b c");
        }
    }

    #[test]
    fn after_a_crash_a_finished_edit_is_recognised_and_an_unfinished_one_done() {
        let edits = [("old line", "new line")];
        assert!(edited("new line", &edits, true).0.text.contains("already"));
        assert_eq!(edited("old line", &edits, true).1, "new line");
        // The new text holds the old one.
        let grow = [("fn a()", "pub fn a()")];
        assert!(edited("pub fn a() {}", &grow, true).0.text.contains("already"));
        assert_eq!(edited("fn a() {}", &grow, true).1, "pub fn a() {}");
    }
}
