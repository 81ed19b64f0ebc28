//! `channels.telegram`: bots of the Telegram Bot API.

use creel_ipc::Secret;

use super::*;
use crate::endpoint::BaseUrl;
use crate::noun::{noun, within};

noun! {
    /// One bot.
    pub struct Telegram {
        /// The bot's token. The account `default` also takes it from TELEGRAM_BOT_TOKEN.
        "botToken" => bot_token: Option<Secret> = None;
        /// Where the Bot API is reached.
        "apiRoot" => api_root: Option<BaseUrl> = BaseUrl::parse("https://api.telegram.org").ok();
        /// Seconds that one request for news stays open.
        "pollTimeoutSeconds" => poll_timeout_seconds: u32 = 30, check within(0, 50);
        /// Whether a message that was edited is taken as a new one; otherwise the edit is not noticed.
        "editedMessages" => edited_messages: bool = false;
    }
}

impl Platform for Telegram {
    const CHANNEL: &'static str = "telegram";
    const IDENTITY: &'static [&'static str] = &["botToken", "name"];

    fn endpoints(&self) -> Vec<Endpoint> {
        self.api_root.iter().map(|url| url.endpoint().clone()).collect()
    }

    fn complete(&mut self, id: &Id, table: &Node, at: &mut Reading<'_>) {
        if self.bot_token.is_none() && *id == Id::default_account() {
            self.bot_token = at.secret_from_env("TELEGRAM_BOT_TOKEN");
        }
        if self.bot_token.is_none() && table.get("botToken").is_none() {
            at.fault(
                table.mark,
                format!("the Telegram account \"{id}\" has no botToken"),
                "add botToken: \"${TELEGRAM_BOT_TOKEN}\", or enabled: false",
            );
        }
        if self.api_root.is_none() {
            self.api_root = Self::default().api_root;
        }
    }
}
