//! Replies shown while they are written: one task for each turn owns its draft, so that there is never a second
//! message for one draft, and the final text takes over exactly what is shown.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::msg::channel::Draft;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::{Account, Drafted};

/// Drafts that can be open at a time; further ones are not shown.
const MOST: usize = 64;
/// Turns that are remembered as said.
const REMEMBERED: usize = 256;
/// A draft whose turn never says its last word is forgotten after this time.
const IDLE: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Default)]
pub(crate) struct Drafts(Mutex<Turns>);

#[derive(Debug, Default)]
struct Turns {
    open: HashMap<String, Open>,
    /// Turns whose final text was said: a version that comes late shows nothing.
    said: VecDeque<String>,
}

#[derive(Debug)]
struct Open {
    texts: watch::Sender<String>,
    owner: JoinHandle<Option<String>>,
}

impl Drafts {
    /// Shows the newest text as soon as the platform allows; versions in between are passed over.
    pub(crate) async fn show(&self, account: &Arc<dyn Account>, draft: Draft) {
        let Some(every) = account.draft_every() else { return };
        let mut turns = self.0.lock().await;
        let Turns { open, said } = &mut *turns;
        if said.contains(&draft.draft) {
            return;
        }
        if let Some(turn) = open.get(&draft.draft) {
            turn.texts.send_replace(draft.text);
            return;
        }
        open.retain(|_, turn| !turn.owner.is_finished());
        if open.len() >= MOST {
            return;
        }
        let (texts, newest) = watch::channel(draft.text.clone());
        let id = draft.draft.clone();
        let owner = tokio::spawn(own(Arc::clone(account), draft, newest, every));
        open.insert(id, Open { texts, owner });
    }

    /// Ends a draft and returns the message that shows it.
    pub(crate) async fn take(&self, draft: &str) -> Option<String> {
        let Open { texts, owner } = {
            let mut turns = self.0.lock().await;
            turns.said.push_back(draft.to_owned());
            if turns.said.len() > REMEMBERED {
                turns.said.pop_front();
            }
            turns.open.remove(draft)?
        };
        drop(texts);
        owner.await.ok().flatten()
    }
}

/// Ends when the final text takes over (the sender is dropped). An attempt under way is finished first: its outcome
/// decides whether there is a message to take over.
async fn own(
    account: Arc<dyn Account>,
    draft: Draft,
    mut newest: watch::Receiver<String>,
    every: Duration,
) -> Option<String> {
    let mut shown = None;
    newest.mark_changed();
    loop {
        match tokio::time::timeout(IDLE, newest.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return shown,
        }
        let text = newest.borrow_and_update().clone();
        if text.trim().is_empty() {
            continue;
        }
        let pause = match account.draft(&draft.route, &text, shown.as_deref()).await {
            Drafted::Shown(id) => {
                shown = Some(id);
                every
            }
            Drafted::Later(pause) => {
                newest.mark_changed();
                pause.max(every)
            }
            Drafted::GaveUp => {
                // Its place stays taken, so that a later version does not begin a second message.
                while matches!(tokio::time::timeout(IDLE, newest.changed()).await, Ok(Ok(()))) {}
                return shown;
            }
        };
        // The final text does not wait for the throttle.
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = taken(newest.clone()) => return shown,
        }
    }
}

async fn taken(mut newest: watch::Receiver<String>) {
    while newest.changed().await.is_ok() {}
}
