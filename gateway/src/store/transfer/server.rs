//! The end that is a database of a PostgreSQL server.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use tokio::runtime::Runtime;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row};

use super::digest::without_nul;
use super::table::Kind;
use super::*;
use crate::store::postgres::door;

/// How long to wait for the connection of one that was killed to be noticed by the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection, and the one transaction in which everything happens.
pub(super) struct Server {
    // Before the runtime that drives it.
    copying: Option<Pin<Box<BinaryCopyInWriter>>>,
    link: door::Link,
    rt: Runtime,
    name: String,
}

impl Server {
    fn connect(reach: &Reach, promise: Promise) -> Moved<Self> {
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Engine(format!("its connection cannot be driven: {error}")))?;
        let link = door::enter(&rt, reach, promise)?;
        let server = Self { copying: None, link, rt, name: reach.name() };
        // A million rows take longer than any message may.
        server.say("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
        server.wait_alone()?;
        Ok(server)
    }

    /// Gateways would go on writing into what was copied.
    fn wait_alone(&self) -> Moved<()> {
        let deadline = Instant::now() + PATIENCE;
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'creel' AND pid <> pg_backend_pid()";
        loop {
            let count = self.number(sql)?;
            if count == 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let count = u64::try_from(count).unwrap_or(0);
                return Err(TransferError::InUse { at: self.name.clone(), count });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Reads what is there, as it is at this moment. Who wants to write to it meanwhile waits.
    pub(super) fn read(reach: &Reach, promise: Promise) -> Moved<Self> {
        let server = Self::connect(reach, promise)?;
        if server.schema()? == 0 {
            return Err(TransferError::Nothing(format!("the schema `creel` of {}", server.name)));
        }
        server.hold()?;
        Ok(server)
    }

    /// What is there, if that is a state of Creel.
    pub(super) fn look(reach: &Reach, promise: Promise) -> Moved<Option<Self>> {
        let server = Self::connect(reach, promise)?;
        if server.schema()? == 0 {
            return Ok(None);
        }
        server.hold()?;
        Ok(Some(server))
    }

    /// Begins an empty one, which nobody sees yet.
    pub(super) fn make(reach: &Reach, promise: Promise) -> Moved<Self> {
        let mut server = Self::connect(reach, promise)?;
        server.say("BEGIN")?;
        door::bar(&server.rt, &server.link)?;
        if server.schema()? != 0 {
            // It was looked at before; somebody may have come in since.
            server.say(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names()))?;
            for table in TABLES {
                if server.count(table, true)? > 0 {
                    return Err(TransferError::InUse { at: server.name.clone(), count: 1 });
                }
            }
        }
        door::lay_out_anew(&server.rt, &server.link)?;
        Ok(server)
    }

    fn schema(&self) -> Moved<usize> {
        let (has, wants) = door::schemas(&self.rt, &self.link, &self.name)?;
        if has != 0 && has != wants {
            let remedy = "Start this Creel once on it, which brings it up to date, then run this again.";
            return Err(TransferError::Schema { at: self.name.clone(), has, wants, remedy });
        }
        Ok(has)
    }

    fn hold(&self) -> Kept<()> {
        // Before the first look, so that nothing is written in between.
        self.say(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE {} IN SHARE MODE", names()))
    }

    fn client(&self) -> &Client {
        self.link.client()
    }

    fn say(&self, sql: &str) -> Kept<()> {
        Ok(self.rt.block_on(self.client().batch_execute(sql))?)
    }

    fn number(&self, sql: &str) -> Kept<i64> {
        Ok(self.rt.block_on(self.client().query_one(sql, &[]))?.try_get(0)?)
    }
}

fn names() -> String {
    TABLES.iter().map(|table| table.name).collect::<Vec<_>>().join(", ")
}

impl ToSql for Cell {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(ty, out),
            Self::Bool(truth) => truth.to_sql(ty, out),
            Self::Text(text) => without_nul(text).as_ref().to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::TEXT | Type::INT8 | Type::BOOL)
    }

    to_sql_checked!();
}

fn kind_of(kind: Kind) -> Type {
    match kind {
        Kind::Text => Type::TEXT,
        Kind::Int => Type::INT8,
        Kind::Bool => Type::BOOL,
    }
}

fn cell(row: &Row, index: usize, kind: Kind) -> Kept<Cell> {
    Ok(match kind {
        Kind::Text => row.try_get::<_, Option<String>>(index)?.map_or(Cell::Null, Cell::Text),
        Kind::Int => row.try_get::<_, Option<i64>>(index)?.map_or(Cell::Null, Cell::Int),
        Kind::Bool => row.try_get::<_, Option<bool>>(index)?.map_or(Cell::Null, Cell::Bool),
    })
}

impl Source for Server {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn count(&mut self, table: &Table, content: bool) -> Kept<u64> {
        let condition = if content { table.content } else { "TRUE" };
        let rows = self.number(&format!("SELECT count(*) FROM {} WHERE {condition}", table.on_server))?;
        Ok(u64::try_from(rows).unwrap_or(0))
    }

    fn each(&mut self, table: &Table, see: &mut dyn FnMut(&[Cell]) -> Kept<()>) -> Kept<()> {
        let none: [&str; 0] = [];
        let rows = self.rt.block_on(self.link.client().query_raw(&table.on_server(), none))?;
        let mut rows = std::pin::pin!(rows);
        let mut cells = Vec::with_capacity(table.columns.len());
        while let Some(row) = self.rt.block_on(rows.try_next())? {
            cells.clear();
            for (index, column) in table.columns.iter().enumerate() {
                cells.push(cell(&row, index, column.kind)?);
            }
            see(&cells)?;
        }
        Ok(())
    }

    fn last_number(&mut self, table: &'static str) -> Kept<i64> {
        self.number(&format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {table}_seq_seq"))
    }
}

impl Target for Server {
    fn begin(&mut self, table: &Table) -> Kept<()> {
        let sql = format!("COPY {} ({}) FROM STDIN BINARY", table.name, table.names());
        let types: Vec<_> = table.columns.iter().map(|column| kind_of(column.kind)).collect();
        let sink = self.rt.block_on(self.client().copy_in(&sql))?;
        self.copying = Some(Box::pin(BinaryCopyInWriter::new(sink, &types)));
        Ok(())
    }

    fn put(&mut self, _table: &Table, row: &[Cell]) -> Kept<()> {
        let copying = self.copying.as_mut().ok_or(StoreError::Closed)?;
        Ok(self.rt.block_on(copying.as_mut().write_raw(row))?)
    }

    fn end(&mut self, _table: &Table) -> Kept<()> {
        let mut copying = self.copying.take().ok_or(StoreError::Closed)?;
        self.rt.block_on(copying.as_mut().finish())?;
        Ok(())
    }

    fn set_last_number(&mut self, table: &'static str, number: i64) -> Kept<()> {
        if number > 0 {
            self.say(&format!("SELECT setval('{table}_seq_seq', {number})"))?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Kept<()> {
        Ok(())
    }

    /// Only now it is there at all. A connection that is lost here leaves open whether; to run it again tells.
    fn keep(&mut self) -> Kept<()> {
        self.say("COMMIT")?;
        // What asks first should not have to guess; what was kept stays kept.
        let _guesses = self.say(&format!("ANALYZE {}", names()));
        Ok(())
    }
}
