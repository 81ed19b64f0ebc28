//! Watches the configuration's files and asks for a reload when their content changed.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use creel_config::gateway::ReloadMode;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::core::Core;

/// Runs until the gateway ends. Folders are watched, not files: editors replace files.
pub(crate) async fn watch(core: Arc<Core>, config_file: PathBuf) {
    let changed = Arc::new(Notify::new());
    let bell = Arc::clone(&changed);
    let seen = move |event: notify::Result<notify::Event>| {
        // Reading the file is an event, too; it must not wake whoever reads.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            bell.notify_one();
        }
    };
    let mut watcher = match notify::recommended_watcher(seen) {
        Ok(watcher) => watcher,
        Err(error) => {
            return tracing::warn!(
                "Changes of the configuration are not noticed by themselves: {error}. Use `creel reload`."
            );
        }
    };
    let mut folders = Vec::new();
    let mut applied = print(&files(&core, &config_file));
    loop {
        follow(&mut watcher, &mut folders, &files(&core, &config_file));
        tokio::select! {
            () = changed.notified() => {}
            () = core.stopping.cancelled() => return,
        }
        let rules = core.settings().config.gateway.reload.clone();
        settle(&changed, Duration::from_millis(rules.debounce_ms)).await;
        let now = print(&files(&core, &config_file));
        if now == applied || rules.mode == ReloadMode::Off {
            continue;
        }
        applied = now;
        match core.config_reload().await {
            Ok(reloaded) if reloaded.changes.is_empty() => {
                tracing::info!("The configuration was read again: generation {}.", reloaded.generation);
            }
            Ok(reloaded) => {
                tracing::info!("The configuration was read again: {}", reloaded.changes.join(" "));
            }
            Err(error) => tracing::error!("The changed configuration is not applied: {error}"),
        }
    }
}

/// Waits until nothing has changed for a while.
async fn settle(changed: &Notify, quiet: Duration) {
    while tokio::time::timeout(quiet, changed.notified()).await.is_ok() {}
}

fn files(core: &Core, config_file: &Path) -> Vec<PathBuf> {
    let mut files = core.settings().files.clone();
    if !files.iter().any(|file| file == config_file) {
        files.push(config_file.to_owned());
    }
    files
}

fn follow(watcher: &mut RecommendedWatcher, folders: &mut Vec<PathBuf>, files: &[PathBuf]) {
    for folder in files.iter().filter_map(|file| file.parent()) {
        if folders.iter().any(|known| known == folder) {
            continue;
        }
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => folders.push(folder.to_owned()),
            Err(error) => tracing::warn!(
                "Changes in {} are not noticed by themselves: {error}. Use `creel reload`.",
                folder.display()
            ),
        }
    }
}

/// What the files say. Only compared within this process.
fn print(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.hash(&mut hasher);
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}
