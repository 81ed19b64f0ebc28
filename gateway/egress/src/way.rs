//! What a listener may reach, and on whose account.

use std::sync::{Arc, Mutex, PoisonError};

use creel_ipc::msg::egress::HostRule;

use crate::meter::Meter;
use crate::names::Names;

/// The rules of one listener. They can be replaced while connections are open, which stay open.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) unit: String,
    pub(crate) names: Names,
    terms: Mutex<Arc<Terms>>,
}

/// What holds for a connection that is opened now.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) rules: Vec<HostRule>,
    /// The configuration keys of the rules, for messages.
    pub(crate) key: String,
    /// Whose budget it is, where that is not the unit.
    pub(crate) account: Option<String>,
    pub(crate) meter: Arc<Meter>,
}

impl Way {
    pub(crate) fn new(unit: String, names: Names, terms: Terms) -> Self {
        Self { unit, names, terms: Mutex::new(Arc::new(terms)) }
    }

    pub(crate) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_terms(&self, terms: Terms) {
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
    }
}
