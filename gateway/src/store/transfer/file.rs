//! The end that is a SQLite file.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, ToSql, params};

use super::table::Kind;
use super::*;
use crate::store::sqlite::open as door;

/// A file that is read, or one beside its place that is being filled.
pub(super) struct File {
    conn: Option<Connection>,
    path: PathBuf,
    /// Where it will be.
    place: Option<PathBuf>,
}

impl File {
    /// Reads what is there, as it is at this moment.
    pub(super) fn read(path: &Path) -> Moved<Self> {
        if !path.exists() {
            return Err(TransferError::Nothing(path.display().to_string()));
        }
        // What a write-ahead log still holds is part of it; who only reads cannot make the log's index.
        let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let (has, wants) = door::schemas(&conn, path)?;
        if has != wants {
            let at = path.display().to_string();
            let remedy = "Start this Creel once on it, which brings it up to date, then run this again.";
            return Err(TransferError::Schema { at, has, wants, remedy });
        }
        door::check(&conn, path)?;
        conn.execute_batch("BEGIN").map_err(StoreError::from)?;
        Ok(Self { conn: Some(conn), path: path.to_owned(), place: None })
    }

    /// Begins an empty one beside its place; one that was left there is gone.
    pub(super) fn make(place: &Path) -> Moved<Self> {
        let path = beside(place, ".migrating");
        door::remove(&path);
        let conn = door::open(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| failed(&path, &error))?;
        // It is synced once, before it is renamed.
        conn.execute_batch("PRAGMA synchronous = OFF; BEGIN").map_err(StoreError::from)?;
        Ok(Self { conn: Some(conn), path, place: Some(place.to_owned()) })
    }

    fn conn(&self) -> Kept<&Connection> {
        self.conn.as_ref().ok_or(StoreError::Closed)
    }

    fn sync(&self) -> std::io::Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        let file = std::fs::File::open(&self.path)?;
        let folder = place.parent().unwrap_or(Path::new("."));
        // What root copies stays its owner's, who must be able to open it.
        let owner = std::fs::metadata(folder)?;
        if owner.uid() != file.metadata()?.uid() {
            chown(&self.path, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.sync_all()?;
        // One that holds nothing may be there.
        door::remove(place);
        std::fs::rename(&self.path, place)?;
        std::fs::File::open(folder)?.sync_all()
    }
}

fn open(path: &Path, flags: OpenFlags) -> Kept<Connection> {
    let opened = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let conn = opened.map_err(|error| door::unusable(path, &error))?;
    conn.busy_timeout(door::BUSY)?;
    Ok(conn)
}

fn failed(path: &Path, error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full(error.to_string()),
        _ => StoreError::Engine(format!("{} cannot be written: {error}", path.display())),
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Int(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Bool(truth) => ToSqlOutput::Owned(Value::Integer(i64::from(*truth))),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

fn cell(row: &Row<'_>, index: usize, kind: Kind) -> rusqlite::Result<Cell> {
    Ok(match kind {
        Kind::Text => row.get::<_, Option<String>>(index)?.map_or(Cell::Null, Cell::Text),
        Kind::Int => row.get::<_, Option<i64>>(index)?.map_or(Cell::Null, Cell::Int),
        Kind::Bool => row.get::<_, Option<bool>>(index)?.map_or(Cell::Null, Cell::Bool),
    })
}

impl Source for File {
    fn name(&self) -> String {
        self.place.as_ref().unwrap_or(&self.path).display().to_string()
    }

    fn count(&mut self, table: &Table, content: bool) -> Kept<u64> {
        let condition = if content { table.content } else { "1 = 1" };
        let sql = format!("SELECT count(*) FROM {} WHERE {condition}", table.in_file);
        let rows: i64 = self.conn()?.query_row(&sql, [], |row| row.get(0))?;
        Ok(u64::try_from(rows).unwrap_or(0))
    }

    fn each(&mut self, table: &Table, see: &mut dyn FnMut(&[Cell]) -> Kept<()>) -> Kept<()> {
        let mut statement = self.conn()?.prepare(&table.in_file())?;
        let mut rows = statement.query([])?;
        let mut cells = Vec::with_capacity(table.columns.len());
        while let Some(row) = rows.next()? {
            cells.clear();
            for (index, column) in table.columns.iter().enumerate() {
                cells.push(cell(row, index, column.kind)?);
            }
            see(&cells)?;
        }
        Ok(())
    }

    fn last_number(&mut self, table: &'static str) -> Kept<i64> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
        Ok(self.conn()?.query_row(sql, [table], |row| row.get(0)).optional()?.unwrap_or(0))
    }
}

impl Target for File {
    fn begin(&mut self, _table: &Table) -> Kept<()> {
        Ok(())
    }

    fn put(&mut self, table: &Table, row: &[Cell]) -> Kept<()> {
        let conn = self.conn()?;
        let mut insert = match table.into_file {
            Some(sql) => conn.prepare_cached(sql)?,
            None => {
                let places: Vec<_> = (1..=row.len()).map(|place| format!("?{place}")).collect();
                let (names, places) = (table.names(), places.join(", "));
                conn.prepare_cached(&format!("INSERT INTO {} ({names}) VALUES ({places})", table.name))?
            }
        };
        insert.execute(rusqlite::params_from_iter(row))?;
        Ok(())
    }

    fn end(&mut self, table: &Table) -> Kept<()> {
        let conn = self.conn()?;
        if table.name == "transcript" {
            // The gateway takes them into the index, as after an upgrade.
            conn.execute_batch(
                "INSERT INTO meta SELECT 'search_from', max(n) + 1 FROM transcript HAVING count(*) > 0",
            )?;
        }
        // A log of the whole would need its size twice.
        Ok(conn.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE); BEGIN")?)
    }

    fn set_last_number(&mut self, table: &'static str, number: i64) -> Kept<()> {
        let conn = self.conn()?;
        let known = conn.execute(
            "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1",
            params![table, number],
        )?;
        if known == 0 && number > 0 {
            conn.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", params![table, number])?;
        }
        Ok(())
    }

    /// What is read back comes from the file, by a connection of its own.
    fn settle(&mut self) -> Kept<()> {
        self.conn()?.execute_batch("COMMIT")?;
        if let Some(conn) = self.conn.take() {
            conn.close().map_err(|(_, error)| StoreError::from(error))?;
        }
        self.conn = Some(open(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?);
        Ok(())
    }

    fn keep(&mut self) -> Kept<()> {
        if let Some(conn) = self.conn.take() {
            conn.close().map_err(|(_, error)| StoreError::from(error))?;
        }
        self.sync().map_err(|error| failed(&self.path, &error))
    }
}

/// A copy that did not become whole is gone.
impl Drop for File {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.conn = None;
            door::remove(&self.path);
        }
    }
}
