//! A user of its own for every unit, where root runs the supervisor: what belongs to one agent belongs to no other, whatever the
//! rest of the isolation is worth.
//!
//! The numbers lie between 1,900,000,000 and 1,901,999,999, which no distribution and no container manager gives away. Each state
//! folder has a thousand of them. A unit keeps its number over restarts and reloads, and nobody ever gets the number of a unit
//! that is gone, whose files may still be there.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use creel_launch::Ids;

mod book;
mod owner;

pub use book::{Book, FIRST, LAST};

/// Who units are.
#[derive(Debug, Default)]
pub enum Uids {
    /// Whoever the supervisor is.
    #[default]
    Same,
    /// All of them the one user of the launcher, and why.
    One(String),
    /// Each its own.
    Own(RefCell<Book>),
}

impl Uids {
    /// What holds for this process and its state folder.
    pub fn open(state: &Path) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self::Same;
        }
        match Book::open(state) {
            Ok(book) if book.is_mapped() => Self::Own(RefCell::new(book)),
            Ok(_) => Self::One(format!(
                "the user ids {FIRST} to {LAST} do not exist in this container; give it a larger range of ids"
            )),
            Err(error) => Self::One(error.to_string()),
        }
    }

    /// The ids of a unit; `None` leaves it to the launcher.
    ///
    /// # Errors
    /// When a number that is new cannot be kept: it would be another one after the next start.
    pub fn of(&self, unit: &str) -> io::Result<Option<Ids>> {
        match self {
            Self::Same | Self::One(_) => Ok(None),
            Self::Own(book) => book.borrow_mut().of(unit).map(|id| Some(Ids { uid: id, gid: id })),
        }
    }

    /// Makes a folder of the home, with all in it that belonged to whoever units were before, that of its unit. A folder
    /// elsewhere is somebody else's, and stays so: the unit is shown it as if it were its owner.
    pub fn give(&self, folder: &Path, home: &Path, ids: Option<Ids>) {
        let Some((real, ids)) = of_home(folder, home, ids) else { return };
        match owner::give(&real, ids) {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} files below {} are of uid {} now.", real.display(), ids.uid),
            // It works all the same, as for a folder elsewhere.
            Err(error) => {
                tracing::warn!("{} cannot be given to uid {}: {error}.", real.display(), ids.uid);
            }
        }
    }

    /// Makes such a folder root's, without what is in it, because its unit will run as root: what is root's in it by the time that
    /// the unit is confined again is given to it then.
    pub fn take(&self, folder: &Path, home: &Path, ids: Option<Ids>) {
        let Some((real, ids)) = of_home(folder, home, ids) else { return };
        if let Err(error) = owner::take(&real, ids) {
            tracing::warn!("{} cannot be taken back from uid {}: {error}.", real.display(), ids.uid);
        }
    }
}

/// The folder itself and whose it is to be, if it is of the home.
fn of_home(folder: &Path, home: &Path, ids: Option<Ids>) -> Option<(PathBuf, Ids)> {
    let (real, home) = (folder.canonicalize().ok()?, home.canonicalize().ok()?);
    let inside = real.starts_with(&home) && real != home;
    ids.filter(|_| inside).map(|ids| (real, ids))
}
