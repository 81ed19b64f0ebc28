//! Runs that nobody waits for: whose they are, and what became of those that ended.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use creel_ipc::msg::process::ProcessStatus;
use creel_ipc::msg::tool::ToolExit;
use serde::{Deserialize, Serialize};

use super::scroll::Scroll;
use crate::unit::At;

/// Processes of one agent that are kept after their end.
const KEPT: usize = 8;
/// How long they are kept.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Writes of one process that are known by their keys.
const WRITES: usize = 32;
/// Bytes of a command that are shown.
const SHOWN: usize = 200;

/// Whose a process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The agent.
    pub agent: String,
    /// The command, cut to a line.
    pub title: String,
}

impl Owner {
    /// Of a command line: the last argument says the most, for a shell gets its script there.
    pub fn new(agent: &str, argv: &[String]) -> Self {
        let words = argv.last().map(String::as_str).unwrap_or_default();
        let line = words.lines().next().unwrap_or_default();
        let (shown, rest) = line.split_at(line.floor_char_boundary(SHOWN));
        let cut = !rest.is_empty() || shown.len() < words.trim_end().len();
        Self { agent: agent.to_owned(), title: if cut { format!("{shown}…") } else { shown.to_owned() } }
    }
}

/// One process, from the moment it was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    owner: Owner,
    began: At,
    writes: VecDeque<(String, usize)>,
    ended: Option<(At, ToolExit, Scroll)>,
}

impl Entry {
    /// What a write with this key came to, if it was done.
    pub fn written(&self, key: &str) -> Option<usize> {
        self.writes.iter().find(|(known, _)| known == key).map(|(_, bytes)| *bytes)
    }

    /// A write was done.
    pub fn note(&mut self, key: &str, bytes: usize) {
        if self.writes.len() >= WRITES {
            self.writes.pop_front();
        }
        self.writes.push_back((key.to_owned(), bytes));
    }
}

/// All of them, by run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Background(BTreeMap<String, Entry>);

impl Background {
    /// Whether a run is one of them.
    pub fn has(&self, run: &str) -> bool {
        self.0.contains_key(run)
    }

    /// Adds one; whether it is new.
    ///
    /// # Errors
    /// A sentence, when the agent has as many as it may have, or when the name is another's.
    pub fn add(&mut self, run: &str, owner: &Owner, most: usize, now: At) -> Result<bool, String> {
        if let Some(known) = self.0.get(run) {
            let theirs = || format!("The run {run} belongs to another agent; name runs by turn and step.");
            return if known.owner.agent == owner.agent { Ok(false) } else { Err(theirs()) };
        }
        let live = self.of(&owner.agent).filter(|(_, entry)| entry.ended.is_none()).count();
        if live >= most {
            return Err(format!(
                "{live} processes run in the background already, and sandbox.backgroundRuns allows {most}; end one first."
            ));
        }
        let entry = Entry { owner: owner.clone(), began: now, writes: VecDeque::new(), ended: None };
        self.0.insert(run.to_owned(), entry);
        Ok(true)
    }

    /// One ended.
    pub fn ended(&mut self, run: &str, exit: ToolExit, scroll: Scroll, now: At) {
        let Some(entry) = self.0.get_mut(run) else { return };
        let exit = ToolExit { stdout: String::new(), stderr: String::new(), ..exit };
        entry.ended = Some((now, exit, scroll));
        let agent = entry.owner.agent.clone();
        let mut old: Vec<(At, String)> = self
            .of(&agent)
            .filter_map(|(run, entry)| entry.ended.as_ref().map(|(at, ..)| (*at, run.clone())))
            .collect();
        old.sort();
        let over = old.len().saturating_sub(KEPT);
        for (_, run) in old.into_iter().take(over) {
            self.0.remove(&run);
        }
    }

    /// Forgets those that ended long ago.
    pub fn forget(&mut self, now: At) {
        let fresh = |at: &At| now.saturating_sub(*at) < KEPT_FOR;
        self.0.retain(|_, entry| entry.ended.as_ref().is_none_or(|(at, ..)| fresh(at)));
    }

    /// The runs of an agent that have not ended.
    pub fn live_of(&self, agent: &str) -> Vec<String> {
        self.of(agent).filter(|(_, entry)| entry.ended.is_none()).map(|(run, _)| run.clone()).collect()
    }

