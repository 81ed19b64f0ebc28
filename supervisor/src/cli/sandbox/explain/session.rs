//! The session that is to be explained: only the gateway knows which there are.

use creel_config::Loader;
use creel_config::disk::Disk;
use creel_config::sandbox::session_name;
use creel_ipc::msg::sandbox::{SessionOf, SessionSandbox};
use serde_json::{Value, json};

use super::super::super::Context;
use super::super::super::error::CliError;
use super::super::super::socket::Socket;
use super::super::super::table::plain;

/// Sessions that are looked through, and those that are named when the wanted one is not there.
const MOST: u32 = 1000;
const NAMED: usize = 10;

/// A session.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) key: String,
    pub(super) agent: String,
    main: bool,
}

impl Found {
    /// As the supervisor may know it.
    pub(super) fn wire(&self) -> SessionOf {
        SessionOf { name: session_name(&self.key), main: self.main }
    }
}

/// Looks a session up.
pub(super) fn find(context: &Context, agent: Option<&str>, asked: &str) -> Result<Found, CliError> {
    let loaded =
        Loader::without_secrets(&Disk, &context.env).within(&context.paths).file(&context.paths.config)?;
    let default = loaded.config.default_agent().to_string();
    let agents: Vec<String> = loaded.config.agents().iter().map(|agent| agent.id.to_string()).collect();
    let main_key = loaded.config.session.main_key.to_string();
    let answer = Socket::connect(context)?.call("sessions.list", &json!({ "limit": MOST }))?;
    let known = answer["sessions"].as_array().into_iter().flatten();
    let known = known.filter_map(|row| Some((text(row, "key")?, text(row, "agentId")?))).collect();
    among(known, &agents, (agent, &default), &main_key, asked).map_err(CliError::Usage)
}

fn text(row: &Value, key: &str) -> Option<String> {
    row[key].as_str().map(str::to_owned)
}

/// `known`: keys and their agents; each agent's main session is there even before anybody spoke in it.
fn among(
    known: Vec<(String, String)>,
    agents: &[String],
    (agent, default): (Option<&str>, &str),
    main_key: &str,
    asked: &str,
) -> Result<Found, String> {
    if let Some(agent) = agent.filter(|agent| !agents.iter().any(|known| known == agent)) {
        return Err(format!("There is no agent \"{}\"; there are: {}.", plain(agent), agents.join(", ")));
    }
    let main_of = |agent: &str| format!("agent:{agent}:{main_key}").to_lowercase();
    let whole = match asked {
        "main" => main_of(agent.unwrap_or(default)),
        key => key.to_lowercase(),
    };
    let mut all: Vec<(String, String)> = agents.iter().map(|agent| (main_of(agent), agent.clone())).collect();
    for row in known {
        if !all.contains(&row) {
            all.push(row);
        }
    }
    all.retain(|(_, of)| agent.is_none_or(|agent| agent == of));
    if let Some((key, of)) = all.iter().find(|(key, _)| *key == whole) {
        return Ok(Found { key: key.clone(), agent: of.clone(), main: *key == main_of(of) });
    }
    let named: Vec<String> = all.iter().take(NAMED).map(|(key, _)| plain(key)).collect();
    let more = match all.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more, see `creel sessions`"),
    };
    let of = agent.map(|agent| format!(" of agent {agent}")).unwrap_or_default();
    Err(format!("There is no session \"{}\"{of}; there are: {}{more}.", plain(asked), named.join(", ")))
}

/// One line on what the session means.
pub(super) fn text_of(session: &SessionSandbox, mode: &str) -> String {
    let which = if session.main { "the agent's main session" } else { "not the agent's main session" };
    let confined = match session.confined {
        true => "its commands are confined",
        false => "its commands are NOT confined",
    };
    let home = match &session.home {
        Some(home) => format!("they keep their home in {}", plain(home)),
        None => "no home is kept for them".to_owned(),
    };
    format!(
        "Session {}: {which}; {confined} (sandbox.mode is \"{mode}\"); {home} (sandbox.scope is \"{}\").",
        plain(&session.key),
        session.scope
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(agent: Option<&str>, asked: &str) -> Result<Found, String> {
        let known = vec![
            ("agent:main:telegram:direct:7".to_owned(), "main".to_owned()),
            ("agent:other:home".to_owned(), "other".to_owned()),
        ];
        among(known, &["main".to_owned(), "other".to_owned()], (agent, "main"), "home", asked)
    }

    fn found(key: &str, agent: &str, main: bool) -> Result<Found, String> {
        Ok(Found { key: key.into(), agent: agent.into(), main })
    }

    #[test]
    fn a_session_is_found_by_its_key_and_the_main_one_by_that_word() {
        assert_eq!(look(None, "main"), found("agent:main:home", "main", true));
        assert_eq!(look(Some("other"), "main"), found("agent:other:home", "other", true));
        assert_eq!(
            look(None, "agent:Main:telegram:direct:7"),
            found("agent:main:telegram:direct:7", "main", false)
        );
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let told = [
            look(None, "agent:main:nobody"),
            look(Some("other"), "agent:main:telegram:direct:7"),
            look(Some("third"), "main"),
        ];
        let told = told.map(|told| told.unwrap_err());
        insta::assert_snapshot!(told.join("\n"), @r#"
        There is no session "agent:main:nobody"; there are: agent:main:home, agent:other:home, agent:main:telegram:direct:7.
        There is no session "agent:main:telegram:direct:7" of agent other; there are: agent:other:home.
        There is no agent "third"; there are: main, other.
        "#);
    }

    #[test]
    fn a_session_reads_well() {
        let of = |main, confined, home: Option<&str>| SessionSandbox {
            key: "agent:main:main".into(),
            main,
            confined,
            scope: "session".into(),
            home: home.map(str::to_owned),
        };
        let lines = [of(true, false, Some("/h/session/main/ab")), of(false, true, None)]
            .map(|session| text_of(&session, "non-main"));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        Session agent:main:main: the agent's main session; its commands are NOT confined (sandbox.mode is "non-main"); they keep their home in /h/session/main/ab (sandbox.scope is "session").
        Session agent:main:main: not the agent's main session; its commands are confined (sandbox.mode is "non-main"); no home is kept for them (sandbox.scope is "session").
        "#);
    }
}
