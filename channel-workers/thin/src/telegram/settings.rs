//! What a Telegram account is told.

use creel_ipc::msg::channel::ChannelConfig;
use creel_ipc::{RpcError, Secret};

use crate::settings::Settings;

/// Units of one part when nobody says otherwise; the platform's own limit is [`MOST_TEXT`].
const TEXT: usize = 4000;
/// UTF-16 units of one message.
pub(super) const MOST_TEXT: usize = 4096;

/// One bot.
#[derive(Debug)]
pub(super) struct TelegramSettings {
    pub(super) token: Secret,
    /// Without a trailing slash.
    pub(super) api_root: String,
    pub(super) poll_seconds: u64,
    /// Whether a changed message counts as a new one.
    pub(super) edits: bool,
}

impl TelegramSettings {
    pub(super) fn read(config: &ChannelConfig) -> Result<Self, RpcError> {
        let settings = Settings::of(config)?;
        let Some(token) = settings.secret("botToken")? else {
            return Err(settings.fault("botToken", "is missing; write the token that @BotFather gave"));
        };
        let of_a_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
        if !token.expose().contains(':') || !token.expose().chars().all(of_a_token) {
            return Err(settings.fault(
                "botToken",
                "is no bot token; it must look like `123456:ABC-DEF…`, as @BotFather gave it",
            ));
        }
        let root = settings.text("apiRoot")?.unwrap_or("https://api.telegram.org").trim_end_matches('/');
        let fits = reqwest::Url::parse(root).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
        });
        if !fits {
            return Err(settings.fault("apiRoot", "is no address like `https://api.telegram.org`"));
        }
        if root.contains("/bot") {
            return Err(
                settings.fault("apiRoot", "must be the root of the Bot API, without `/bot` and the token")
            );
        }
        let poll_seconds = settings.number("pollTimeoutSeconds", 0, 50)?.unwrap_or(30);
        let edits = settings.flag("editedMessages")?.unwrap_or(false);
        Ok(Self { token, api_root: root.to_owned(), poll_seconds, edits })
    }
}

/// Units of one part.
pub(super) fn text_limit(config: &ChannelConfig) -> usize {
    config.text_limit.map_or(TEXT, |limit| usize::try_from(limit).unwrap_or(TEXT).clamp(16, MOST_TEXT))
}
