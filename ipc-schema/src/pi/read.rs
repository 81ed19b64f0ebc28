//! From bytes to a transcript, with a sentence for each line that is not as it should be.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Header, Record, Transcript, VERSION, upgrade};

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The file, as version 3.
    pub transcript: Transcript,
    /// The version that it has.
    pub version: u64,
    /// Lines that were not as they should be, in order.
    pub faults: Vec<Fault>,
}

/// A line that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// What is wrong with it, without a full stop.
    pub what: String,
    /// What was made of it.
    pub remedy: Remedy,
}

/// What was made of a line that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// It is not there.
    LeftOut,
    /// The part of it that can be read is there.
    Mended,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let made = match self.remedy {
            Remedy::LeftOut => "it was left out",
            Remedy::Mended => "it was mended",
        };
        write!(f, "line {}: {}; {made}.", self.line, self.what)
    }
}

/// Why a file is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRead {
    /// There is nothing in it.
    #[error("The file is empty; a session file begins with a line of the type `session`.")]
    Empty,
    /// Its first line is no header.
    #[error(
        "Line {line} is no header of a session: {what}. A session file begins with a line such as {{\"type\":\"session\",\"id\":…}}."
    )]
    NoHeader {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// It was written by something newer.
    #[error(
        "Line {line} says that the file has version {version}; versions up to {VERSION} can be read. Use a newer Creel."
    )]
    Newer {
        /// From 1.
        line: usize,
        /// What it says.
        version: u64,
    },
}

/// Reads a session file. Lines end with a line feed, nothing else ends one.
///
/// # Errors
/// When it is no session, or one of a newer version.
pub fn read(bytes: &[u8]) -> Result<Read, NotRead> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let torn = !bytes.ends_with(b"\n");
    let lines: Vec<(usize, &[u8])> = bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_ascii()))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let ((first, header), rest) =
        lines.split_first().map_or(Err(NotRead::Empty), |(h, rest)| Ok((*h, rest)))?;
    let (header, version) = header_of(first, header)?;
    let last = rest.last().map_or(0, |(line, _)| *line);
    let mut faults = Vec::new();
    let mut objects = Vec::new();
    for (line, bytes) in rest {
        match object(bytes) {
            Ok(object) => objects.push((*line, object)),
            Err(what) => {
                let cut =
                    if torn && *line == last { "it was cut off while it was written" } else { what.as_str() };
                let mended = mended(bytes);
                let remedy = if mended.is_some() { Remedy::Mended } else { Remedy::LeftOut };
                faults.push(Fault { line: *line, what: cut.to_owned(), remedy });
                objects.extend(mended.map(|object| (*line, object)));
            }
        }
    }
    upgrade::upgrade(version, first, &mut objects);
    let records = records(objects, &mut faults);
    faults.sort_by_key(|fault| fault.line);
    Ok(Read { transcript: Transcript { header, records }, version, faults })
}

fn header_of(line: usize, bytes: &[u8]) -> Result<(Header, u64), NotRead> {
    let none = |what: String| NotRead::NoHeader { line, what };
    let mut header = object(bytes).map_err(none)?;
    let kind = header.shift_remove("type");
    if kind.as_ref().and_then(Value::as_str) != Some("session") {
        return Err(none("its type is not `session`".to_owned()));
    }
    let version = header.shift_remove("version").map_or(Some(1), |version| version.as_u64());
    let version = version.ok_or_else(|| none("its version is no number".to_owned()))?;
    if version > VERSION {
        return Err(NotRead::Newer { line, version });
    }
    let header: Header =
        serde_json::from_value(Value::Object(header)).map_err(|error| none(error.to_string()))?;
    if header.id.is_empty() {
        return Err(none("its id is empty".to_owned()));
    }
    Ok((header, version))
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is no JSON object".to_owned()),
        // It is the only line that was looked at, whatever its number.
        Err(error) => Err(format!("it is no JSON: {error}").replace(" at line 1 column", " at column")),
    }
}

/// The record behind a torn one: whoever went on after a crash wrote it into the same line. The blocks of a message
/// begin like records, but have no time.
fn mended(bytes: &[u8]) -> Option<Map<String, Value>> {
    const BEGIN: &[u8] = b"{\"type\":\"";
    let starts = bytes.windows(BEGIN.len()).enumerate().skip(1).filter(|(_, window)| *window == BEGIN);
    starts.filter_map(|(at, _)| object(&bytes[at..]).ok()).find(|object| object.contains_key("timestamp"))
}

/// Records whose ids are their own and whose parents came before them.
fn records(objects: Vec<(usize, Map<String, Value>)>, faults: &mut Vec<Fault>) -> Vec<Record> {
    let mut known = HashSet::new();
    let mut records: Vec<Record> = Vec::new();
    for (line, object) in objects {
        let mut fault = |what: String, remedy| faults.push(Fault { line, what, remedy });
        let mut record: Record = match serde_json::from_value(Value::Object(object)) {
            Ok(record) => record,
            Err(error) => {
                fault(format!("it is no record: {error}"), Remedy::LeftOut);
                continue;
            }
        };
        if !known.insert(record.id.clone()) {
            fault(format!("the id {:?} is there already", record.id), Remedy::LeftOut);
            continue;
        }
        let stranger = record.parent.clone().filter(|parent| *parent == record.id || !known.contains(parent));
        if let Some(parent) = stranger {
            fault(format!("its parent {parent:?} is not above it"), Remedy::Mended);
            record.parent = records.last().map(|record| record.id.clone());
        }
        records.push(record);
    }
    records
}
