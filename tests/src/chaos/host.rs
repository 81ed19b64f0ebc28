//! One host: its home, the Creel that runs in it, and the cables to what it shares with others.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use creel_kit::{Cable, Creel, TestHome};
use serde::Serialize;

use crate::stage::lock;

/// What a host is cut off from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Side {
    /// Every server of the database.
    Database,
    /// The platform.
    Platform,
    /// Both.
    Both,
}

impl Side {
    fn database(self) -> bool {
        matches!(self, Self::Database | Self::Both)
    }

    fn platform(self) -> bool {
        matches!(self, Self::Platform | Self::Both)
    }

    /// Whether another host may take over what the host had.
    pub(crate) fn frees(self) -> bool {
        self.database()
    }
}

/// A host. One that is alone has no name and no cables.
pub(crate) struct Host {
    pub name: &'static str,
    pub home: TestHome,
    pub creel: Mutex<Option<Arc<Creel>>>,
    /// To each server of the database.
    pub database: Vec<Cable>,
    pub platform: Option<Cable>,
}

impl Host {
    pub(crate) fn alone(home: TestHome) -> Self {
        Self { name: "", home, creel: Mutex::default(), database: Vec::new(), platform: None }
    }

    pub(crate) fn creel(&self) -> Option<Arc<Creel>> {
        lock(&self.creel).clone()
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn start(&self) -> Result<()> {
        *lock(&self.creel) = Some(Arc::new(self.home.launch()?));
        Ok(())
    }

    /// Cuts it off, or no longer.
    pub(crate) fn cut(&self, side: Side, whole: bool) {
        let database = self.database.iter().filter(|_| side.database());
        for cable in database.chain(self.platform.iter().filter(|_| side.platform())) {
            if whole {
                cable.mend();
            } else {
                cable.cut();
            }
        }
    }
}
