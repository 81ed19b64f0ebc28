use std::path::Path;

use jiff::civil;

use super::*;

fn settings(text: &str) -> Settings {
    Settings::of_text(text, Path::new("/nonexistent/creel"))
}

#[test]
fn only_the_first_word_begins_a_session() {
    let settings = settings("{}");
    let of = |text: &str| resets(&settings, text.to_owned());
    assert_eq!(of("/new"), (true, String::new()));
    assert_eq!(of(" /RESET  tell me more "), (true, "tell me more".to_owned()));
    assert_eq!(of("what is /new?"), (false, "what is /new?".to_owned()));
    assert_eq!(of("/newer"), (false, "/newer".to_owned()));
}

#[test]
fn the_mode_of_a_lane_is_that_of_its_channel() {
    let config = settings(
        "{ messages: { queue: { mode: \"collect\", debounceMs: 700, byChannel: { irc: \"followup\" }, debounceMsByChannel: { telegram: 90 } } } }",
    )
    .config;
    assert!(merges(&config, "agent:main:main", None));
    assert!(!merges(&config, "agent:main:main", Some("irc")), "by where it came in");
    assert!(merges(&config, "agent:main:telegram:group:1", Some("irc")), "the key's channel is the lane's");
    assert!(!merges(&config, "agent:main:irc:channel:#x", None));
    let ms = |lane: &str| behind(&config, lane, None, None).pause.as_millis();
    assert_eq!(ms("agent:main:main"), 700);
    assert_eq!(ms("agent:main:telegram:group:1"), 90);
    assert_eq!(ms("agent:main:irc:channel:#x"), 0);
    let direct = |channel: &str, own| behind(&config, "agent:main:direct:ann", Some(channel), own);
    assert_eq!(direct("telegram", None).pause.as_millis(), 90);
    let interrupting = Behind { pause: Duration::ZERO, interrupts: true };
    assert_eq!(direct("irc", Some("interrupt")), interrupting, "a session's own mode wins");
}

#[test]
fn a_day_ends_at_its_hour_also_when_the_clock_is_put_forward() {
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let at = |date: civil::DateTime| date.to_zoned(berlin.clone()).unwrap();
    let last = |now: civil::DateTime| {
        let ms = last_hour(&at(now), 4).unwrap();
        jiff::Timestamp::from_millisecond(ms).unwrap().to_zoned(berlin.clone()).datetime()
    };
    assert_eq!(last(civil::date(2026, 3, 10).at(3, 59, 0, 0)), civil::date(2026, 3, 9).at(4, 0, 0, 0));
    assert_eq!(last(civil::date(2026, 3, 10).at(4, 0, 0, 0)), civil::date(2026, 3, 10).at(4, 0, 0, 0));
    // On 29 March 2026 the clock goes from 02:00 to 03:00.
    assert_eq!(last(civil::date(2026, 3, 29).at(5, 0, 0, 0)), civil::date(2026, 3, 29).at(4, 0, 0, 0));
    assert_eq!(last(civil::date(2026, 3, 30).at(1, 0, 0, 0)), civil::date(2026, 3, 29).at(4, 0, 0, 0));
    let gap = last_hour(&at(civil::date(2026, 3, 29).at(5, 0, 0, 0)), 2);
    assert!(gap.is_some(), "an hour that does not exist that day still ends it");
}

#[test]
fn idle_and_daily_are_whichever_comes_first() {
    let now = 10 * 24 * 3_600_000;
    let before = |text: &str, lane: &str| stale_before(&settings(text).config, lane, None, now);
    let main = "agent:main:main";
    assert_eq!(before("{}", main), i64::MIN);
    assert_eq!(before("{ session: { reset: { mode: \"idle\", idleMinutes: 30 } } }", main), now - 1_800_000);
    let daily = before("{ session: { reset: { mode: \"daily\" } } }", main);
    assert!(daily > now - 25 * 3_600_000 && daily <= now);
    let both = before("{ session: { reset: { mode: \"daily\", idleMinutes: 1 } } }", main);
    assert_eq!(both, daily.max(now - 60_000));
    let by =
        "{ session: { reset: { mode: \"idle\", idleMinutes: 30 }, resetByType: { group: { mode: \"none\" } },
               resetByChannel: { irc: { mode: \"idle\", idleMinutes: 5 } } } }";
    assert_eq!(before(by, "agent:main:telegram:group:1"), i64::MIN);
    assert_eq!(before(by, "agent:main:irc:channel:#x"), now - 300_000);
    // A person's session is in no channel: the one counts that the next message comes in on.
    for lane in [main, "agent:main:direct:ann"] {
        let ways = ways(&settings(by).config, lane, now);
        assert_eq!(ways.len(), 1, "{lane}");
        assert_eq!((ways[0].channel.as_str(), ways[0].stale_before_ms), ("irc", now - 300_000));
        assert_eq!(before(by, lane), now - 1_800_000);
    }
    assert_eq!(ways(&settings(by).config, "agent:main:telegram:direct:7", now), []);
}
