//! Opens the store that the configuration names.

use std::time::{Duration, Instant};

use creel_config::store::{Postgres as Server, StoreKind};

use crate::dialer::Dialer;
use crate::settings::Settings;
use crate::store::{Desk, Kept, Postgres, Promise, Reach, Rules, Sqlite, StoreError};

/// For how long a server that does not answer, or a disk that is full, is asked again before the gateway ends and is started anew.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two times of asking.
const AGAIN: Duration = Duration::from_millis(250);

/// The store, as it is being opened.
///
/// # Errors
/// What is wrong before anything was tried.
pub(crate) fn desk(
    settings: &Settings,
    rules: Rules,
    dialer: &Dialer,
) -> Kept<impl Future<Output = Kept<Desk>> + use<>> {
    let (database, kind) = (settings.database.clone(), settings.config.store.kind);
    let reach = match kind {
        StoreKind::Sqlite => None,
        StoreKind::Postgres => Some(reach(settings)?.through(dialer.clone())),
    };
    let promise = promise(&settings.config.store.postgres);
    let opening = tokio::task::spawn_blocking(move || match reach {
        None => Desk::over_sqlite(patiently(|| Sqlite::open(&database, rules))?),
        // All of its connections: until it is open somebody hears what the supervisor dials.
        Some(reach) => patiently(|| Desk::over_postgres(Postgres::open(reach.clone(), promise, rules)?)),
    });
    Ok(async { opening.await.unwrap_or(Err(StoreError::Closed)) })
}

/// The way to other hosts, where there can be any.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn others(settings: &Settings, dialer: &Dialer) -> Kept<Option<Reach>> {
    match settings.config.store.kind {
        StoreKind::Sqlite => Ok(None),
        StoreKind::Postgres => Ok(Some(reach(settings)?.through(dialer.clone()))),
    }
}

/// Where the server is that the configuration names, and how it is known.
pub(crate) fn reach(settings: &Settings) -> Kept<Reach> {
    let server = &settings.config.store.postgres;
    let mut config = tokio_postgres::Config::new();
    config.host(&server.host).port(server.port).dbname(&server.database).user(&server.user);
    for standby in &server.standbys {
        config.host(&standby.host).port(standby.port);
    }
    config.connect_timeout(Duration::from_secs(5));
    if let Some(password) = &server.password {
        config.password(password.expose());
    }
    let authorities = server.tls.ca.as_deref().map(|path| {
        let path = settings.paths.expand(path);
        std::fs::read(&path).map_err(|error| StoreError::Unusable {
            path: format!("{} at {}", server.database, server.host),
            reason: format!("{} cannot be read: {error}", path.display()),
            remedy: "Correct store.postgres.tls.ca, or put the file into Creel's home.".to_owned(),
        })
    });
    Reach::new(config, authorities.transpose()?.as_deref())
}

/// What the configuration asks of the server.
pub(crate) fn promise(server: &Server) -> Promise {
    if server.no_loss { Promise::NoLoss } else { Promise::BestEffort }
}

/// A server that is being started answers soon, and a full disk may have room soon.
fn patiently<T>(open: impl Fn() -> Kept<T>) -> Kept<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open() {
            Err(error @ (StoreError::Away(_) | StoreError::Full(_))) if Instant::now() < deadline => {
                tracing::warn!("The start waits for the database: {error}");
                std::thread::sleep(AGAIN);
            }
            outcome => return outcome,
        }
    }
}
