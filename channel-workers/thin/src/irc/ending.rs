//! Why a server ends a connection, and whether it makes sense to come back.

use creel_ipc::{ErrorClass, RpcError};

use super::line::Line;

/// An end that a human has to mend.
pub(super) fn fatal(class: ErrorClass, what: &str, line: &Line) -> RpcError {
    RpcError::new(class, format!("The IRC server {what}: {}", line.last()))
}

/// Why the server closes the connection.
pub(super) fn ended(line: &Line) -> RpcError {
    let why = line.last().to_ascii_lowercase();
    if ["k-line", "g-line", "z-line", "kline", "gline", "d-line", "banned", "k:line"]
        .iter()
        .any(|w| why.contains(w))
    {
        return fatal(ErrorClass::AuthFatal, "has banned this account or address", line);
    }
    let sentence = format!("The IRC server closed the connection: {}", line.last());
    if ["throttl", "too fast", "too many"].iter().any(|word| why.contains(word)) {
        return RpcError::retry_after(sentence, 60_000);
    }
    RpcError::new(ErrorClass::Transient, sentence)
}
