//! Which model is asked next, and when.

use creel_ipc::msg::agent::Model;

use crate::model::error::MAX_RETRY_AFTER_MS;
use crate::model::{Class, ModelError};

/// Waits before the second, third and fourth attempt with one model, in milliseconds.
const WAITS: [u64; 3] = [2_000, 4_000, 8_000];

/// The models of a turn and what became of them.
#[derive(Debug)]
pub struct Cascade {
    models: Vec<Model>,
    at: usize,
    retries: usize,
    failures: Vec<(String, ModelError)>,
}

/// What follows a failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The same model, after so many milliseconds.
    Wait(u64),
    /// The next model, now.
    Switch,
    /// Nobody is left: a sentence.
    GiveUp(String),
}

impl Cascade {
    /// Begins with the first model.
    pub fn new(models: Vec<Model>) -> Self {
        Self { models, at: 0, retries: 0, failures: Vec::new() }
    }

    /// The model to ask; `None` only when the turn has none at all.
    pub fn model(&self) -> Option<&Model> {
        self.models.get(self.at)
    }

    /// Its place in the list.
    pub fn index(&self) -> usize {
        self.at
    }

    /// A call went well: later failures begin anew.
    pub fn succeeded(&mut self) {
        self.retries = 0;
        self.failures.clear();
    }

    /// Decides after a failed call of which nothing was shown.
    pub fn failed(&mut self, error: ModelError) -> Next {
        let delay = error.retry_after_ms;
        if error.class.is_passing()
            && let Some(&wait) = WAITS.get(self.retries)
            && delay.is_none_or(|delay| delay <= MAX_RETRY_AFTER_MS)
        {
            self.retries += 1;
            return Next::Wait(delay.unwrap_or(0).max(wait));
        }
        self.failures.push((self.name(), error));
        // A refusal is an answer: another model is no way around it.
        let last = self.failures.last().is_some_and(|(_, error)| error.class == Class::Refusal);
        if !last && self.at + 1 < self.models.len() {
            self.at += 1;
            self.retries = 0;
            return Next::Switch;
        }
        Next::GiveUp(self.sentence())
    }

    /// Names the model that failed for good.
    pub fn name(&self) -> String {
        self.model().map_or_else(String::new, |model| format!("{}/{}", model.provider, model.id))
    }

    fn sentence(&self) -> String {
        match self.failures.as_slice() {
            [(name, error)] => format!("The model {name} failed. {error}.{}", error.class.advice()),
            many => {
                let each: Vec<String> = many
                    .iter()
                    .map(|(name, error)| format!("{name}: {error}.{}", error.class.advice()))
                    .collect();
                format!("No model could answer. {}", each.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cascade(ids: &[&str]) -> Cascade {
        let model = |id: &&str| Model {
            provider: "p".to_owned(),
            id: (*id).to_owned(),
            context_window: 1,
            max_tokens: 1,
            reasoning: false,
            images: false,
        };
        Cascade::new(ids.iter().map(model).collect())
    }

    fn error(class: Class, retry_after_ms: Option<u64>) -> ModelError {
        ModelError { retry_after_ms, ..ModelError::new(class, "HTTP 529: Overloaded") }
    }

    #[test]
    fn passing_failures_wait_2_4_8_seconds_and_then_the_next_model_is_asked() {
        let mut cascade = cascade(&["a", "b"]);
        let next: Vec<Next> = (0..4).map(|_| cascade.failed(error(Class::Overloaded, None))).collect();
        assert_eq!(next, [Next::Wait(2000), Next::Wait(4000), Next::Wait(8000), Next::Switch]);
        assert_eq!(cascade.name(), "p/b");
    }

    #[test]
    fn the_provider_may_ask_for_up_to_a_minute() {
        let mut cascade = cascade(&["a", "b"]);
        assert_eq!(cascade.failed(error(Class::RateLimit, Some(60_000))), Next::Wait(60_000));
        assert_eq!(cascade.failed(error(Class::RateLimit, Some(1))), Next::Wait(4000));
        assert_eq!(cascade.failed(error(Class::RateLimit, Some(60_001))), Next::Switch);
    }

    #[test]
    fn one_sentence_names_every_model_and_its_reason() {
        let mut both = cascade(&["a", "b"]);
        assert_eq!(both.failed(ModelError::new(Class::Auth, "HTTP 401: invalid x-api-key")), Next::Switch);
        let Next::GiveUp(many) = both.failed(ModelError::new(Class::Format, "HTTP 404: model: b")) else {
            panic!("somebody is left")
        };
        let Next::GiveUp(refused) =
            cascade(&["a", "b"]).failed(ModelError::new(Class::Refusal, "It refused"))
        else {
            panic!("a refusal was passed on")
        };
        insta::assert_snapshot!(format!("{many}\n{refused}"), @r"
        No model could answer. p/a: HTTP 401: invalid x-api-key. Check the provider's `apiKey`. p/b: HTTP 404: model: b.
        The model p/a failed. It refused.
        ");
    }
}
