//! The platforms, and people who write there.

use super::*;

/// Everything that no store can take back.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// By account: messages that nobody has acknowledged, oldest first.
    waiting: BTreeMap<String, Vec<NewMessage>>,
    /// Who was told that their message is safe.
    pub acknowledged: BTreeSet<String>,
    /// How often a key was said.
    pub said: BTreeMap<String, u32>,
    /// How often a step's side effect happened, by turn and step.
    pub effects: BTreeMap<(String, u32), u32>,
    /// The highest epoch that polled an account.
    polled: BTreeMap<String, u64>,
    pub faults: Vec<String>,
}

pub(super) fn lane_of(account: &str, chat: u64) -> String {
    format!("agent:main:{account}:direct:{chat}")
}

/// The n-th message of all.
pub(super) fn say(n: u64, dice: &mut Dice) -> (String, NewMessage) {
    let account = ACCOUNTS[dice.between(0, ACCOUNTS.len() as u64) as usize];
    let chat = dice.between(0, CHATS);
    let route = Route {
        chat_id: chat.to_string(),
        kind: ChatKind::Direct,
        thread: None,
        reply_to: None,
        addressee: None,
    };
    let input = InputMessage {
        text: format!("{n:04}"),
        sender: None,
        author: None,
        context_only: false,
        quoted: None,
        attachments: Vec::new(),
        at_ms: 0,
    };
    let placed = Placed {
        lane: lane_of(account, chat),
        agent: "main".into(),
        kind: "direct".into(),
        title: None,
        session_id: format!("{account}/{chat}"),
        run: None,
        resets: false,
        route: Some(route),
        input,
    };
    let message =
        NewMessage { ext_id: format!("{n:04}"), cursor: None, now_ms: n as i64, fate: Fate::Turn(placed) };
    (account.to_owned(), message)
}

impl Outside {
    pub(super) fn write(&mut self, account: String, message: NewMessage) {
        self.waiting.entry(account).or_default().push(message);
    }

    /// The next message of an account, for whoever believes that it is theirs.
    pub(super) fn poll(&mut self, own: &Held) -> Option<NewMessage> {
        let polled = self.polled.entry(own.account().to_owned()).or_default();
        if own.epoch() < *polled {
            self.faults.push(format!(
                "{} was polled by its former holder of epoch {} after epoch {polled}",
                own.account(),
                own.epoch()
            ));
        }
        *polled = own.epoch().max(*polled);
        self.waiting.get(own.account())?.first().cloned()
    }

    /// The platform need not keep the message any more.
    pub(super) fn acknowledge(&mut self, account: &str, ext_id: &str) {
        self.acknowledged.insert(ext_id.to_owned());
        if let Some(waiting) = self.waiting.get_mut(account) {
            waiting.retain(|message| message.ext_id != ext_id);
        }
    }

    pub(super) fn all_are_acknowledged(&self) -> bool {
        self.waiting.values().all(Vec::is_empty)
    }

    pub(super) fn hear(&mut self, key: &str) {
        *self.said.entry(key.to_owned()).or_default() += 1;
    }
}
