//! `$include`: one configuration out of several files.

use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::files::Files;
use crate::node::{Key, MAX_DEPTH, Node, NodeKind};
use crate::sources::Sources;
use crate::{json5, toml_text};

/// How deep files may include one another.
pub(crate) const MAX_NESTED: usize = 10;
/// How many files one configuration may be made of, each counted as often as it is included.
pub(crate) const MAX_FILES: usize = 256;
const INCLUDE: &str = "$include";

/// Reads a file and everything it includes into one tree.
///
/// A table `{$include: "a.json5"}` is replaced by that file; a list of files is merged in order, later ones
/// winning, lists joined; other keys beside `$include` are merged last.
///
/// # Errors
/// Everything that is wrong in any of the files, including the chain of an include cycle.
pub(crate) fn read(
    text: String,
    path: &Path,
    files: &dyn Files,
    sources: &mut Sources,
) -> Result<Node, Vec<Fault>> {
    let mut reader = Reader { files, sources, chain: Vec::new(), depth: 0, faults: Vec::new() };
    let node = reader.file(text, path);
    match node {
        Some(node) if reader.faults.is_empty() => Ok(node),
        _ => Err(reader.faults),
    }
}

struct Reader<'a> {
    files: &'a dyn Files,
    sources: &'a mut Sources,
    chain: Vec<PathBuf>,
    /// Levels of tables and lists above the value in hand, over all files.
    depth: usize,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn file(&mut self, text: String, path: &Path) -> Option<Node> {
        let toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        let file = self.sources.add(path, text);
        let text = &self.sources.get(file)?.text;
        match if toml { toml_text::read(text, file) } else { json5::read(text, file) } {
            Ok(node) => {
                self.chain.push(path.to_owned());
                let node = self.resolve(node);
                self.chain.pop();
                node
            }
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }

    fn resolve(&mut self, node: Node) -> Option<Node> {
        if self.depth > MAX_DEPTH {
            self.faults.push(Fault::too_deep(node.mark));
            return None;
        }
        self.depth += 1;
        let resolved = self.resolve_at(node);
        self.depth -= 1;
        resolved
    }

    fn resolve_at(&mut self, node: Node) -> Option<Node> {
        let Node { mark, kind } = node;
        let kind = match kind {
            NodeKind::List(items) => {
                NodeKind::List(items.into_iter().filter_map(|n| self.resolve(n)).collect())
            }
            NodeKind::Table(entries) => {
                let (include, rest): (Vec<_>, Vec<_>) =
                    entries.into_iter().partition(|(k, _)| k.text == INCLUDE);
                let rest: Vec<(Key, Node)> =
                    rest.into_iter().filter_map(|(key, value)| Some((key, self.resolve(value)?))).collect();
                let Some((_, include)) = include.into_iter().next() else {
                    return Some(Node { mark, kind: NodeKind::Table(rest) });
                };
                let base = self.included(&include)?;
                if rest.is_empty() {
                    return Some(base);
                }
                if base.as_table().is_none() {
                    self.fault(
                        &include,
                        "the included file is no table, so no keys can stand beside it".into(),
                        "remove the other keys, or make the file a table".into(),
                    );
                    return None;
                }
                return Some(merge(base, Node { mark, kind: NodeKind::Table(rest) }));
            }
            kind => kind,
        };
        Some(Node { mark, kind })
    }

    fn included(&mut self, include: &Node) -> Option<Node> {
        match &include.kind {
            NodeKind::Text(name) => self.one(include, name),
            NodeKind::List(names)
                if !names.is_empty() && names.iter().all(|name| name.as_text().is_some()) =>
            {
                let parts: Vec<Option<Node>> =
                    names.iter().map(|name| self.one(name, name.as_text().unwrap_or_default())).collect();
                parts.into_iter().collect::<Option<Vec<_>>>()?.into_iter().reduce(merge)
            }
            _ => {
                self.fault(
                    include,
                    format!("$include takes a file name or a list of them, not {}", include.describe()),
                    "write $include: \"./other.json5\"".into(),
                );
                None
            }
        }
    }

    fn one(&mut self, at: &Node, name: &str) -> Option<Node> {
        let folder = self.chain.last().and_then(|path| path.parent()).unwrap_or(Path::new(""));
        let path = tidy(&folder.join(name));
        if let Some(first) = self.chain.iter().position(|above| *above == path) {
            let chain: Vec<_> =
                self.chain[first..].iter().chain([&path]).map(|p| p.display().to_string()).collect();
            self.fault(
                at,
                format!("the files include one another in a circle: {}", chain.join(" → ")),
                "remove one of these $include lines".into(),
            );
            return None;
        }
        if self.chain.len() > MAX_NESTED {
            self.fault(
                at,
                format!("$include is nested more than {MAX_NESTED} levels deep"),
                "include the file from a file nearer to the main one".into(),
            );
            return None;
        }
        if self.sources.paths().count() >= MAX_FILES {
            self.fault(
                at,
                format!("the configuration is made of more than {MAX_FILES} files"),
                "include each file once".into(),
            );
            return None;
        }
        match self.files.read(&path) {
            Ok(text) => self.file(text, &path),
            Err(error) => {
                self.fault(
                    at,
                    format!("the file {} cannot be read: {error}", path.display()),
                    "correct the name, which counts from the folder of this file".into(),
                );
                None
            }
        }
    }

    fn fault(&mut self, at: &Node, what: String, fix: String) {
        self.faults.push(Fault { mark: at.mark, path: None, what, fix });
    }
}

/// `over` wins; tables are merged key by key, lists are joined.
fn merge(base: Node, over: Node) -> Node {
    match (base.kind, over.kind) {
        (NodeKind::Table(mut entries), NodeKind::Table(added)) => {
            for (key, value) in added {
                match entries.iter().position(|(k, _)| k.text == key.text) {
                    Some(index) => {
                        let (_, old) = entries.remove(index);
                        entries.insert(index, (key, merge(old, value)));
                    }
                    None => entries.push((key, value)),
                }
            }
            Node { mark: over.mark, kind: NodeKind::Table(entries) }
        }
        (NodeKind::List(mut items), NodeKind::List(added)) => {
            items.extend(added);
            Node { mark: over.mark, kind: NodeKind::List(items) }
        }
        (_, kind) => Node { mark: over.mark, kind },
    }
}

/// Removes `.` and `..` by their names, so that a cycle is seen whatever way its paths are written.
fn tidy(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    tidy
}
