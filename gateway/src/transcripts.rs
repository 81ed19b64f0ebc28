//! Sessions from files and into files, in Pi's format: what becomes of ids, times and keys.

use std::collections::HashSet;

use creel_ipc::msg::transcript::Entry;
use creel_ipc::pi::{self, Fault, Header, NotRead, Record};
use jiff::Timestamp;

use crate::inbound::kind_of;
use crate::store::{NewSession, SessionFile};

/// Longest id of a session.
const MAX_ID: usize = 128;

/// Why a file is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoImport {
    /// It is no session file.
    #[error("{0}")]
    Unread(#[from] NotRead),
    /// Its id cannot be one of ours.
    #[error(
        "The session's id {0:?} cannot be used; an id has 1 to {MAX_ID} letters, digits, dots, dashes and underscores."
    )]
    Id(String),
}

/// Where an imported session goes.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// Its agent.
    pub agent: String,
    /// The key that it should get.
    pub key: Option<String>,
    /// The account that it is written to on.
    pub account: String,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// Reads a session file, and names the lines that were not as they should be.
///
/// # Errors
/// Why there is no session in it.
pub(crate) fn session_of(text: &str, to: Destination) -> Result<(NewSession, Vec<Fault>), NoImport> {
    let read = pi::read(text.as_bytes())?;
    let transcript = read.transcript;
    let id = &transcript.header.id;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if id.len() > MAX_ID || !id.chars().all(fits) {
        return Err(NoImport::Id(id.chars().take(MAX_ID).collect()));
    }
    let begun = ms_of(&transcript.header.timestamp).unwrap_or(to.now_ms);
    let mut last = begun;
    let mut entries = Vec::new();
    for said in transcript.context() {
        let at = match own_time(&said.entry) {
            0 => ms_of(said.timestamp).unwrap_or(last),
            own => own,
        };
        last = at;
        entries.push((at, timed(said.entry, at)));
    }
    let name = transcript.records.iter().rev().find(|record| record.kind == "session_info");
    let name = name.and_then(|record| record.rest.get("name")?.as_str().map(str::to_owned));
    let spare_key = format!("agent:{}:import:{id}", to.agent).to_lowercase();
    let key = to.key.unwrap_or_else(|| spare_key.clone());
    let new = NewSession {
        id: id.clone(),
        kind: kind_of(&key).to_owned(),
        key,
        spare_key,
        agent: to.agent,
        title: name,
        account: to.account,
        entries,
        lines: transcript.write().lines().map(str::to_owned).collect(),
        updated_ms: last,
        now_ms: to.now_ms,
    };
    Ok((new, read.faults))
}

