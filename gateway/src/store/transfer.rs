//! Everything that one store keeps, copied into another one that is empty, and compared.
//!
//! Nothing of the copy is there before it is whole. In PostgreSQL it is one transaction, with its verification; a file is
//! written beside its place, verified, and renamed. Whoever is killed in between has done nothing, and begins anew.
//!
//! What is compared is what the two stores mean, not how they keep it: rows of [`table::TABLES`], counted, and hashed
//! in whatever order they come. Leases are not taken along: nobody runs. Words of the index neither: each store makes
//! its own, behind the next start, as after an upgrade.

use std::path::{Path, PathBuf};
use std::time::Instant;

use self::digest::Sum;
use self::file::File;
use self::server::Server;
use self::table::{Cell, TABLES, Table};
use super::{Kept, Promise, Reach, StoreError};

mod digest;
mod file;
mod server;
mod table;
#[cfg(test)]
mod tests;

/// Where a store is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A database of a PostgreSQL server, and what is asked of that.
    Server(Box<Reach>, Promise),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Server(reach, _) => write!(f, "{}", reach.name()),
        }
    }
}

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    /// One of the two failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is no state at all.
    #[error(
        "There is nothing to copy: {0} does not exist. Start Creel once, or name the file with store.path."
    )]
    Nothing(String),
    /// The target has something else in it.
    #[error(
        "{at} is not empty: it holds rows of {holds}. Nothing was copied. Move it away, or name another place with {key}."
    )]
    Occupied {
        /// The target.
        at: String,
        /// Rows by table.
        holds: String,
        /// The configuration's keys.
        key: &'static str,
    },
    /// One of them is of another release.
    #[error("{at} has schema {has}, and this Creel has {wants}. {remedy}")]
    Schema {
        /// Which.
        at: String,
        /// What it has.
        has: usize,
        /// What it should have.
        wants: usize,
        /// What to do.
        remedy: &'static str,
    },
    /// Somebody works on it.
    #[error(
        "{at} is in use: other processes of Creel are connected to it ({count}). Stop Creel on every host that shares it, \
         then run this again."
    )]
    InUse {
        /// The database.
        at: String,
        /// Connections.
        count: u64,
    },
    /// What was read back is not what was written.
    #[error(
        "{table} is not the same in {at}: {was} rows were read and {is} are there, or they differ. Nothing of the copy was \
         kept; run this again, and look for damage with `creel doctor` should it come again."
    )]
    Differs {
        /// The table.
        table: &'static str,
        /// The target.
        at: String,
        /// Rows of the source.
        was: u64,
        /// Rows of the target.
        is: u64,
    },
}

type Moved<T> = Result<T, TransferError>;

/// One table, as it was on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub table: &'static str,
    pub rows: u64,
    /// Of all rows, in any order.
    pub sha256: String,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Transferred {
    pub tables: Vec<Copied>,
    /// Whether the target had exactly this already.
    pub already: bool,
    /// Texts with a NUL, in whose place U+FFFD stands in PostgreSQL.
    pub replaced: u64,
}

