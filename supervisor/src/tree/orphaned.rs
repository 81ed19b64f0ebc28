//! Children that belong to no unit any more.

use std::collections::BTreeSet;

use creel_ipc::msg::event::{Event as Told, EventKind};
use creel_launch::Level;

use super::Tree;
use super::event::Event;
use crate::orphans;

impl Tree {
    /// Below level 2 a process can leave its unit: it must come to us and to nobody else.
    pub(super) fn adopt_orphans(&mut self) {
        if self.ground.level >= Level::L2 || std::mem::replace(&mut self.adopts, true) {
            return;
        }
        orphans::adopt();
        let events = self.events.clone();
        // A full queue means that much is going on: the next end tells again.
        let told = move || events.offer(Event::ChildEnded);
        if let Err(error) = orphans::notice(told) {
            tracing::warn!("Orphans are only looked for when a launch fails: {error}.");
        }
    }

    /// There may be some soon.
    pub(super) fn expect_orphans(&mut self) {
        let now = self.now();
        self.orphans.expect(now);
    }

    /// Looks, when it is time to.
    pub(super) fn look_for_orphans(&mut self) {
        let now = self.now();
        if self.orphans.due().is_none_or(|at| now < at) {
            return;
        }
        let units = self.members.values().filter_map(|member| member.process.as_ref());
        let runs = self.runs.going().filter_map(|(_, going)| going.run.as_ref().map(|(run, _)| &run.process));
        let known: BTreeSet<u32> = units.chain(runs).map(|process| process.0.pid).collect();
        for escaped in self.orphans.look(&known, now) {
            let sentence = format!(
                "Process {} ({}) left its unit, which has ended or let it go; it runs with the rights of that unit.",
                escaped.pid, escaped.name
            );
            tracing::warn!("{sentence}");
            self.journal.record(Told::told(EventKind::Escaped, sentence));
        }
    }
}
