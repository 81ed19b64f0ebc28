//! The way out: each key is sent once, each chat gets its messages one at a time, in the order they were asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use creel_ipc::error::ErrorData;
use creel_ipc::msg::channel::{Draft, SendMessage, SendParams, Sent};
use creel_ipc::{ErrorClass, RpcError};
use creel_link::{Link, Vitals};
use tokio::sync::watch;

use crate::book::{Book, Claim, Left, Outcome};
use crate::drafts::Drafts;
use crate::lease::Tenure;
use crate::{Account, Order, Parts, lock};

/// Sends and drafts of one worker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: Link,
    vitals: Vitals,
    account: Mutex<Arc<dyn Account>>,
    tenure: Tenure,
    book: Mutex<Book>,
    lanes: Mutex<HashMap<String, VecDeque<SendParams>>>,
    drafts: Drafts,
    /// Lanes at work.
    working: watch::Sender<usize>,
}

impl Dispatcher {
    /// Delivers through `account`.
    pub(crate) fn new(link: Link, vitals: Vitals, account: Arc<dyn Account>, tenure: Tenure) -> Self {
        Self(Arc::new(Inner {
            link,
            vitals,
            account: Mutex::new(account),
            tenure,
            book: Mutex::default(),
            lanes: Mutex::default(),
            drafts: Drafts::default(),
            working: watch::Sender::new(0),
        }))
    }

    /// The account that delivers now.
    pub fn account(&self) -> Arc<dyn Account> {
        self.0.account()
    }

    /// Delivers through another account from the next message on.
    pub fn use_account(&self, account: Arc<dyn Account>) {
        *lock(&self.0.account) = account;
    }

    /// Takes a `channel.send` request and sees to it that it is answered.
    pub async fn submit(&self, asker: u64, params: SendParams) {
        let claim = lock(&self.0.book).claim(asker, &params);
        match claim {
            Claim::Joined => {}
            Claim::Known(outcome) => self.0.link.answer::<SendMessage>(asker, outcome).await,
            Claim::Start => self.0.enqueue(params),
        }
    }

    /// Shows a draft.
    pub async fn draft(&self, draft: Draft) {
        let account = self.0.account();
        self.0.drafts.show(&account, draft).await;
    }

    /// Waits until nothing is being delivered, at most for `most`.
    pub async fn quiet(&self, most: Duration) {
        let mut working = self.0.working.subscribe();
        let quiet = working.wait_for(|lanes| *lanes == 0);
        if tokio::time::timeout(most, quiet).await.is_err() {
            tracing::warn!("The worker ends while a message is being delivered; its outcome stays unknown.");
        }
    }
}

impl Inner {
    fn account(&self) -> Arc<dyn Account> {
        Arc::clone(&lock(&self.account))
    }

    fn enqueue(self: &Arc<Self>, params: SendParams) {
        let lane = params.route.chat_id.clone();
        let idle = {
            let mut lanes = lock(&self.lanes);
            let idle = !lanes.contains_key(&lane);
            lanes.entry(lane.clone()).or_default().push_back(params);
            idle
        };
        if idle {
            self.working.send_modify(|lanes| *lanes += 1);
            tokio::spawn(Arc::clone(self).drain(lane));
        }
    }

    async fn drain(self: Arc<Self>, lane: String) {
        while let Some(params) = self.next(&lane) {
            let key = params.key.clone();
            let (left, outcome) = self.deliver(params).await;
            let askers = lock(&self.book).finish(&key, left, &outcome);
            for asker in askers {
                self.link.answer::<SendMessage>(asker, outcome.clone()).await;
            }
        }
        self.working.send_modify(|lanes| *lanes -= 1);
    }

    fn next(&self, lane: &str) -> Option<SendParams> {
        let mut lanes = lock(&self.lanes);
        let params = lanes.get_mut(lane).and_then(VecDeque::pop_front);
        if params.is_none() {
            lanes.remove(lane);
        }
        params
    }

    async fn deliver(&self, params: SendParams) -> (Left, Outcome) {
        let _busy = self.vitals.busy();
        let left = lock(&self.book).left(&params.key);
        let draft_message = match &params.draft {
            Some(draft) => self.drafts.take(draft).await.or(left.draft_message),
            None => left.draft_message,
        };
        let key = params.key.clone();
        let parts = Parts::new(key, left.parts, left.ids, self.link.clone(), self.vitals.clone());
        let order = Order { params, draft_message, parts };
        let ended = if order.params.route.chat_id.is_empty() {
            let sentence =
                "The route names no chat; a message is never sent to a chat that was only guessed.";
            Err(RpcError::new(ErrorClass::BadRequest, sentence))
        } else {
            let account = self.account();
            // An account without a lease refuses by itself; what is cut off in the middle may have been said.
            let cut =
                || RpcError::new(ErrorClass::UnknownOutcome, "The account became another host's meanwhile.");
            match self.tenure.holds() {
                true => self.tenure.within(account.send(&order)).await.unwrap_or_else(|| Err(cut())),
                false => Err(self.tenure.refusal()),
            }
        };
        self.vitals.progress();
        let (parts, ids) = (order.parts.sent(), order.parts.ids());
        let outcome = match ended {
            Ok(()) => Ok(Sent { message_ids: ids.clone() }),
            Err(error) => Err(with_parts(error, parts)),
        };
        (Left { parts, ids, draft_message: order.draft_message }, outcome)
    }
}

fn with_parts(mut error: RpcError, parts: u32) -> RpcError {
    let data = error.data.get_or_insert(ErrorData::of(ErrorClass::Unknown));
    data.parts_sent = Some(parts);
    error
}
