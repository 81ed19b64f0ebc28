//! Who wants to talk to an agent, and who may.

use super::{Core, now_ms};
use crate::hub::*;
use crate::store::{NewOutbound, PairingRecord};

type Answer<T> = Result<T, HubError>;

impl Core {
    pub(crate) async fn pairing_list(&self, channel: Option<&str>) -> Answer<Vec<PairingRow>> {
        let now = now_ms();
        let records = self.desk.read(move |store| store.pairings(now)).await?;
        let rows = records.into_iter().map(pairing_row);
        Ok(rows.filter(|row| channel.is_none_or(|channel| channel == row.channel)).collect())
    }

    pub(crate) async fn pairing_approve(
        &self,
        channel: &str,
        code: &str,
        account: Option<&str>,
    ) -> Answer<Approved> {
        let (accounts, typed, now) = (self.accounts(channel, account), code.to_owned(), now_ms());
        let found = self.desk.write(move |store| store.approve(&accounts, &typed, now)).await;
        self.note_store(&found);
        let Some(record) = found? else { return Err(no_code(channel)) };
        self.state().paired.insert((record.account.clone(), record.sender.clone()));
        self.pairing_changed(&record);
        self.greet_paired(&record).await;
        let row = pairing_row(record);
        Ok(Approved { sender: row.sender, account: row.account })
    }

    /// Tells the person. That nobody could be told does not undo the approval.
    async fn greet_paired(&self, record: &PairingRecord) {
        let row = NewOutbound {
            key: format!("paired/{}/{}/{}", record.account, record.sender, record.created_ms),
            account: record.account.clone(),
            route: record.route.clone(),
            text: "You have been let in. What can I do for you?".to_owned(),
            attachments: Vec::new(),
            draft: None,
            run: None,
            agent: None,
            now_ms: now_ms(),
        };
        if let Err(error) = self.desk.write(move |store| store.enqueue(&row)).await {
            tracing::warn!("{} was let in and cannot be told: {error}", record.sender);
        }
        self.wake_pump(&record.account);
    }

    pub(crate) async fn pairing_dismiss(&self, channel: &str, code: &str) -> Answer<()> {
        let (accounts, typed, now) = (self.accounts(channel, None), code.to_owned(), now_ms());
        let found = self.desk.write(move |store| store.dismiss(&accounts, &typed, now)).await?;
        let record = found.ok_or_else(|| no_code(channel))?;
        self.pairing_changed(&record);
        Ok(())
    }

    fn pairing_changed(&self, record: &PairingRecord) {
        let row = pairing_row(record.clone());
        self.tell(CoreEvent::PairingChanged { channel: row.channel, account: row.account });
    }

    fn accounts(&self, channel: &str, account: Option<&str>) -> Vec<String> {
        let settings = self.settings();
        let all = settings.config.channels.all();
        all.iter()
            .filter(|view| view.channel == channel && account.is_none_or(|id| id == view.id.as_str()))
            .map(|view| format!("{}:{}", view.channel, view.id))
            .collect()
    }
}

fn no_code(channel: &str) -> HubError {
    HubError::not_found(format!(
        "No pairing request on {channel} has this code. Codes work for an hour; `creel pairing list {channel}` \
         shows those that wait."
    ))
}

fn pairing_row(record: PairingRecord) -> PairingRow {
    let (channel, account) = record.account.split_once(':').unwrap_or((&record.account, ""));
    PairingRow {
        channel: channel.to_owned(),
        account: account.to_owned(),
        code: record.code,
        sender: record.sender,
        name: record.name,
        created_at_ms: record.created_ms,
        expires_at_ms: record.expires_ms,
    }
}
