use creel_ipc::msg::agent::InputMessage;
use creel_ipc::msg::channel::{ChatKind, Route};
use rusqlite::Connection;

use super::*;
use crate::store::postgres::{self, Postgres};
use crate::store::{
    Accepted, Claimant, Fate, LaneClaim, NewMessage, NewOutbound, Placed, Rules, SearchQuery, Sqlite, Store,
    Wanted,
};

const LANE: &str = "agent:main:telegram:direct:7";
/// What a store must not choke on: no spaces, beyond the first plane, every control character, what looks like COPY's own
/// words, and bytes that were read as text.
const AWKWARD: &str =
    "東京都の天気 𠮷野家 🦀\u{301} \\N \\. \t\r\n'\"$1;-- \u{1}\u{7f}\u{fffd} ÿþ AAECAwQFBgcICQ==";

struct Silent;

impl Progress for Silent {
    fn tell(&mut self, _doing: &str, _table: &str, _done: u64, _of: u64) {}
}

fn route() -> Route {
    Route { chat_id: "7".into(), kind: ChatKind::Direct, thread: None, reply_to: None, addressee: None }
}

fn message(ext_id: &str, text: &str) -> NewMessage {
    let input = InputMessage {
        text: text.into(),
        sender: None,
        author: None,
        context_only: false,
        quoted: None,
        attachments: Vec::new(),
        at_ms: 5,
    };
    let placed = Placed {
        lane: LANE.into(),
        agent: "main".into(),
        kind: "direct".into(),
        title: Some(AWKWARD.into()),
        session_id: "s1".into(),
        run: None,
        resets: false,
        route: Some(route()),
        input,
    };
    NewMessage { ext_id: ext_id.into(), cursor: Some(ext_id.into()), now_ms: 100, fate: Fate::Turn(placed) }
}

fn alone(life: &str) -> Claimant {
    Claimant::alone(life)
}

fn accept(store: &mut dyn Store, life: &str, ext_id: &str, text: &str) -> Accepted {
    let own = store.claim_account(&alone(life), "telegram:default").unwrap().unwrap();
    store.accept(&own, &message(ext_id, text)).unwrap()
}

/// A store with a row in every table, each text of it awkward where it may be, and a turn under way.
fn fill(path: &Path) {
    let mut store = Sqlite::open(path, Rules::KEPT).unwrap();
    accept(&mut store, "before", "one", AWKWARD);
    let claim = LaneClaim {
        who: alone("before"),
        lane: LANE.into(),
        turn: "t1".into(),
        merge: false,
        fresh_id: "fresh".into(),
        stale_before_ms: i64::MIN,
        by_channel: Vec::new(),
        now_ms: 200,
    };
    store.claim_lane(&claim).unwrap().unwrap();
    accept(&mut store, "before", "with a\0NUL", "waits");
    let outbound = NewOutbound {
        key: "out".into(),
        account: "telegram:default".into(),
        route: route(),
        text: AWKWARD.into(),
        attachments: Vec::new(),
        draft: None,
        run: None,
        agent: None,
        now_ms: 100,
    };
    store.enqueue(&outbound).unwrap();
    drop(store);
    let conn = Connection::open(path).unwrap();
    let entry = |text: &str| {
        serde_json::json!({"role": "user", "content": [{"type": "text", "text": text}], "timestamp": 1})
            .to_string()
    };
    conn.execute_batch("INSERT INTO conversation VALUES (7, 'old', 'agent:main:main', 'main')").unwrap();
    let mut say = conn
        .prepare("INSERT INTO transcript (conversation, seq, entry, at_ms, run) VALUES (7, ?1, ?2, ?3, 'r')")
        .unwrap();
    for seq in 1..=300_i64 {
        say.execute(rusqlite::params![seq, entry(&format!("{AWKWARD} m{seq} \u{0}")), seq * 10]).unwrap();
    }
    let awkward = [AWKWARD];
    for sql in [
        "INSERT INTO step VALUES ('t1', 0, '{}', ?1)",
        "INSERT INTO question VALUES (3, 't1', 0, 'agent:main:main', 1, 'exec', ?1, 5, 9, 'again', 2)",
        "INSERT INTO imported_line VALUES ('old', 1, ?1)",
        "INSERT INTO pairing_request VALUES ('telegram:default', ?1, ?1, 'ABCD2345', '{}', 1, 9223372036854775807)",
        "INSERT INTO pairing_allow VALUES ('telegram:default', ?1, -1)",
    ] {
        conn.execute(sql, awkward).unwrap();
    }
    // Numbers that were given out and forgotten are not given out again.
    conn.execute("UPDATE sqlite_sequence SET seq = 4711 WHERE name = 'inbox'", []).unwrap();
    conn.execute("UPDATE session SET settings = '{}', model = ?1", awkward).unwrap();
}

