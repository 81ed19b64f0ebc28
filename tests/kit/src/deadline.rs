//! Waiting for things that happen elsewhere: asked again and again until a deadline, never slept for.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything may take that is no part of what a test measures. Generous: it only says when to give up.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer.
///
/// # Errors
/// When there is none at the deadline; `what` completes the sentence "… did not happen".
pub async fn until<T>(
    what: &str,
    patience: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if started.elapsed() > patience {
            bail!("This did not happen within {} s: {what}.", patience.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Awaits something that ends by itself, but not for ever.
///
/// # Errors
/// When it fails or does not end by the deadline.
pub async fn within<T>(what: &str, patience: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => done,
        Err(_) => bail!("This did not happen within {} s: {what}.", patience.as_secs()),
    }
}
