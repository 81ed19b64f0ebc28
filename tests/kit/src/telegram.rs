//! A home with a fake Telegram and a fake model: messages go in at one end and answers come out at the same.

use anyhow::{Result, anyhow};
use fake_model::{Asked, FakeModel};
use fake_telegram::{Fake, Inject, Sent, TOKEN, control};

use crate::creel::Creel;
use crate::deadline::{PATIENCE, within};
use crate::{TestHome, config};

/// The methods that say something new.
const SAYING: [&str; 1] = ["sendMessage"];

/// The home and both fakes.
#[derive(Debug)]
pub struct TelegramHome {
    /// The home.
    pub home: TestHome,
    /// Telegram.
    pub telegram: Fake,
    /// The model.
    pub model: FakeModel,
}

impl TelegramHome {
    /// Starts the fakes and writes the configuration.
    ///
    /// # Errors
    /// When a fake cannot be started.
    pub async fn new() -> Result<Self> {
        Self::in_home(TestHome::new()?).await
    }

    /// The same in a home that is there.
    ///
    /// # Errors
    /// When a fake cannot be started.
    pub async fn in_home(home: TestHome) -> Result<Self> {
        let telegram = Fake::start().await?;
        let model = FakeModel::start(0).await?;
        home.configure(config::model(&model.openai_url()))?;
        home.configure(config::telegram(&telegram.api_root(), TOKEN))?;
        Ok(Self { home, telegram, model })
    }

    /// Starts Creel.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(&self) -> Result<Creel> {
        self.home.start().await
    }

    /// Somebody writes in a private chat whose id is that of the person.
    ///
    /// # Errors
    /// When the fake refuses.
    pub fn say(&self, chat: i64, text: &str) -> Result<()> {
        inject(&self.telegram, chat, text)
    }

    /// Waits until the model was asked with a last message that fits.
    ///
    /// # Errors
    /// When it is not; with everything that it was asked.
    pub async fn wait_asked(&self, what: &str, fits: impl Fn(&str) -> bool) -> Result<Asked> {
        let control = self.model.control();
        let asked = async { Ok(control.wait_asked(|asked| fits(&asked.last)).await) };
        within(&format!("the model is asked for {what}"), PATIENCE, asked).await.map_err(|error| {
            let all: Vec<_> = control.asked().into_iter().map(|asked| asked.last).collect();
            anyhow!("{error:#} It was asked {all:?}.")
        })
    }

    /// What was said in a chat, in order; drafts and edits do not count.
    pub fn said_in(&self, chat: i64) -> Vec<String> {
        texts(&self.telegram.sent(), chat)
    }

    /// Waits until so many things were said in a chat.
    ///
    /// # Errors
    /// When it does not happen.
    pub async fn wait_said(&self, chat: i64, count: usize) -> Result<Vec<String>> {
        let done = async { Ok(self.telegram.sent_when(|sent| texts(sent, chat).len() >= count).await) };
        let sent = within(&format!("{count} answers in chat {chat}"), PATIENCE, done).await;
        sent.map(|sent| texts(&sent, chat))
            .map_err(|error| anyhow!("{error:#} There is {:?}.", self.said_in(chat)))
    }
}

/// Puts a private message of a person in. The chat's id is the person's.
///
/// # Errors
/// When the fake refuses.
pub fn inject(telegram: &Fake, chat: i64, text: &str) -> Result<()> {
    let from = control::From { id: chat, ..control::From::default() };
    let message = Inject { chat, from, text: text.to_owned(), ..Inject::default() };
    telegram.inject(message).map(drop).map_err(anyhow::Error::msg)
}

/// What was said in a chat, in order.
pub fn texts(sent: &[Sent], chat: i64) -> Vec<String> {
    sent.iter()
        .filter(|sent| sent.chat_id == chat && SAYING.contains(&sent.method.as_str()))
        .map(|sent| sent.text.clone())
        .collect()
}
