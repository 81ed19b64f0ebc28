//! Commands outside of the tool sandbox: for whom, by the gateway's own record of the turn. An agent only asks.

use std::collections::BTreeSet;

use creel_config::elevated::Elevated;
use creel_ipc::msg::agent::Author;
use creel_ipc::{ErrorClass, RpcError};

use super::agent::tools::of_turn;
use super::worker::Attached;

/// For whom a run may leave the sandbox: everybody who wrote what its turn answers.
pub(super) fn vouch(this: &Attached, run: &str) -> Result<Vec<Author>, RpcError> {
    let agent = this.core.settings().config.agent(this.name());
    let elevated = agent.and_then(|agent| agent.tools.elevated);
    let authors = of_turn(this, run, |turn| turn.authors.clone()).unwrap_or_default();
    judge(elevated.as_ref(), &authors).map_err(|why| {
        tracing::warn!("{} asked for a command outside of the sandbox: {why}", this.unit);
        RpcError::new(ErrorClass::BadRequest, why)
    })
}

/// Everybody has to be listed: also those whose messages are only read along.
fn judge(elevated: Option<&Elevated>, authors: &[Option<Author>]) -> Result<Vec<Author>, String> {
    let rest = "Without `elevated` the command runs in the sandbox.";
    let Some(elevated) = elevated.filter(|elevated| elevated.is_open()) else {
        return Err(format!(
            "No command of this agent runs outside of the sandbox: the operator lists nobody in tools.elevated. {rest}"
        ));
    };
    let authors: Option<BTreeSet<&Author>> = authors.iter().map(Option::as_ref).collect();
    let Some(authors) = authors.filter(|authors| !authors.is_empty()) else {
        return Err(format!(
            "Commands run outside of the sandbox only for people of a channel whom tools.elevated.allowFrom lists, not for what \
             is typed at Creel itself, scheduled or called by a program. {rest}"
        ));
    };
    if let Some(other) = authors.iter().find(|author| !elevated.lists(&author.channel, &author.id)) {
        return Err(format!(
            "This turn also answers {other}, whom tools.elevated.allowFrom does not list, so none of its commands runs outside \
             of the sandbox. {rest}"
        ));
    }
    Ok(authors.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use creel_config::elevated::{ChannelName, Person};

    use super::*;

    fn author(id: &str) -> Option<Author> {
        Some(Author { channel: "telegram".into(), id: id.into() })
    }

    fn listing(ids: &[&str]) -> Elevated {
        let people = ids.iter().map(|id| Person((*id).to_owned())).collect();
        Elevated { allow_from: [(ChannelName("telegram".into()), people)].into(), ..Elevated::default() }
    }

    #[test]
    fn everybody_whom_the_turn_answers_has_to_be_listed() {
        let both = listing(&["1", "2"]);
        let all = [author("2"), author("1"), author("2")];
        let told: Vec<String> = judge(Some(&both), &all).unwrap().iter().map(Author::to_string).collect();
        assert_eq!(told, ["telegram:1", "telegram:2"]);
        insta::assert_snapshot!(judge(Some(&both), &[author("1"), author("3")]).unwrap_err());
        insta::assert_snapshot!(judge(Some(&both), &[author("1"), None]).unwrap_err());
        assert!(judge(Some(&both), &[]).is_err());
        insta::assert_snapshot!(judge(Some(&listing(&[])), &all).unwrap_err());
        assert!(judge(None, &all).is_err());
        assert!(judge(Some(&Elevated { enabled: false, ..both }), &all).is_err());
    }
}
