//! What the configuration wants, brought about: limits are set where they are wanted, and taken away where they are not any more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use creel_config::Paths;
use creel_config::plan::{Plan, Unit, UnitKind};
use creel_config::sandbox::{SandboxMode, SandboxScope, ToolPolicy, WorkspaceAccess};
use creel_launch::quota::Limit;

use super::book::{self, Page};
use super::{NoQuota, Quotas};

/// The folders that are to have limits.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Workspaces.
    pub workspaces: BTreeMap<PathBuf, Limit>,
    /// Folders whose folders are homes of commands with this limit, or which are one.
    pub homes: BTreeMap<PathBuf, Limit>,
}

/// The work of the thread that does it.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    under_way: bool,
    next: Option<Wanted>,
}

fn limit(tools: &ToolPolicy) -> Option<Limit> {
    let limit = Limit { bytes: tools.disk, inodes: tools.inodes };
    (tools.mode != SandboxMode::Off && limit != Limit::default()).then_some(limit)
}

/// The workspace of an agent whose commands have limits in it.
fn limited(unit: &Unit) -> Option<(PathBuf, Limit)> {
    let UnitKind::Agent { workspace, tools, .. } = &unit.kind else { return None };
    let limit = limit(tools).filter(|_| tools.workspace_access == WorkspaceAccess::Rw)?;
    Some((workspace.canonicalize().unwrap_or_else(|_| workspace.clone()), limit))
}

impl Wanted {
    /// What a plan wants.
    #[must_use]
    pub fn of(plan: &Plan, paths: &Paths) -> Self {
        let mut wanted = Self::default();
        for unit in &plan.units {
            wanted.workspaces.extend(limited(unit));
            let UnitKind::Agent { id, tools, .. } = &unit.kind else { continue };
            let Some(limit) = limit(tools) else { continue };
            let all = paths.sandboxes();
            let home = match tools.scope {
                SandboxScope::Shared => all.join("shared"),
                SandboxScope::Agent => all.join("agent").join(id.as_str()),
                SandboxScope::Session => all.join("session").join(id.as_str()),
            };
            wanted.homes.insert(home, limit);
        }
        wanted
    }
}

impl Quotas {
    /// Who keeps the limits of an agent's workspace now: `quota` or `overlay`; nobody where there are none.
    #[must_use]
    pub fn keeper(&self, unit: &Unit) -> Option<&'static str> {
        let (workspace, limit) = limited(unit)?;
        Some(if self.holds(&workspace, limit) { "quota" } else { "overlay" })
    }

    /// Brings about what is wanted, on a thread of its own: a workspace may hold a million files.
    pub fn settle(&self, wanted: Wanted) {
        if wanted == Wanted::default() && !book::file(&self.0.state).exists() {
            return;
        }
        {
            let mut agenda = self.agenda();
            agenda.next = Some(wanted);
            if std::mem::replace(&mut agenda.under_way, true) {
                return;
            }
        }
        let quotas = self.clone();
        let work = move || {
            while let Some(wanted) = quotas.next_wanted() {
                quotas.settled(&wanted);
            }
        };
        let thread = std::thread::Builder::new().name("quota".to_owned()).stack_size(1 << 20).spawn(work);
        if let Err(error) = thread {
            self.agenda().under_way = false;
            tracing::warn!("Limits of workspaces are looked after later: {error}.");
        }
    }

    /// What is wanted by now; with nothing new the work is over.
    fn next_wanted(&self) -> Option<Wanted> {
        let mut agenda = self.agenda();
        agenda.under_way = agenda.next.is_some();
        agenda.next.take()
    }

    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.0.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder that had limits for one run alone has them for good.
    fn keep(&self, folder: &Path) {
        let keep = |page: &mut Page| page.folders.get_mut(folder).map(|entry| entry.passing = false);
        if let Err(error) = Page::change(&self.0.state, keep) {
            tracing::warn!("{}.", NoQuota::Book(error));
        }
    }

    fn settled(&self, wanted: &Wanted) {
        let page = match Page::read(&self.0.state) {
            Ok(page) => page,
            Err(error) => return tracing::warn!("{}.", NoQuota::Book(error)),
        };
        for (folder, entry) in &page.folders {
            let home = wanted.homes.iter().find(|(home, _)| folder.starts_with(home));
            let limit = wanted.workspaces.get(folder).or(home.map(|(_, limit)| limit));
            let there = folder.is_dir();
            match limit {
                Some(limit) if there => {
                    let _holds = self.holds(folder, *limit);
                    self.keep(folder);
                }
                // Its limit ends with the run, unless that was killed.
                None if there && entry.passing => {}
                _ => match self.forget(folder) {
                    Ok(()) => tracing::info!("{} has no limits by project quota any more.", folder.display()),
                    Err(error) => {
                        tracing::warn!("{} keeps its limits for now: {error}.", folder.display());
                    }
                },
            }
        }
        for (folder, limit) in wanted.workspaces.iter().filter(|(folder, _)| folder.is_dir()) {
            let (before, why_not) = (self.holds(folder, *limit), self.why_not(folder));
            match self.prepare(folder, *limit, None, false) {
                Ok(()) if before => {}
                Ok(()) => tracing::info!("{} is limited by project quota.", folder.display()),
                Err(why) if why_not == Some(why.to_string()) => {}
                Err(why @ NoQuota::None(_)) => {
                    tracing::info!(
                        "{} is limited by an overlay, for commands alone: {why}.",
                        folder.display()
                    );
                }
                Err(why) => {
                    tracing::warn!(
                        "{} is limited by an overlay, for commands alone: {why}.",
                        folder.display()
                    );
                }
            }
        }
    }
}