fn place(config: tokio_postgres::Config) -> Place {
    Place::Server(Box::new(Reach::new(config, None).unwrap()), Promise::NoLoss)
}

fn moved(from: &Place, to: &Place) -> Transferred {
    transfer(from, to, &mut Silent).unwrap()
}

/// Everything in a file, as text.
fn dump(path: &Path) -> Vec<String> {
    let conn = Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for table in TABLES {
        let mut statement = conn.prepare(&table.in_file()).unwrap();
        let width = statement.column_count();
        let read = statement.query_map([], |row| {
            let cells = (0..width).map(|index| row.get::<_, rusqlite::types::Value>(index));
            Ok(format!("{}: {:?}", table.name, cells.collect::<Result<Vec<_>, _>>()?))
        });
        rows.extend(read.unwrap().map(Result::unwrap));
    }
    rows.sort();
    rows
}

fn find(store: &mut dyn Store, typed: &str) -> Vec<u64> {
    while store.index_older().unwrap() {}
    let wanted = Wanted::read(typed).unwrap();
    let page = store.search(&SearchQuery { wanted, agent: None, keys: Vec::new(), limit: 2 }).unwrap();
    assert!(!page.indexing);
    page.hits.into_iter().map(|hit| hit.seq).collect()
}

#[test]
fn everything_goes_there_and_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let mut server = postgres::Server::start();
    let (first, second) = (home.path().join("first.db"), home.path().join("second.db"));
    fill(&first);
    let database = server.database();
    let (file, there, back) =
        (Place::File(first.clone()), place(database.clone()), Place::File(second.clone()));

    let went = moved(&file, &there);
    assert!(!went.already);
    assert_eq!(went.replaced, 2, "PostgreSQL has no NUL, and a message's id became its account's cursor");
    assert!(went.tables.iter().all(|table| table.rows > 0), "a table was not tried: {:?}", went.tables);
    let again = moved(&file, &there);
    assert!(again.already, "what is there already is said to be");
    assert_eq!((&again.tables, again.replaced), (&went.tables, 2));

    let came = moved(&there, &back);
    assert_eq!(came.tables, went.tables);
    let mut without_nul: Vec<_> =
        dump(&first).iter().map(|row| row.replace("\\0NUL", "\u{fffd}NUL")).collect();
    without_nul.sort();
    assert_eq!(dump(&second), without_nul);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2, "nothing else stays");
    let Place::Server(reach, promise) = &there else { panic!("{there}") };
    assert_eq!(Server::read(reach, *promise).unwrap().last_number("inbox").unwrap(), 4711);
    assert_eq!(File::read(&second).unwrap().last_number("inbox").unwrap(), 4711);

    // Each of the two goes on where the other one was.
    for (name, store) in [
        (
            "server",
            &mut Postgres::open(Reach::new(database, None).unwrap(), Promise::NoLoss, Rules::KEPT).unwrap()
                as &mut dyn Store,
        ),
        ("file", &mut Sqlite::open(&second, Rules::KEPT).unwrap()),
    ] {
        assert_eq!(accept(store, "after", "next", "hello"), Accepted::Fresh, "{name}");
        assert!(matches!(accept(store, "after", "one", AWKWARD), Accepted::Duplicate { .. }), "{name}");
        let history = store.history(LANE, 10).unwrap();
        assert!(history.is_empty(), "{name}");
        assert_eq!(find(store, "京都の天"), [300, 299], "{name}: the newest first");
        let claim = LaneClaim {
            who: alone("after"),
            lane: LANE.into(),
            turn: "t2".into(),
            merge: false,
            fresh_id: "fresh".into(),
            stale_before_ms: i64::MIN,
            by_channel: Vec::new(),
            now_ms: 300,
        };
        let claimed = store.claim_lane(&claim).unwrap().unwrap();
        assert_eq!((claimed.turn.turn.as_str(), claimed.journal), ("t1", 1), "{name}: the turn goes on");
        assert!(claimed.turn.epoch > 1, "{name}");
    }
}

