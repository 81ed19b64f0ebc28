//! The state's way from one store to the other, as an order of the command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use creel_config::store::StoreKind;
use creel_ipc::migration::{MigratedTable, STORE_MIGRATE, StoreMigrate, StoreMigrated};

use crate::opening::{promise, reach};
use crate::settings::{Settings, SettingsError, Whereabouts};
use crate::store::{Place, Progress, StoreError, TransferError, Words, transfer};

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelocationError {
    /// The configuration is wrong.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The copy failed.
    #[error("{0}")]
    Transfer(#[from] TransferError),
    /// One of the two cannot be reached.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Where it is to go it is already.
    #[error("The state is in {0} already (store.kind); there is nothing to copy.")]
    Same(&'static str),
    /// The command line is not one of the supervisor's.
    #[error("The order cannot be understood: {0}. `creel store migrate --help` tells what there is.")]
    Order(String),
}

/// Obeys the arguments of this process, if they are such an order. The outcome is one line of JSON on stdout.
pub(crate) fn obey(args: &[OsString]) -> Option<Result<(), RelocationError>> {
    let [word, order] = args else { return None };
    (word == STORE_MIGRATE).then(|| {
        let order = serde_json::from_str(&order.to_string_lossy());
        let order: StoreMigrate = order.map_err(|error| RelocationError::Order(error.to_string()))?;
        let moved = relocate(&order)?;
        let moved =
            serde_json::to_string(&moved).map_err(|error| RelocationError::Order(error.to_string()))?;
        // Nobody is left to tell that nobody listens.
        let _closed = writeln!(io::stdout(), "{moved}");
        Ok(())
    })
}

fn relocate(order: &StoreMigrate) -> Result<StoreMigrated, RelocationError> {
    let began = Instant::now();
    let whereabouts = Whereabouts::of_command(
        PathBuf::from(&order.home),
        PathBuf::from(&order.config_file),
        PathBuf::from(&order.state_dir),
    );
    let settings = Settings::read(&whereabouts)?;
    let file = Place::File(settings.database.clone());
    let server = || -> Result<Place, RelocationError> {
        Ok(Place::Server(Box::new(reach(&settings)?), promise(&settings.config.store.postgres)))
    };
    let (from, to) = match (settings.config.store.kind, order.to.as_str()) {
        (StoreKind::Sqlite, "postgres") => (file, server()?),
        (StoreKind::Postgres, "sqlite") => (server()?, file),
        (StoreKind::Sqlite, "sqlite") => return Err(RelocationError::Same("SQLite")),
        (StoreKind::Postgres, "postgres") => return Err(RelocationError::Same("PostgreSQL")),
        (_, other) => return Err(RelocationError::Order(format!("there is no store `{other}`"))),
    };
    let mut words = Words::new(|line: String| {
        // Whoever does not listen does not miss it.
        let _closed = writeln!(io::stderr(), "{line}");
    });
    let progress: &mut dyn Progress = if order.progress { &mut words } else { &mut Silent };
    let moved = transfer(&from, &to, progress)?;
    let tables: Vec<_> = moved
        .tables
        .into_iter()
        .map(|table| MigratedTable { name: table.table.to_owned(), rows: table.rows, sha256: table.sha256 })
        .collect();
    Ok(StoreMigrated {
        from: from.to_string(),
        to: to.to_string(),
        already: moved.already,
        rows: tables.iter().map(|table| table.rows).sum(),
        tables,
        replaced: moved.replaced,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Nobody looks.
struct Silent;

impl Progress for Silent {
    fn tell(&mut self, _doing: &str, _table: &str, _done: u64, _of: u64) {}
}
