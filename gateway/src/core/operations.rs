//! What links, lanes and clients have in common.

use tokio::time::Instant;

use super::{Core, channel_unit};
use crate::hub::{ChannelRow, CoreEvent};
use crate::inbound;
use crate::lane::Signal;

impl Core {
    /// A durable message waits in a lane.
    pub(crate) fn arrived(&self, lane: &str, agent: &str) {
        let settings = self.settings();
        let pause = inbound::pause(&settings.config, lane);
        self.state().lanes.arrived(lane, agent, Instant::now(), pause);
        if inbound::interrupts(&settings.config, lane) {
            self.stop_lane(lane, None);
        }
        self.tell(CoreEvent::SessionChanged { key: lane.to_owned() });
        self.wake.notify_one();
    }

    /// Stops what runs in a lane, or only this run of it. Says which runs.
    pub(crate) fn stop_lane(&self, lane: &str, run: Option<&str>) -> Vec<String> {
        let state = self.state();
        let meant = state
            .turns
            .values()
            .filter(|running| running.lane == lane && run.is_none_or(|run| run == running.run));
        meant
            .map(|running| {
                // A full queue holds an ending already.
                let _full = running.signal.try_send(Signal::Abort);
                running.run.clone()
            })
            .collect()
    }

    /// How an account such as `telegram:default` is doing; `None` when it is not configured.
    pub(crate) async fn channel_row(&self, name: &str) -> Option<ChannelRow> {
        let (channel, account) = name.split_once(':')?;
        let named = name.to_owned();
        let record = self.desk.read(move |store| store.account(&named)).await.unwrap_or_default();
        let settings = self.settings();
        let view = settings.config.channels.account(channel, account)?;
        let state = self.state();
        let worker = state.workers.get(&channel_unit(name));
        let status = worker.and_then(|worker| worker.status.as_ref());
        Some(ChannelRow {
            channel: channel.to_owned(),
            account: account.to_owned(),
            name: view.common.name.clone(),
            enabled: view.common.enabled,
            running: worker.is_some_and(|worker| worker.ready),
            state: status.map(|status| status.state),
            self_name: status.and_then(|status| status.self_name.clone()),
            transport_alive_at_ms: status.and_then(|status| status.transport_alive_at_ms),
            last_inbound_at_ms: status.and_then(|status| status.last_inbound_at_ms).or(record.inbound_ms),
            last_outbound_at_ms: record.outbound_ms,
            error: status.and_then(|status| status.error.as_ref()).map(|error| error.message.clone()),
            queued: record.queued,
            unknown: record.unknown,
        })
    }
}
