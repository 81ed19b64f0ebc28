//! Limits on what commands may put into a folder, by project quota: the file system itself counts and refuses, whoever writes.
//!
//! Each folder has a number of its own, which everything in it carries; see `docs/adr/0010-workspace-quota.md`. A command cannot
//! change what a file carries: its user namespace and its seccomp program both forbid it.

mod book;
mod settle;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use creel_launch::quota::{self, Account, Limit, ProbeError, Tag};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};

use book::{Entry, Page};
use settle::Agenda;
pub use settle::Wanted;
use walk::Change;

/// Why a folder is not limited by project quota.
#[derive(Debug, thiserror::Error)]
pub enum NoQuota {
    /// The file system has none, or not for us.
    #[error("its file system has no project quota for us ({0})")]
    None(#[source] ProbeError),
    /// It has another's number.
    #[error("{} in it belongs to project {_1} already, which is not Creel's", .0.display())]
    Foreign(PathBuf, u32),
    /// It would have two numbers.
    #[error("it and {} are in each other, and each may have limits", .0.display())]
    Nested(PathBuf),
    /// It cannot be given a number.
    #[error("it cannot be given to a project: {0}")]
    Unreadable(#[source] io::Error),
    /// The numbers are not known.
    #[error("the numbers of projects cannot be kept: {0}")]
    Book(#[source] io::Error),
    /// It was tried before.
    #[error("{0}")]
    Known(String),
    /// It takes time.
    #[error("everything in it is being given to a project, which takes a while")]
    Busy,
}

/// The folders that are limited by project quota, of one state folder. Clones share what they know.
#[derive(Debug, Clone)]
pub struct Quotas(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The state folder.
    state: PathBuf,
    /// What was tried out in this process: which folders have a number that counts, and why others have none.
    known: Mutex<BTreeMap<PathBuf, Known>>,
    /// Held while something is given a number.
    work: Mutex<()>,
    /// What is to be brought about.
    agenda: Mutex<Agenda>,
}

#[derive(Debug)]
enum Known {
    Limited { project: u32, device: u64, inode: u64 },
    Refused(String),
}

/// An open folder.
struct Open {
    fd: OwnedFd,
    device: u64,
    inode: u64,
    tag: Tag,
}

impl Open {
    fn of(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(CWD, folder, flags, Mode::empty())?;
        let stat = fstat(&fd)?;
        let tag = quota::tag(fd.as_fd())?;
        Ok(Self { fd, device: stat.st_dev, inode: stat.st_ino, tag })
    }

    fn is(&self, entry: &Entry) -> bool {
        entry.device == self.device && entry.inode == self.inode
    }

    /// Makes sure of the limits of a number.
    fn limit(&self, project: u32, limit: Limit) -> io::Result<()> {
        let limit = Limit {
            // In whole kilobytes, as they are counted.
            bytes: limit.bytes.map(|bytes| (bytes >> 10 << 10).max(1024)),
            // The folder itself is one, too.
            inodes: limit.inodes.map(|inodes| inodes.saturating_add(1)),
        };
        if quota::account(self.fd.as_fd(), project)?.limit != limit {
            quota::set_limit(self.fd.as_fd(), project, limit)?;
        }
        Ok(())
    }

    fn probe(&self, page: &Page) -> Result<(), NoQuota> {
        quota::probe(self.fd.as_fd(), page.first).map_err(NoQuota::None)
    }
}

impl Quotas {
    /// Those of a state folder.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self(Arc::new(Shared {
            state: state.to_owned(),
            known: Mutex::default(),
            work: Mutex::default(),
            agenda: Mutex::default(),
        }))
    }

    /// Whether this folder has this limit by quota now; a limit that differs is set. What was tried out is looked up, but for the
    /// first time.
    #[must_use]
    pub fn holds(&self, folder: &Path, limit: Limit) -> bool {
        let held = Open::of(folder).is_ok_and(|open| {
            open.tag.inherits && self.counts(folder, &open) && open.limit(open.tag.project, limit).is_ok()
        });
        if !held && matches!(self.known().get(folder), Some(Known::Limited { .. })) {
            self.known().remove(folder);
        }
        held
    }

    /// Why a folder has no limit by quota, as far as it was tried.
    #[must_use]
    pub fn why_not(&self, folder: &Path) -> Option<String> {
        match self.known().get(folder) {
            Some(Known::Refused(why)) => Some(why.clone()),
            _ => None,
        }
    }

    /// Whether the number of an open folder is its own, all in it has it, and the file system counts by it.
    fn counts(&self, folder: &Path, open: &Open) -> bool {
        if !quota::is_enforced(open.fd.as_fd()).unwrap_or(false) {
            return false;
        }
        let Tag { project, .. } = open.tag;
        if let Some(Known::Limited { project: known, device, inode }) = self.known().get(folder) {
            return (project, open.device, open.inode) == (*known, *device, *inode);
        }
        let Ok(page) = Page::read(&self.0.state) else { return false };
        let entry = page.folders.get(folder);
        let ready = entry.is_some_and(|entry| entry.ready && entry.project == project && open.is(entry));
        let counts = ready && open.probe(&page).is_ok();
        if counts {
            self.note_limited(folder, open, project);
        }
        counts
    }

    /// Gives a folder with all in it a number and its limit. `until` bounds the time; what was done by then stays done, and what could
    /// not be done before is not tried again. `passing`: the limit is for one run.
    ///
    /// # Errors
    /// When it cannot be limited so; then it has no limit.
    pub fn prepare(
        &self,
        folder: &Path,
        limit: Limit,
        until: Option<Instant>,
        passing: bool,
    ) -> Result<(), NoQuota> {
        // Whoever has time waits.
        let _one_at_a_time = match until {
            None => self.0.work.lock().unwrap_or_else(PoisonError::into_inner),
            Some(_) => match self.0.work.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return Err(NoQuota::Busy),
            },
        };
        if self.holds(folder, limit) {
            return Ok(());
        }
        if let (Some(_), Some(why)) = (until, self.why_not(folder)) {
            return Err(NoQuota::Known(why));
        }
        let done = self.number(folder, limit, until, passing);
        match &done {
            // The next one goes on.
            Ok(()) | Err(NoQuota::Busy) => {}
            Err(why) => {
                self.known().insert(folder.to_owned(), Known::Refused(why.to_string()));
            }
        }
        done
    }

    fn number(
        &self,
        folder: &Path,
        limit: Limit,
        until: Option<Instant>,
        passing: bool,
    ) -> Result<(), NoQuota> {
        let state = &self.0.state;
        let open =
            Open::of(folder).map_err(|error| NoQuota::None(ProbeError::Impossible(PROJECTS, error)))?;
        open.probe(&Page::read(state).map_err(NoQuota::Book)?)?;
        let project = Page::change(state, |page| assign(page, folder, &open, passing));
        let project = project.map_err(NoQuota::Book)??;
        open.limit(project, limit).map_err(NoQuota::Unreadable)?;
        let first = project;
        let is_ours = move |other| is_neighbour(first, other);
        match walk::walk(&open.fd, &Change::To(project, is_ours), until) {
            Ok(changed) => {
                tracing::debug!("{changed} files of {} are in project {project}.", folder.display());
            }
            Err(NoQuota::Busy) => return Err(NoQuota::Busy),
            Err(error) => {
                self.forget(folder)?;
                return Err(error);
            }
        }
        let ready = |page: &mut Page| page.folders.get_mut(folder).map(|entry| entry.ready = true);
        Page::change(state, ready).map_err(NoQuota::Book)?;
        self.note_limited(folder, &open, project);
        Ok(())
    }

    /// Takes number and limit away from a folder, and from its file system what it knew of them.
    fn forget(&self, folder: &Path) -> Result<(), NoQuota> {
        let state = &self.0.state;
        let page = Page::read(state).map_err(NoQuota::Book)?;
        let Some(entry) = page.folders.get(folder) else { return Ok(()) };
        self.known().remove(folder);
        if let Ok(open) = Open::of(folder)
            && open.is(entry)
        {
            quota::set_limit(open.fd.as_fd(), entry.project, Limit::default())
                .map_err(NoQuota::Unreadable)?;
            walk::walk(&open.fd, &Change::<fn(u32) -> bool>::From(entry.project), None)?;
        } else if let Some(above) = folder.ancestors().skip(1).find_map(|above| Open::of(above).ok())
            && above.device == entry.device
        {
            // The folder is gone; its file system may still keep an account.
            quota::set_limit(above.fd.as_fd(), entry.project, Limit::default())
                .map_err(NoQuota::Unreadable)?;
        }
        Page::change(state, |page| page.folders.remove(folder)).map_err(NoQuota::Book)?;
        Ok(())
    }

    /// Limits a folder as long as the answer is held; then it has the limit again that it had before.
    ///
    /// # Errors
    /// When it cannot be limited so.
    pub fn for_a_run(&self, folder: &Path, limit: Limit) -> Result<Passing, NoQuota> {
        let open =
            Open::of(folder).map_err(|error| NoQuota::None(ProbeError::Impossible(PROJECTS, error)))?;
        if !quota::is_enforced(open.fd.as_fd()).unwrap_or(false) {
            return Err(NoQuota::None(ProbeError::NotEnforced));
        }
        crate::place::private(&self.0.state).map_err(NoQuota::Book)?;
        let before = Page::read(&self.0.state).map_err(NoQuota::Book)?;
        // One that is there for one run alone and was left by it is none.
        let own = before.folders.get(folder).filter(|entry| !entry.passing && open.is(entry));
        let own = own.map(|entry| quota::account(open.fd.as_fd(), entry.project));
        let before = own.transpose().map_err(NoQuota::Unreadable)?.map(|account| account.limit);
        self.prepare(folder, limit, None, true)?;
        let project = quota::tag(open.fd.as_fd()).map_err(NoQuota::Unreadable)?.project;
        Ok(Passing { folder: open.fd, project, before: before.unwrap_or_default() })
    }

    fn note_limited(&self, folder: &Path, open: &Open, project: u32) {
        let known = Known::Limited { project, device: open.device, inode: open.inode };
        self.known().insert(folder.to_owned(), known);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A limit that ends when this is dropped.
#[derive(Debug)]
pub struct Passing {
    folder: OwnedFd,
    project: u32,
    before: Limit,
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Err(error) = quota::set_limit(self.folder.as_fd(), self.project, self.before) {
            tracing::warn!("The limit of project {} stays as it was for one run: {error}.", self.project);
        }
    }
}

