//! The quarantine: a folder for each run that left something, with a list of what is in it.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, openat, renameat_with, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::Look;
use super::walk::beneath;
use crate::{clock, place};

const LIST: &str = "list.json";
/// Folders of one run.
const FOLDERS: u32 = 1000;

/// What one run left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Whose run it was.
    pub agent: String,
    /// The run.
    pub run: String,
    /// When it was looked at: RFC 3339.
    pub at: String,
    /// Where the things come from.
    pub workspace: PathBuf,
    /// The things.
    pub items: Vec<Item>,
}

/// One thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name in the folder; where it could not be moved there, its new name beside the old one.
    pub name: String,
    /// Where it was in the workspace.
    pub path: PathBuf,
    /// Whether it is still in the workspace, under that other name: it lies on another file system.
    #[serde(default)]
    pub in_place: bool,
}

/// The folder of one run, made with its first thing.
pub(super) struct Folder<'a> {
    look: &'a Look,
    open: Option<(PathBuf, OwnedFd)>,
    list: Quarantined,
}

impl<'a> Folder<'a> {
    pub(super) fn of(look: &'a Look) -> Self {
        let list = Quarantined {
            agent: look.agent.clone(),
            run: look.run.clone(),
            at: clock::rfc3339(clock::now_ms()),
            workspace: look.workspace.clone(),
            items: Vec::new(),
        };
        Self { look, open: None, list }
    }

    /// Moves one thing in.
    pub(super) fn take(&mut self, top: &OwnedFd, path: &Path) -> io::Result<()> {
        let (parent, file) = parent(top, path)?;
        self.open()?;
        let mut item = Item { name: self.free_name(), path: path.to_owned(), in_place: false };
        let (folder, dir) = self.open()?;
        match renameat_with(&parent, &file, dir, &item.name, RenameFlags::NOREPLACE) {
            Err(Errno::XDEV) => {
                // On another file system: out of everybody's sight under a name that nobody reads.
                item.in_place = true;
                item.name = format!("{}.quarantined-{}", file.display(), clock::now_ms());
                renameat_with(&parent, &file, &parent, &item.name, RenameFlags::NOREPLACE)?;
            }
            outcome => outcome?,
        }
        let folder = folder.to_owned();
        self.list.items.push(item);
        write(&folder, &self.list)
    }

    /// A name that nothing in the folder has.
    fn free_name(&self) -> String {
        let taken = self.list.items.iter().filter_map(|item| item.name.parse::<u64>().ok()).max();
        (taken.unwrap_or(0) + 1).to_string()
    }

    fn open(&mut self) -> io::Result<(&Path, &OwnedFd)> {
        let (path, dir) = match self.open.take() {
            Some(open) => open,
            None => {
                let of_agent = self.look.quarantine.join(plain(&self.look.agent));
                let run = plain(&self.look.run);
                let named = |number: u32| match number {
                    1 => of_agent.join(&run),
                    number => of_agent.join(format!("{run}.{number}")),
                };
                // A folder for each of those that the run may write. One that is looked at a second time, after an upgrade,
                // goes on with its list.
                let mut path = named(1);
                for number in 1..=FOLDERS {
                    path = named(number);
                    match read(&path) {
                        Ok(before) if before.workspace == self.list.workspace => {
                            self.list.items = before.items;
                            break;
                        }
                        Ok(_another) if number == FOLDERS => return Err(io::ErrorKind::AlreadyExists.into()),
                        Ok(_another) => {}
                        Err(_none) => break,
                    }
                }
                place::private(&path)?;
                let dir =
                    openat(CWD, &path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                (path, dir)
            }
        };
        let (path, dir) = self.open.insert((path, dir));
        Ok((path, dir))
    }
}

/// A name without a way out of its folder.
fn plain(name: &str) -> String {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    name.chars().take(96).map(|c| if fit(c) { c } else { '.' }).collect::<String>().replace("..", "._")
}

fn parent(top: &OwnedFd, path: &Path) -> io::Result<(OwnedFd, std::ffi::OsString)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    let above = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = beneath(top, above, OFlags::PATH | OFlags::DIRECTORY)?;
    Ok((dir, name))
}

fn write(folder: &Path, list: &Quarantined) -> io::Result<()> {
    let fresh = folder.join("list.json.new");
    fs::write(&fresh, serde_json::to_vec_pretty(list)?)?;
    fs::rename(fresh, folder.join(LIST))
}

fn read(folder: &Path) -> io::Result<Quarantined> {
    Ok(serde_json::from_slice(&fs::read(folder.join(LIST))?)?)
}

/// Everything in quarantine, oldest first, with its folder.
pub fn list(quarantine: &Path) -> Vec<(PathBuf, Quarantined)> {
    let folders = |of: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(of).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let runs = folders(quarantine).into_iter().flat_map(|agent| folders(&agent));
    let mut all: Vec<_> = runs.filter_map(|run| read(&run).ok().map(|list| (run, list))).collect();
    all.sort_by(|(_, a), (_, b)| a.at.cmp(&b.at));
    all
}

/// Brings one thing back to where it was. The folder is gone with its last thing.
///
/// # Errors
/// When something else is there now, or the workspace is not.
pub fn restore(folder: &Path, list: &mut Quarantined, path: &Path) -> io::Result<()> {
    let at = list.items.iter().position(|item| item.path == path).ok_or(io::ErrorKind::NotFound)?;
    let Some(item) = list.items.get(at) else { return Err(io::ErrorKind::NotFound.into()) };
    if !item.path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let top =
        openat(CWD, &list.workspace, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let (parent, name) = parent(&top, &item.path)?;
    if statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Err(io::Error::other("there is something else at its place"));
    }
    if item.in_place {
        renameat_with(&parent, &item.name, &parent, &name, RenameFlags::NOREPLACE)?;
    } else {
        renameat_with(CWD, folder.join(&item.name), &parent, &name, RenameFlags::NOREPLACE)?;
    }
    list.items.remove(at);
    if list.items.is_empty() { drop_run(folder) } else { write(folder, list) }
}

/// Deletes what one run left.
///
/// # Errors
/// When the system does not let us.
pub fn drop_run(folder: &Path) -> io::Result<()> {
    if let Ok(list) = read(folder) {
        for item in list.items.iter().filter(|item| item.in_place) {
            let beside = list.workspace.join(&item.path).with_file_name(&item.name);
            let gone = if beside.symlink_metadata()?.is_dir() {
                fs::remove_dir_all(&beside)
            } else {
                fs::remove_file(&beside)
            };
            gone?;
        }
    }
    fs::remove_dir_all(folder)?;
    // The agent's folder stays while there is something else in it.
    let _others = folder.parent().map(fs::remove_dir);
    Ok(())
}
