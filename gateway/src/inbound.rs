//! What becomes of an inbound message: the one place where access, route and lane meet.

use std::time::Duration;

use creel_config::Config;
use creel_config::messages::QueueMode;
use creel_config::session::{Reset, ResetMode};
use creel_ipc::blob::Attachment;
use creel_ipc::msg::agent::{Author, InputMessage};
use creel_ipc::msg::channel::{ChatKind, Inbound, Route};
use jiff::Zoned;

use crate::access::{self, Verdict};
use crate::route::{self, Origin};
use crate::settings::Settings;
use crate::store::{Answer, ChannelWay, Fate, NewMessage, NewPairing, Placed};

/// A message with what was decided about it.
#[derive(Debug)]
pub(crate) struct Decided {
    /// For the store.
    pub message: NewMessage,
    /// The lane that has to be woken, and its agent, when it is to be answered.
    pub lane: Option<(String, String)>,
    /// The lane whose running turn it wants to stop; it wants nothing else then.
    pub stopped: Option<String>,
    /// Why nothing becomes of it.
    pub ignored: Option<&'static str>,
}

/// Decides. `paired` says whether the sender was let in by a code, `random` makes a code if one is needed.
pub(crate) fn decide(
    settings: &Settings,
    channel: &str,
    account: &str,
    inbound: Inbound,
    paired: bool,
    random: [u8; 8],
    now_ms: i64,
) -> Decided {
    let origin = Origin { channel, account, chat: &inbound.chat, sender: &inbound.sender };
    let (agent, _) = route::agent(&settings.config, origin);
    let lane = route::session_key(&settings.config, &agent, origin);
    let verdict = match settings.config.channels.account(channel, account) {
        Some(view) => access::judge(settings, view.common, &agent, &inbound, paired),
        None => Verdict::Ignore("its account is not configured any more"),
    };
    let keep = settings
        .config
        .channels
        .account(channel, account)
        .map_or(0, |view| access::context_kept(settings, view.common));
    let (ext_id, cursor) = (inbound.ext_id.clone(), inbound.cursor.clone());
    let reply_to = (inbound.chat.kind != ChatKind::Direct).then(|| inbound.message_id.clone());
    let to = answer_route(&inbound, reply_to);
    let mut decided = Decided {
        message: NewMessage { ext_id, cursor, now_ms, fate: Fate::Ignored },
        lane: None,
        stopped: None,
        ignored: None,
    };
    match verdict {
        Verdict::Ignore(reason) => decided.ignored = Some(reason),
        Verdict::Pair => {
            let code = access::code(random);
            decided.message.fate = Fate::Pairing(NewPairing {
                sender: inbound.sender.id,
                name: inbound.sender.name.or(inbound.sender.username),
                text: access::pairing_text(channel, &code),
                code,
                expires_ms: now_ms + access::CODE_TTL_MS,
                max: access::CODES_WAITING,
                route: to,
            });
        }
        Verdict::Context => {
            let answer = Answer::read(&inbound.text);
            let placed = place(settings, agent, lane, (channel, inbound), to, true);
            let otherwise = match keep {
                0 => {
                    decided.ignored = Some("nobody is addressed");
                    Fate::Ignored
                }
                keep => Fate::Context { placed: placed.clone(), keep },
            };
            decided.message.fate = perhaps(answer, placed, otherwise);
        }
        Verdict::Answer => {
            let answer = Answer::read(&inbound.text);
            let stops = inbound.text.trim().eq_ignore_ascii_case("/stop");
            let placed = place(settings, agent.clone(), lane.clone(), (channel, inbound), to, false);
            let otherwise = if stops {
                decided.stopped = Some(lane);
                Fate::Ignored
            } else {
                decided.lane = Some((lane, agent));
                Fate::Turn(placed.clone())
            };
            decided.message.fate = perhaps(answer, placed, otherwise);
        }
    }
    decided
}

/// A word that answers does so where its session was asked something.
fn perhaps(answer: Option<Answer>, placed: Placed, otherwise: Fate) -> Fate {
    match answer {
        Some(answer) => Fate::Answer { placed, answer, otherwise: Box::new(otherwise) },
        None => otherwise,
    }
}

