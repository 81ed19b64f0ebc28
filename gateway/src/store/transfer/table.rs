//! What the stores keep, as both mean it.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    /// A number in SQLite.
    Bool,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
}

/// A column, and how it is read on either side where that is not its name.
#[derive(Debug)]
pub(super) struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub in_file: &'static str,
    pub on_server: &'static str,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// Columns that are not taken along: they begin anew, or follow from others.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares them with the schemas"))]
    pub left: &'static [&'static str],
    pub in_file: &'static str,
    pub on_server: &'static str,
    /// How a row is written in a file, where that is more than its columns.
    pub into_file: Option<&'static str>,
    /// Which rows are more than any start of a gateway leaves.
    pub content: &'static str,
    /// In which order the server gives rows to a file, where that matters.
    pub order: &'static str,
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, in_file: name, on_server: name }
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

const fn int(name: &'static str) -> Column {
    column(name, Kind::Int)
}

const fn boolean(name: &'static str) -> Column {
    column(name, Kind::Bool)
}

const fn plain(name: &'static str, columns: &'static [Column]) -> Table {
    let (in_file, on_server) = (name, name);
    Table { name, columns, left: &[], in_file, on_server, into_file: None, content: "1 = 1", order: "" }
}

/// Every table, those first that others refer to.
pub(super) const TABLES: &[Table] = &[
    Table {
        left: &["host", "expires_ms"],
        content: "cursor IS NOT NULL OR inbound_ms IS NOT NULL OR outbound_ms IS NOT NULL",
        ..plain(
            "account",
            &[
                text("id"),
                int("epoch"),
                // Nobody has it any more.
                Column { name: "owner", kind: Kind::Text, in_file: "''", on_server: "''" },
                text("cursor"),
                int("inbound_ms"),
                int("outbound_ms"),
                int("hold_ms"),
                int("hold_for_ms"),
            ],
        )
    },
    plain(
        "session",
        &[
            text("key"),
            text("id"),
            text("agent"),
            text("kind"),
            text("account"),
            text("title"),
            text("model"),
            int("updated_ms"),
            int("turned_ms"),
            int("entries"),
            text("settings"),
        ],
    ),
    Table {
        left: &["owner", "host", "expires_ms"],
        ..plain("lane", &[text("key"), text("agent"), int("epoch"), int("pending"), text("turn")])
    },
    plain(
        "inbox",
        &[
            int("seq"),
            text("account"),
            text("ext_id"),
            text("lane"),
            text("run"),
            text("state"),
            text("turn"),
            boolean("resets"),
            text("place"),
            text("route"),
            text("input"),
            int("at_ms"),
        ],
    ),
    plain(
        "turn",
        &[
            text("id"),
            text("run"),
            text("lane"),
            int("epoch"),
            text("session_id"),
            text("account"),
            text("route"),
            int("history"),
            boolean("fresh"),
            int("attempts"),
            int("begun_ms"),
            int("ended_ms"),
            text("ending"),
        ],
    ),
    plain("step", &[text("turn"), int("step"), text("call"), text("entry")]),
    plain(
        "question",
        &[
            int("seq"),
            text("turn"),
            int("step"),
            text("lane"),
            int("round"),
            text("tool"),
            text("what"),
            int("asked_ms"),
            int("expires_ms"),
            text("answer"),
            int("given"),
        ],
    ),
    Table {
        left: &["number"],
        // A Creel before search wrote none for what it said, and a server may have been shared with one.
        on_server: "(SELECT id, key, agent FROM conversation UNION ALL
            SELECT said.session_id,
                coalesce((SELECT key FROM session WHERE id = said.session_id LIMIT 1),
                    (SELECT lane FROM turn WHERE session_id = said.session_id LIMIT 1), ''),
                coalesce((SELECT agent FROM session WHERE id = said.session_id LIMIT 1),
                    (SELECT lane.agent FROM turn JOIN lane ON lane.key = turn.lane
                     WHERE session_id = said.session_id LIMIT 1), '')
            FROM (SELECT DISTINCT session_id FROM transcript
                  WHERE NOT EXISTS (SELECT 1 FROM conversation WHERE id = session_id)) AS said) AS known",
        ..plain("conversation", &[text("id"), text("key"), text("agent")])
    },
    Table {
        left: &["n", "conversation", "words"],
        in_file: "transcript JOIN conversation ON conversation.number = transcript.conversation",
        into_file: Some(
            "INSERT INTO transcript (conversation, seq, entry, at_ms, run)
             VALUES ((SELECT number FROM conversation WHERE id = ?1), ?2, ?3, ?4, ?5)",
        ),
        // A file numbers entries as they were said, and finds the newest by that.
        order: " ORDER BY at_ms, session_id, seq",
        ..plain(
            "transcript",
            &[
                Column {
                    name: "session_id",
                    kind: Kind::Text,
                    in_file: "conversation.id",
                    on_server: "session_id",
                },
                int("seq"),
                text("entry"),
                int("at_ms"),
                text("run"),
            ],
        )
    },
    plain("imported_line", &[text("session_id"), int("seq"), text("line")]),
    plain(
        "outbox",
        &[
            int("seq"),
            text("key"),
            text("account"),
            text("chat"),
            text("route"),
            text("text"),
            text("attachments"),
            text("draft"),
            text("run"),
            text("agent"),
            text("state"),
            int("parts_sent"),
            int("attempts"),
            int("incarnation"),
            int("not_before_ms"),
            int("wait_ms"),
            text("error"),
            int("created_ms"),
        ],
    ),
    plain(
        "pairing_request",
        &[
            text("account"),
            text("sender"),
            text("name"),
            text("code"),
            text("route"),
            int("created_ms"),
            int("expires_ms"),
        ],
    ),
    plain("pairing_allow", &[text("account"), text("sender"), int("at_ms")]),
];

/// What each store has for itself alone: which schema it has, and how far its index is.
#[cfg(test)]
pub(super) const OWN: &[&str] = &["meta", "transcript_word", "sqlite_"];

impl Table {
    /// The columns' names, for a statement.
    pub(super) fn names(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    /// What reads them in a file.
    pub(super) fn in_file(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(|column| column.in_file).collect();
        format!("SELECT {} FROM {}", columns.join(", "), self.in_file)
    }

    /// What reads them on a server.
    pub(super) fn on_server(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(|column| column.on_server).collect();
        format!("SELECT {} FROM {}{}", columns.join(", "), self.on_server, self.order)
    }
}