/// A store that is read.
trait Source {
    /// Its name, for people.
    fn name(&self) -> String;
    /// Rows of a table, or only those that are more than what any start of a gateway leaves.
    fn count(&mut self, table: &Table, content: bool) -> Kept<u64>;
    /// Every row of a table.
    fn each(&mut self, table: &Table, see: &mut dyn FnMut(&[Cell]) -> Kept<()>) -> Kept<()>;
    /// The last number that a table has given out.
    fn last_number(&mut self, table: &'static str) -> Kept<i64>;
}

/// A store that is filled.
trait Target: Source {
    fn begin(&mut self, table: &Table) -> Kept<()>;
    fn put(&mut self, table: &Table, row: &[Cell]) -> Kept<()>;
    fn end(&mut self, table: &Table) -> Kept<()>;
    fn set_last_number(&mut self, table: &'static str, number: i64) -> Kept<()>;
    /// Everything is written; what is read from now on is what will be there.
    fn settle(&mut self) -> Kept<()>;
    /// Puts the copy where a gateway finds it.
    fn keep(&mut self) -> Kept<()>;
}

/// How far it is, for people.
pub(crate) trait Progress {
    fn tell(&mut self, doing: &str, table: &str, done: u64, of: u64);
}

/// Tables whose rows are numbered by the store.
const NUMBERED: [&str; 3] = ["inbox", "outbox", "question"];

/// Copies what is at `from` to `to`.
///
/// # Errors
/// Then nothing was copied.
pub(crate) fn transfer(from: &Place, to: &Place, progress: &mut dyn Progress) -> Moved<Transferred> {
    let mut source: Box<dyn Source> = match from {
        Place::File(path) => Box::new(File::read(path)?),
        Place::Server(reach, promise) => Box::new(Server::read(reach, *promise)?),
    };
    let mut wanted = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        wanted.push(source.count(table, false)?);
    }
    if let Some(mut there) = look(to)? {
        return compare(source.as_mut(), there.as_mut(), to, &wanted, progress);
    }
    let mut target: Box<dyn Target> = match to {
        Place::File(path) => Box::new(File::make(path)?),
        Place::Server(reach, promise) => Box::new(Server::make(reach, *promise)?),
    };
    let (mut sums, mut replaced) = (Vec::with_capacity(TABLES.len()), 0);
    for (table, rows) in TABLES.iter().zip(&wanted) {
        let mut sum = Sum::default();
        target.begin(table)?;
        source.each(table, &mut |row| {
            replaced += sum.add(row);
            progress.tell("copied", table.name, sum.rows(), *rows);
            target.put(table, row)
        })?;
        target.end(table)?;
        sums.push(sum);
    }
    for table in NUMBERED {
        let number = source.last_number(table)?;
        target.set_last_number(table, number)?;
    }
    target.settle()?;
    let mut tables = Vec::with_capacity(TABLES.len());
    for (table, was) in TABLES.iter().zip(sums) {
        let is = sum_of(target.as_mut(), table, was.rows(), progress)?;
        if is != was {
            let (was, is) = (was.rows(), is.rows());
            return Err(TransferError::Differs { table: table.name, at: target.name(), was, is });
        }
        tables.push(Copied { table: table.name, rows: was.rows(), sha256: was.hex() });
    }
    target.keep()?;
    Ok(Transferred { tables, already: false, replaced })
}

/// What is at the place of the copy, when that is anything.
fn look(to: &Place) -> Moved<Option<Box<dyn Source>>> {
    let there: Option<Box<dyn Source>> = match to {
        Place::File(path) => path.exists().then(|| File::read(path)).transpose()?.map(boxed),
        Place::Server(reach, promise) => Server::look(reach, *promise)?.map(boxed),
    };
    let Some(mut there) = there else { return Ok(None) };
    for table in TABLES {
        if there.count(table, true)? > 0 {
            return Ok(Some(there));
        }
    }
    Ok(None)
}

fn boxed<'a>(source: impl Source + 'a) -> Box<dyn Source + 'a> {
    Box::new(source)
}

/// Something is there. When it is what would be copied, somebody has done so before.
fn compare(
    source: &mut dyn Source,
    there: &mut dyn Source,
    to: &Place,
    wanted: &[u64],
    progress: &mut dyn Progress,
) -> Moved<Transferred> {
    let mut holds = Vec::new();
    let mut equal = true;
    for (table, wanted) in TABLES.iter().zip(wanted) {
        let is = there.count(table, false)?;
        equal &= is == *wanted;
        if is > 0 {
            holds.push(format!("{} ({is})", table.name));
        }
    }
    let mut tables = Vec::with_capacity(TABLES.len());
    let mut replaced = 0;
    for (table, rows) in TABLES.iter().zip(wanted) {
        if !equal {
            break;
        }
        let was = sum_of(source, table, *rows, progress)?;
        equal = sum_of(there, table, *rows, progress)? == was;
        replaced += was.replaced();
        tables.push(Copied { table: table.name, rows: was.rows(), sha256: was.hex() });
    }
    if equal {
        return Ok(Transferred { tables, already: true, replaced });
    }
    let key = match to {
        Place::File(_) => "store.path",
        Place::Server(..) => "store.postgres.database",
    };
    Err(TransferError::Occupied { at: there.name(), holds: holds.join(", "), key })
}

fn sum_of(
    side: &mut (impl Source + ?Sized),
    table: &Table,
    of: u64,
    progress: &mut dyn Progress,
) -> Kept<Sum> {
    let mut sum = Sum::default();
    side.each(table, &mut |row| {
        sum.add(row);
        progress.tell("verified", table.name, sum.rows(), of);
        Ok(())
    })?;
    Ok(sum)
}

/// A path with something behind it.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// A clock that says when it is time for the next word.
#[derive(Debug)]
pub(crate) struct Words<F> {
    say: F,
    last: Instant,
}

impl<F: FnMut(String)> Words<F> {
    /// Between two words.
    const EVERY: std::time::Duration = std::time::Duration::from_secs(2);

    pub(crate) fn new(say: F) -> Self {
        Self { say, last: Instant::now() }
    }
}

impl<F: FnMut(String)> Progress for Words<F> {
    fn tell(&mut self, doing: &str, table: &str, done: u64, of: u64) {
        // The clock is not looked at for each row.
        if done.is_multiple_of(256) && self.last.elapsed() >= Self::EVERY {
            self.last = Instant::now();
            (self.say)(format!("{table}: {doing} {done} of {of} rows"));
        }
    }
}