/// The way back: to where it was said, whatever happens meanwhile.
fn answer_route(inbound: &Inbound, reply_to: Option<String>) -> Route {
    let addressee = (inbound.chat.kind != ChatKind::Direct)
        .then(|| inbound.sender.name.clone().or_else(|| inbound.sender.username.clone()))
        .flatten();
    Route {
        chat_id: inbound.chat.id.clone(),
        kind: inbound.chat.kind,
        thread: inbound.chat.thread.clone(),
        reply_to,
        addressee,
    }
}

fn place(
    settings: &Settings,
    agent: String,
    lane: String,
    (channel, inbound): (&str, Inbound),
    to: Route,
    context_only: bool,
) -> Placed {
    let author = Author { channel: channel.to_owned(), id: inbound.sender.id.clone() };
    let name = inbound.sender.name.or(inbound.sender.username).unwrap_or(inbound.sender.id);
    let direct = inbound.chat.kind == ChatKind::Direct;
    let (resets, text) = if context_only { (false, inbound.text) } else { resets(settings, inbound.text) };
    Placed {
        lane,
        agent,
        kind: inbound.chat.kind.as_str().to_owned(),
        title: if direct { Some(name.clone()) } else { inbound.chat.title },
        session_id: uuid::Uuid::now_v7().to_string(),
        run: None,
        resets,
        route: Some(to),
        input: InputMessage {
            text,
            sender: (!direct).then_some(name),
            author: Some(author),
            context_only,
            quoted: inbound.quote.and_then(|quote| quote.text),
            attachments: inbound.attachments,
            at_ms: inbound.at_ms,
        },
    }
}

/// A message of the web page, the command line or the API.
pub(crate) fn typed(
    settings: &Settings,
    lane: &str,
    run: String,
    text: String,
    attachments: Vec<Attachment>,
    now_ms: i64,
) -> NewMessage {
    let agent = route::agent_of(lane).unwrap_or_default().to_owned();
    let (resets, text) = resets(settings, text);
    let placed = Placed {
        lane: lane.to_owned(),
        agent,
        kind: kind_of(lane).to_owned(),
        title: None,
        session_id: uuid::Uuid::now_v7().to_string(),
        run: Some(run.clone()),
        resets,
        route: None,
        input: InputMessage {
            text,
            sender: None,
            author: None,
            context_only: false,
            quoted: None,
            attachments,
            at_ms: now_ms,
        },
    };
    let answer = if resets { None } else { Answer::read(&placed.input.text) };
    let fate = perhaps(answer, placed.clone(), Fate::Turn(placed));
    NewMessage { ext_id: run, cursor: None, now_ms, fate }
}

/// The kind of conversation that a key names.
pub(crate) fn kind_of(lane: &str) -> &'static str {
    match lane {
        _ if lane.contains(":group:") => "group",
        _ if lane.contains(":channel:") => "channel",
        _ => "direct",
    }
}

/// Whether the text begins the session afresh, and what is left of it then.
fn resets(settings: &Settings, text: String) -> (bool, String) {
    let trimmed = text.trim();
    let (first, rest) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
    let triggers = &settings.config.session.reset_triggers;
    if triggers.iter().any(|trigger| trigger.eq_ignore_ascii_case(first)) {
        (true, rest.trim().to_owned())
    } else {
        (false, text)
    }
}

/// The mode of a lane's queue, for messages of a channel.
fn queue_mode(config: &Config, lane: &str, channel: Option<&str>) -> QueueMode {
    let queue = &config.messages.queue;
    channel_of(lane, channel).and_then(|channel| queue.by_channel.get(channel)).copied().unwrap_or(queue.mode)
}

/// Whether messages that wait together become one turn.
pub(crate) fn merges(config: &Config, lane: &str, channel: Option<&str>) -> bool {
    queue_mode(config, lane, channel) != QueueMode::Followup
}

/// What a message does that arrives behind a running turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind {
    /// How long its lane waits for further ones.
    pub pause: Duration,
    /// Whether it ends the running turn.
    pub interrupts: bool,
}

