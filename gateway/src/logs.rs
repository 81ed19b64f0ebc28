//! The log: one line each on standard error, whose level can be changed while the gateway runs.

use creel_config::operation::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// Changes the level.
#[derive(Debug, Clone)]
pub(crate) struct Level(reload::Handle<LevelFilter, tracing_subscriber::Registry>);

/// Begins to log.
pub(crate) fn begin() -> Level {
    let (filter, handle) = reload::Layer::new(LevelFilter::INFO);
    // The supervisor, which reads them, adds the time.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    // A second subscriber exists only where a test began one.
    let _second = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Level(handle)
}

impl Level {
    /// Logs from this level on.
    pub(crate) fn set(&self, level: LogLevel) {
        let level = match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        };
        if let Err(error) = self.0.modify(|filter| *filter = level) {
            tracing::warn!("The log level cannot be changed: {error}.");
        }
    }
}
