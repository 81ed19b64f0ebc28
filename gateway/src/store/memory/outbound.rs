//! What is to be said.

use super::*;

impl Memory {
    pub(super) fn put_row(&mut self, row: &NewOutbound) -> Kept<bool> {
        if self.rules.fenced() && self.outbox.iter().any(|known| known.outbound.what.key == row.key) {
            return Ok(false);
        }
        let outbound = Outbound {
            what: row.clone(),
            state: OutboxState::Queued,
            parts_sent: 0,
            attempts: 0,
            not_before_ms: 0,
            wait_ms: 0,
            error: None,
        };
        self.outbox.push(Row { outbound, incarnation: None, wait_ms: 0 });
        Ok(true)
    }

    pub(super) fn open_rows(&mut self, own: &Held, max: u32) -> Kept<Vec<Outbound>> {
        let hold = self.fence(own)?.hold;
        let mut chats: Vec<String> = Vec::new();
        let mut first = Vec::new();
        for row in &self.outbox {
            let chat = chat_of(&row.outbound.what.route);
            let wanted = row.outbound.what.account == own.account() && open(row.outbound.state);
            if wanted && !chats.contains(&chat) {
                chats.push(chat);
                let mut open = row.outbound.clone();
                let moments = [(open.not_before_ms, row.wait_ms), hold];
                (open.not_before_ms, open.wait_ms) = wait_until(self.clock_ms, moments);
                first.push(open);
            }
        }
        first.truncate(max as usize);
        Ok(first)
    }

    pub(super) fn attempt_row(&mut self, own: &Held, key: &str, incarnation: u64) -> Kept<bool> {
        let Some(row) = self.row(own, key)? else { return Ok(false) };
        let mine = row.incarnation == Some(incarnation);
        match row.outbound.state {
            OutboxState::Queued => {}
            OutboxState::Attempting if mine => {}
            _ => return Ok(false),
        }
        row.outbound.state = OutboxState::Attempting;
        row.outbound.attempts += 1;
        row.incarnation = Some(incarnation);
        Ok(true)
    }

    pub(super) fn part_of_row(&mut self, own: &Held, key: &str, parts: u32) -> Kept<()> {
        if let Some(row) = self.row(own, key)? {
            row.outbound.parts_sent = row.outbound.parts_sent.max(parts);
        }
        Ok(())
    }

    pub(super) fn settle_row(&mut self, own: &Held, key: &str, settled: &Settled) -> Kept<()> {
        if let Settled::Sent { now_ms } = settled {
            self.fence(own)?.outbound_ms = Some(*now_ms);
        }
        let now_ms = self.clock_ms;
        let wait = match settled {
            Settled::Again { wait_ms, hold, .. } => {
                let wait = i64::try_from(*wait_ms).unwrap_or(i64::MAX);
                if *hold {
                    self.fence(own)?.hold = (now_ms.saturating_add(wait), wait);
                }
                wait
            }
            _ => 0,
        };
        let late = |state| state == OutboxState::Unknown && matches!(settled, Settled::Sent { .. });
        let takes = |row: &&mut Row| open(row.outbound.state) || late(row.outbound.state);
        let Some(row) = self.row(own, key)?.filter(takes) else { return Ok(()) };
        row.wait_ms = wait;
        let row = &mut row.outbound;
        (row.state, row.error, row.not_before_ms) = match settled {
            Settled::Sent { .. } => (OutboxState::Sent, None, 0),
            Settled::Again { error, parts, .. } => {
                row.parts_sent = row.parts_sent.max(parts.unwrap_or(0));
                (OutboxState::Queued, Some(error.clone()), now_ms.saturating_add(wait))
            }
            Settled::Unknown { error } => (OutboxState::Unknown, Some(error.clone()), 0),
            Settled::Failed { error } => (OutboxState::Failed, Some(error.clone()), 0),
        };
        Ok(())
    }

    pub(super) fn orphan_rows(&mut self, own: &Held, alive: Option<u64>) -> Kept<Vec<String>> {
        self.fence(own)?;
        let state = if self.rules.fenced() { OutboxState::Unknown } else { OutboxState::Queued };
        let mut keys = Vec::new();
        for row in &mut self.outbox {
            let lost = row.outbound.state == OutboxState::Attempting && row.incarnation != alive;
            if row.outbound.what.account == own.account() && lost {
                row.outbound.state = state;
                row.outbound.error = Some(
                    "The channel worker ended while it was sending this; it may have been said.".to_owned(),
                );
                keys.push(row.outbound.what.key.clone());
            }
        }
        Ok(keys)
    }
}