    /// The runs of an agent, oldest first.
    pub fn names_of(&self, agent: &str) -> Vec<String> {
        let mut names: Vec<(At, &String)> = self.of(agent).map(|(run, entry)| (entry.began, run)).collect();
        names.sort();
        names.into_iter().map(|(_, run)| run.clone()).collect()
    }

    /// One of an agent.
    pub fn of_mut(&mut self, agent: &str, run: &str) -> Option<&mut Entry> {
        self.0.get_mut(run).filter(|entry| entry.owner.agent == agent)
    }

    /// How one of an agent is. `running` is what it printed, while it runs.
    pub fn status(
        &self,
        agent: &str,
        run: &str,
        running: Option<&Scroll>,
        from: u64,
        now: At,
    ) -> Option<ProcessStatus> {
        let entry = self.0.get(run).filter(|entry| entry.owner.agent == agent)?;
        let (exit, kept) = match &entry.ended {
            Some((_, exit, scroll)) => (Some(exit.clone()), Some(scroll)),
            None => (None, running),
        };
        let part = kept.map(|scroll| scroll.from(from));
        let age = now.saturating_sub(entry.began).as_millis();
        Some(ProcessStatus {
            process: run.to_owned(),
            command: entry.owner.title.clone(),
            age_ms: u64::try_from(age).unwrap_or(u64::MAX),
            next: part.as_ref().map_or(0, |part| part.next),
            lost: part.as_ref().map_or(0, |part| part.lost),
            text: part.map(|part| part.text).unwrap_or_default(),
            exit,
        })
    }

    fn of(&self, agent: &str) -> impl Iterator<Item = (&String, &Entry)> {
        self.0.iter().filter(move |(_, entry)| entry.owner.agent == agent)
    }
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::tool::ToolCause;

    use super::*;

    fn exit() -> ToolExit {
        ToolExit { code: Some(0), stdout: "long".into(), ..ToolExit::of(ToolCause::Exited) }
    }

    fn owner(agent: &str) -> Owner {
        Owner::new(agent, &["/bin/sh".into(), "-c".into(), "make\nall".into()])
    }

    #[test]
    fn an_agent_has_so_many_and_sees_no_other_agents() {
        let mut all = Background::default();
        assert_eq!(all.add("a1", &owner("a"), 2, At::ZERO), Ok(true));
        assert_eq!(all.add("a1", &owner("a"), 2, At::ZERO), Ok(false));
        assert_eq!(all.add("a2", &owner("a"), 2, At::ZERO), Ok(true));
        let full = all.add("a3", &owner("a"), 2, At::ZERO).unwrap_err();
        assert!(full.contains("sandbox.backgroundRuns allows 2"), "{full}");
        assert!(all.add("a1", &owner("b"), 2, At::ZERO).is_err());
        assert_eq!(all.add("b1", &owner("b"), 2, At::ZERO), Ok(true));
        assert!(all.status("b", "a1", None, 0, At::ZERO).is_none() && all.of_mut("b", "a1").is_none());
        let status = all.status("a", "a1", None, 0, At::from_secs(2)).unwrap();
        assert_eq!((status.command.as_str(), status.age_ms, status.exit), ("make…", 2000, None));
    }

    #[test]
    fn what_ended_is_kept_for_a_while_and_only_the_newest() {
        let mut all = Background::default();
        for n in 0..KEPT as u64 + 2 {
            all.add(&format!("r{n:02}"), &owner("a"), 1, At::from_secs(n)).unwrap();
            let mut scroll = Scroll::default();
            scroll.push("said");
            all.ended(&format!("r{n:02}"), exit(), scroll, At::from_secs(n));
        }
        assert_eq!(all.names_of("a").len(), KEPT);
        let status = all.status("a", "r09", None, 0, At::from_secs(20)).unwrap();
        assert_eq!((status.text.as_str(), status.exit.unwrap().stdout.as_str()), ("said", ""));
        all.forget(At::from_secs(3609));
        assert!(all.names_of("a").is_empty());
    }

    #[test]
    fn a_write_is_known_by_its_key() {
        let mut all = Background::default();
        all.add("r", &owner("a"), 1, At::ZERO).unwrap();
        let entry = all.of_mut("a", "r").unwrap();
        assert_eq!(entry.written("k"), None);
        entry.note("k", 7);
        assert_eq!(entry.written("k"), Some(7));
    }
}