/// The file of a session: the one that it came with, and what was said since. The same session gives the same bytes,
/// and a longer one gives more behind them.
pub(crate) fn file_of(file: &SessionFile, folder: &str) -> String {
    let mut lines = file.lines.clone();
    if lines.is_empty() {
        let begun = file.entries.first().map_or(file.session.updated_ms, |entry| entry.at_ms);
        let header = Header::new(file.session.id.clone(), iso(begun), folder.to_owned());
        lines.push(header.line());
    }
    let ids = lines.iter().skip(1).filter_map(|line| serde_json::from_str::<Record>(line).ok());
    let ids: Vec<String> = ids.map(|record| record.id).collect();
    let mut parent = ids.last().cloned();
    let taken: HashSet<String> = ids.into_iter().collect();
    let mut number = 0_u32;
    for entry in &file.entries {
        let id = loop {
            number = number.wrapping_add(1);
            let id = format!("{number:08x}");
            if !taken.contains(&id) {
                break id;
            }
        };
        let message = pi::message_of(&entry.entry);
        let record = Record::message(id.clone(), parent.replace(id), iso(entry.at_ms), message);
        lines.push(record.line());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn own_time(entry: &Entry) -> i64 {
    match entry {
        Entry::User { timestamp, .. }
        | Entry::Assistant { timestamp, .. }
        | Entry::ToolResult { timestamp, .. } => *timestamp,
    }
}

fn timed(mut entry: Entry, at: i64) -> Entry {
    match &mut entry {
        Entry::User { timestamp, .. }
        | Entry::Assistant { timestamp, .. }
        | Entry::ToolResult { timestamp, .. } => *timestamp = at,
    }
    entry
}

fn ms_of(iso: &str) -> Option<i64> {
    iso.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn iso(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::transcript::Block;

    use super::*;
    use crate::store::{SessionRecord, SessionSettings, TranscriptRecord};

    const FILE: &str = concat!(
        r#"{"type":"session","version":3,"id":"s-1","timestamp":"2026-11-21T08:00:00.000Z","cwd":"/"}"#,
        "\n",
        r#"{"type":"message","id":"00000002","parentId":null,"timestamp":"2026-11-21T08:00:01.000Z","message":{"role":"user","content":"hi"}}"#,
        "\n",
        r#"{"type":"session_info","id":"x","parentId":"00000002","timestamp":"2026-11-21T08:00:02.000Z","name":"Old friends"}"#,
        "\n",
    );

    fn to() -> Destination {
        Destination { agent: "main".into(), key: None, account: "webchat:default".into(), now_ms: 7 }
    }

    fn said(text: &str, at_ms: i64) -> TranscriptRecord {
        let entry = Entry::User { content: vec![Block::text(text)], timestamp: at_ms };
        TranscriptRecord { seq: 9, entry, at_ms, run: "r".into() }
    }

    fn file(lines: Vec<String>, entries: Vec<TranscriptRecord>) -> SessionFile {
        let session = SessionRecord {
            key: "agent:main:main".into(),
            id: "own".into(),
            agent: "main".into(),
            kind: "direct".into(),
            account: "webchat:default".into(),
            title: None,
            model: None,
            settings: SessionSettings::default(),
            updated_ms: 0,
            entries: 0,
            pending: 0,
            running: false,
        };
        SessionFile { session, lines, entries }
    }

    #[test]
    fn a_file_becomes_a_session_and_the_same_file_again() {
        let (new, faults) = session_of(FILE, to()).unwrap();
        assert_eq!(faults, []);
        assert_eq!((new.id.as_str(), new.key.as_str()), ("s-1", "agent:main:import:s-1"));
        assert_eq!(new.title.as_deref(), Some("Old friends"));
        let at = 1_795_248_001_000;
        assert_eq!(new.entries, [(at, Entry::User { content: vec![Block::text("hi")], timestamp: at })]);
        assert_eq!(file_of(&file(new.lines, Vec::new()), "/"), FILE);
    }

    #[test]
    fn what_was_said_since_follows_with_ids_of_its_own() {
        let (new, _) = session_of(FILE, to()).unwrap();
        let since = vec![said("more", 1_795_248_009_000), said("and more", 1_795_248_010_000)];
        let text = file_of(&file(new.lines, since), "/");
        assert!(text.starts_with(FILE), "{text}");
        let read = pi::read(text.as_bytes()).unwrap();
        assert_eq!(read.faults, []);
        let ids: Vec<_> =
            read.transcript.records.iter().map(|r| (r.id.as_str(), r.parent.as_deref())).collect();
        let added = [("00000001", Some("x")), ("00000003", Some("00000001"))];
        assert_eq!(&ids[2..], added);
    }

    #[test]
    fn a_session_of_our_own_comes_back_as_it_was() {
        let since = vec![said("one", 1_795_248_009_000), said("two", 1_795_248_010_000)];
        let text = file_of(&file(Vec::new(), since.clone()), "/workspace");
        let (new, faults) = session_of(&text, to()).unwrap();
        assert_eq!((faults, new.id.as_str(), new.updated_ms), (Vec::new(), "own", 1_795_248_010_000));
        let entries: Vec<_> = since.into_iter().map(|record| (record.at_ms, record.entry)).collect();
        assert_eq!(new.entries, entries);
        assert!(
            text.contains(r#""cwd":"/workspace""#) && text.contains("2026-11-21T08:00:09.000Z"),
            "{text}"
        );
    }

    #[test]
    fn an_id_that_could_be_anything_else_is_refused() {
        let refused = session_of(&FILE.replace("s-1", "../x"), to()).unwrap_err();
        insta::assert_snapshot!(refused, @r#"The session's id "../x" cannot be used; an id has 1 to 128 letters, digits, dots, dashes and underscores."#);
    }
}