/// What a message of a channel does that arrives behind a running turn, unless its session has a mode of its own.
pub(crate) fn behind(config: &Config, lane: &str, channel: Option<&str>, own: Option<&str>) -> Behind {
    let queue = &config.messages.queue;
    let own = own.and_then(queue_mode_of);
    let mode = own.unwrap_or_else(|| queue_mode(config, lane, channel));
    let pause = match mode {
        QueueMode::Followup | QueueMode::Interrupt => Duration::ZERO,
        QueueMode::Collect => {
            let channel = channel_of(lane, channel);
            let by_channel = channel.and_then(|channel| queue.debounce_ms_by_channel.get(channel)).copied();
            Duration::from_millis(by_channel.unwrap_or(queue.debounce_ms))
        }
    };
    Behind { pause, interrupts: mode == QueueMode::Interrupt }
}

/// The mode that a word names.
pub(crate) fn queue_mode_of(word: &str) -> Option<QueueMode> {
    [QueueMode::Followup, QueueMode::Collect, QueueMode::Interrupt]
        .into_iter()
        .find(|mode| mode.word() == word)
}

/// What is configured otherwise for channels, for a lane whose key names none: that of a person who writes on several.
pub(crate) fn ways(config: &Config, lane: &str, now_ms: i64) -> Vec<ChannelWay> {
    if names_channel(lane) {
        return Vec::new();
    }
    let by_queue = config.messages.queue.by_channel.keys();
    let mut channels: Vec<&String> = by_queue.chain(config.session.reset_by_channel.keys()).collect();
    channels.sort_unstable();
    channels.dedup();
    let way = |channel: &String| ChannelWay {
        channel: channel.clone(),
        merge: merges(config, lane, Some(channel)),
        stale_before_ms: stale_before(config, lane, Some(channel), now_ms),
    };
    channels.into_iter().map(way).collect()
}

/// Whether the key names the channel, as in `agent:main:telegram:group:5`; `agent:main:main` and `agent:main:direct:7`
/// do not.
fn names_channel(lane: &str) -> bool {
    let mut parts = lane.split(':').skip(2);
    let (first, second) = (parts.next(), parts.next());
    second.is_some() && first != Some("direct")
}

/// The channel that a key names, else the one that a message came in on.
fn channel_of<'a>(lane: &'a str, channel: Option<&'a str>) -> Option<&'a str> {
    if names_channel(lane) { lane.split(':').nth(2) } else { channel }
}

/// The session begins afresh when its last turn ended before this moment, for messages of a channel.
pub(crate) fn stale_before(config: &Config, lane: &str, channel: Option<&str>, now_ms: i64) -> i64 {
    let reset = reset_of(config, lane, channel);
    let idle = reset.idle_minutes.map(|minutes| now_ms - i64::from(minutes) * 60_000);
    match reset.mode {
        ResetMode::None => i64::MIN,
        ResetMode::Idle => idle.unwrap_or(i64::MIN),
        ResetMode::Daily => {
            let now = jiff::Timestamp::from_millisecond(now_ms)
                .map(|now| now.to_zoned(jiff::tz::TimeZone::system()));
            let daily = now.ok().and_then(|now| last_hour(&now, reset.at_hour)).unwrap_or(i64::MIN);
            daily.max(idle.unwrap_or(i64::MIN))
        }
    }
}

fn reset_of<'a>(config: &'a Config, lane: &str, channel: Option<&str>) -> &'a Reset {
    let session = &config.session;
    let by_channel = channel_of(lane, channel).and_then(|channel| session.reset_by_channel.get(channel));
    let by_type = &session.reset_by_type;
    let of_type = match kind_of(lane) {
        _ if lane.contains(":thread:") || lane.contains(":topic:") => by_type.thread.as_ref(),
        "direct" => by_type.direct.as_ref().or(by_type.dm.as_ref()),
        _ => by_type.group.as_ref(),
    };
    by_channel.or(of_type).unwrap_or(&session.reset)
}

/// The last time that the clock showed this hour.
fn last_hour(now: &Zoned, hour: u16) -> Option<i64> {
    let hour = i8::try_from(hour).ok()?;
    let today = now.date().at(hour, 0, 0, 0).to_zoned(now.time_zone().clone()).ok()?;
    let last = if today <= *now {
        today
    } else {
        let yesterday = now.date().yesterday().ok()?;
        yesterday.at(hour, 0, 0, 0).to_zoned(now.time_zone().clone()).ok()?
    };
    Some(last.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests;
