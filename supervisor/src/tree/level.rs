//! How far units can be confined here: measured once, by a unit that tries to escape.

use std::os::fd::AsFd;

use creel_config::sandbox::SandboxMode;
use creel_ipc::msg::event::{Event as Told, EventKind};
use creel_launch::{Level, Measured};

use super::Tree;
use crate::cgroup;
use crate::tool::quota::Wanted;

impl Tree {
    /// Has the limits of workspaces brought about that file systems keep.
    pub(super) fn settle_quotas(&self) {
        self.ground.quotas.settle(Wanted::of(&self.settings.plan, &self.ground.paths));
    }

    /// Measures the level once, and only if it is needed.
    pub(super) fn measure(&mut self) {
        if self.settings.plan.supervision.mode == SandboxMode::Off {
            tracing::warn!("sandbox.mode is \"off\": units run without any isolation.");
            self.ground.level = Level::L0;
            let sentence = "L0: sandbox.mode is \"off\".";
            self.journal.record(Told::told(EventKind::IsolationMeasured, sentence));
            return;
        }
        let measured = self.measured.get_or_insert_with(measured);
        self.ground.level = measured.level;
        tracing::info!("Isolation level {} ({} escape attempts denied).", measured.level, measured.denied);
        let told = format!("{}: {} escape attempts denied.", measured.level, measured.denied);
        self.journal.record(Told::told(EventKind::IsolationMeasured, told));
        if measured.level < Level::L3 && !measured.reasons.is_empty() {
            self.journal.record(Told::told(EventKind::LimitsNotEnforced, measured.reasons.join(" ")));
        }
        if measured.level < Level::L2 {
            for sentence in measured.reasons.iter().chain(&measured.remedies) {
                tracing::warn!("{sentence}");
            }
        }
    }
}

/// Level 3 is only tried where a whole unit can be given limits.
fn measured() -> Measured {
    let group = cgroup::here().and_then(|groups| {
        let gaps = groups.controllers().gaps();
        if !groups.controllers().suffice() {
            return Err(format!("{}.", gaps.join("; ")));
        }
        let limits = cgroup::Limits { memory: Some(256 << 20), tasks: Some(64), ..Default::default() };
        groups.make("selftest", 0, &limits).map_err(|error| format!("No cgroup can be made: {error}."))
    });
    creel_launch::probe_levels_in(group.as_ref().map(|group| group.as_fd()).map_err(Clone::clone))
}
