//! What people are asked about steps whose outcome nobody knows.

use creel_ipc::msg::agent::{Decision, InputMessage};

use crate::store::{NewOutbound, Speaker};

/// A question on its way to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewQuestion {
    /// The step that it is about.
    pub step: u32,
    /// Its tool.
    pub tool: String,
    /// What the tool was told to do.
    pub what: String,
    /// What is said where the turn was asked for.
    pub text: String,
    /// How long an answer is waited for, in milliseconds.
    pub patience_ms: u64,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It waits for so many milliseconds more.
    Open {
        /// How long, by the store's clock.
        left_ms: u64,
    },
    /// It is decided.
    Decided(Decision),
}

/// What somebody says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Do it again.
    Again,
    /// Do not.
    Skip,
    /// Stop the turn.
    Stop,
}

impl Answer {
    /// The answer as the store writes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Skip => "skip",
            Self::Stop => "stop",
        }
    }

    /// What a word says that somebody wrote: with or without a slash, in any case, with the name of a bot behind it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let word = text.trim();
        let word = word.strip_prefix('/').unwrap_or(word);
        let word = word.split_once('@').map_or(word, |(word, _bot)| word).to_lowercase();
        [Self::Again, Self::Skip, Self::Stop].into_iter().find(|answer| answer.word() == word)
    }
}

/// The decision that the store has written.
pub(in crate::store) fn decision_of(word: &str) -> Decision {
    match word {
        "again" => Decision::Again,
        "skip" => Decision::Skip,
        "stop" => Decision::Stop,
        _ => Decision::Nobody,
    }
}

/// A question that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuestionRecord {
    /// Names it.
    pub id: u64,
    /// The turn.
    pub turn: String,
    /// The step.
    pub step: u32,
    /// The session.
    pub lane: String,
    /// The step's tool.
    pub tool: String,
    /// What the tool was told to do.
    pub what: String,
    /// When it was asked, by the store's clock.
    pub asked_ms: i64,
    /// How long it waits.
    pub left_ms: u64,
}

/// Whether somebody may decide about a turn: who wrote what it answers, and whoever is at Creel itself.
pub(in crate::store) fn may_answer(who: &InputMessage, of_turn: &[InputMessage]) -> bool {
    who.author.is_none() || of_turn.iter().any(|input| input.author == who.author)
}

/// The question as a message; each time that it is asked is one.
pub(in crate::store) fn question_row(of: &Speaker<'_>, question: &NewQuestion, round: u32) -> NewOutbound {
    NewOutbound {
        key: format!("{}/ask/{}/{round}", of.turn, question.step),
        account: of.account.to_owned(),
        route: of.route.clone(),
        text: question.text.clone(),
        attachments: Vec::new(),
        draft: None,
        run: Some(of.run.to_owned()),
        agent: crate::route::agent_of(of.lane).map(str::to_owned),
        now_ms: question.now_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_answer() {
        for text in ["/again", "again", " Again \n", "/AGAIN@my_bot"] {
            assert_eq!(Answer::read(text), Some(Answer::Again), "{text:?}");
        }
        assert_eq!((Answer::read("/skip"), Answer::read("Stop")), (Some(Answer::Skip), Some(Answer::Stop)));
        for text in ["", "/", "again please", "do it again", "//again", "@again"] {
            assert_eq!(Answer::read(text), None, "{text:?}");
        }
    }
}
