//! Keeps typing indicators alive, each for at most a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::msg::channel::{Route, Typing};
use tokio::task::AbortHandle;

use crate::Account;

/// An indicator that nobody hides ends after this time.
pub(crate) const MOST: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Indicators(HashMap<(String, Option<String>), AbortHandle>);

impl Indicators {
    /// Shows or hides the indicator of one conversation.
    pub(crate) fn set(&mut self, account: Arc<dyn Account>, typing: Typing) {
        self.0.retain(|_, shown| !shown.is_finished());
        let place = (typing.route.chat_id.clone(), typing.route.thread.clone());
        if let Some(shown) = self.0.remove(&place) {
            shown.abort();
        }
        if let Some(every) = account.typing_every().filter(|_| typing.on) {
            let task = tokio::spawn(tokio::time::timeout(MOST, keep(account, typing.route, every)));
            self.0.insert(place, task.abort_handle());
        }
    }
}

async fn keep(account: Arc<dyn Account>, route: Route, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        account.typing(&route).await;
    }
}