#[test]
fn what_is_occupied_is_left_alone_and_named() {
    let home = tempfile::tempdir().unwrap();
    let mut server = postgres::Server::start();
    let first = home.path().join("first.db");
    fill(&first);
    let (file, database) = (Place::File(first.clone()), server.database());
    let there = place(database.clone());
    let open =
        || Postgres::open(Reach::new(database.clone(), None).unwrap(), Promise::NoLoss, Rules::KEPT).unwrap();
    // A gateway that has only been started leaves nothing that is worth anything.
    open().claim_account(&alone("g"), "webchat:default").unwrap();
    moved(&file, &there);
    accept(&mut open(), "g", "more", "more");
    let refused = transfer(&file, &there, &mut Silent).unwrap_err().to_string();
    let refused = refused.replace(&server.socket().display().to_string(), "SOCKET");
    insta::assert_snapshot!(refused, @"creel1 at SOCKET is not empty: it holds rows of account (1), session (1), lane (1), inbox (3), turn (1), step (1), question (1), conversation (1), transcript (300), imported_line (1), outbox (1), pairing_request (1), pairing_allow (1). Nothing was copied. Move it away, or name another place with store.postgres.database.");
    let refused = transfer(&there, &file, &mut Silent).unwrap_err().to_string();
    assert!(refused.contains("first.db is not empty: it holds rows of account (1), session"), "{refused}");

    // Another gateway is at work on it.
    let busy = open();
    let refused = transfer(&there, &Place::File(home.path().join("new.db")), &mut Silent).unwrap_err();
    assert!(matches!(refused, TransferError::InUse { count: 1, .. }), "{refused}");
    drop(busy);

    // One of another release, and none at all.
    Connection::open(&first).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let refused = transfer(&file, &there, &mut Silent).unwrap_err();
    assert!(matches!(refused, TransferError::Schema { has: 2, .. }), "{refused}");
    server.tell(database.get_dbname().unwrap(), "UPDATE creel.meta SET value = '1' WHERE key = 'schema'");
    let refused = transfer(&there, &Place::File(home.path().join("new.db")), &mut Silent).unwrap_err();
    assert!(matches!(refused, TransferError::Schema { has: 1, .. }), "{refused}");
    let refused = transfer(&Place::File(home.path().join("none.db")), &there, &mut Silent).unwrap_err();
    assert!(matches!(refused, TransferError::Nothing(_)), "{refused}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing new stays");
}

/// Somebody changes the copy before it was compared.
struct Meddler<'a>(&'a Path, bool);

impl Progress for Meddler<'_> {
    fn tell(&mut self, doing: &str, table: &str, _done: u64, _of: u64) {
        if doing == "verified" && table == "account" && !self.1 {
            self.1 = true;
            let conn = Connection::open(self.0).unwrap();
            conn.execute("UPDATE transcript SET entry = replace(entry, 'm17 ', 'm18 ') WHERE seq = 17", [])
                .unwrap();
        }
    }
}

#[test]
fn a_copy_that_is_not_the_same_is_not_kept() {
    let home = tempfile::tempdir().unwrap();
    let mut server = postgres::Server::start();
    let (first, second) = (home.path().join("first.db"), home.path().join("second.db"));
    fill(&first);
    let there = place(server.database());
    moved(&Place::File(first), &there);
    let partial = beside(&second, ".migrating");
    let refused = transfer(&there, &Place::File(second.clone()), &mut Meddler(&partial, false)).unwrap_err();
    assert!(
        matches!(refused, TransferError::Differs { table: "transcript", was: 300, is: 300, .. }),
        "{refused}"
    );
    assert!(!second.exists() && !partial.exists());
    moved(&there, &Place::File(second));
}

/// Whoever adds a column or a table to the stores adds it here, too.
#[test]
fn every_column_of_both_stores_is_taken_along_or_left_on_purpose() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("creel.db");
    drop(Sqlite::open(&path, Rules::KEPT).unwrap());
    let conn = Connection::open(&path).unwrap();
    let sql = "SELECT tables.name || '.' || columns.name FROM pragma_table_list AS tables
               JOIN pragma_table_info(tables.name) AS columns WHERE tables.schema = 'main'";
    let in_file: Vec<String> =
        conn.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut server = postgres::Server::start();
    let database = server.database();
    drop(Postgres::open(Reach::new(database.clone(), None).unwrap(), Promise::NoLoss, Rules::KEPT).unwrap());
    let on_server = server.names_of_columns(&database);
    for (store, columns) in [("the file", in_file), ("the server", on_server)] {
        assert!(columns.len() > 60, "{store}: {columns:?}");
        for column in &columns {
            let (of, name) = column.split_once('.').unwrap();
            if table::OWN.iter().any(|own| of.starts_with(own)) {
                continue;
            }
            let table = TABLES.iter().find(|table| table.name == of);
            let table = table.unwrap_or_else(|| panic!("{store}: the table {of} is not copied"));
            let taken = table.columns.iter().any(|column| column.name == name);
            assert!(
                taken != table.left.contains(&name) || name == "owner",
                "{store}: {column} is not copied"
            );
        }
        for table in TABLES {
            for column in table.columns.iter().filter(|column| column.name != "session_id") {
                let name = format!("{}.{}", table.name, column.name);
                assert!(columns.contains(&name), "{store} has no {name}");
            }
        }
    }
}