const PROJECTS: &str = "its files have no projects";

/// The number of a folder: the one that it has, if that is its own, else a new one.
fn assign(page: &mut Page, folder: &Path, open: &Open, passing: bool) -> Result<u32, NoQuota> {
    if let Some(other) = page.nested(folder) {
        return Err(NoQuota::Nested(other.to_owned()));
    }
    let tag = open.tag;
    if tag.project != 0 && !page.is_ours(tag.project) {
        return Err(NoQuota::Foreign(folder.to_owned(), tag.project));
    }
    let own = page.folders.get(folder).filter(|entry| open.is(entry)).map(|entry| entry.project);
    let project = match own {
        Some(project) => project,
        None => {
            let unused = |project| {
                quota::account(open.fd.as_fd(), project).is_ok_and(|account| account == Account::default())
            };
            let none = || io::Error::other("there is no number left");
            page.give(unused).ok_or_else(none).map_err(NoQuota::Book)?
        }
    };
    let Open { device, inode, .. } = *open;
    let ready = false;
    let passing = passing && page.folders.get(folder).is_none_or(|entry| entry.passing);
    page.folders.insert(folder.to_owned(), Entry { project, device, inode, ready, passing });
    Ok(project)
}

/// Whether a number is of the same state folder as this one of ours.
fn is_neighbour(ours: u32, other: u32) -> bool {
    book::place(ours) == book::place(other)
}
