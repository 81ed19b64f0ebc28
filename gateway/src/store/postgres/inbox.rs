use super::*;

impl Tx<'_> {
    pub(super) fn accept(&self, own: &Held, message: &NewMessage) -> Kept<Accepted> {
        // One question: whose the account is, what time it is, and whether the message is known.
        let sql = concat!(
            "SELECT account.epoch, ",
            clock!(),
            ", inbox.seq IS NOT NULL, inbox.run
             FROM account LEFT JOIN inbox ON inbox.account = account.id AND inbox.ext_id = $2
             WHERE account.id = $1 FOR NO KEY UPDATE OF account"
        );
        let row = self.one(sql, values![own.account(), &message.ext_id])?;
        self.fenced(own, row.count(0)?)?;
        let now_ms = self.shifted(row.at(1)?);
        let touch = (
            "UPDATE account SET cursor = coalesce($2, cursor), inbound_ms = $3 WHERE id = $1",
            values![own.account(), message.cursor.as_ref(), message.now_ms],
        );
        if row.at(2)? && self.rules.fenced() {
            self.all(&[touch])?;
            return Ok(Accepted::Duplicate { run: row.at(3)? });
        }
        let mut fate = &message.fate;
        while let Fate::Answer { placed, answer, otherwise } = fate {
            if self.answered_by(placed, *answer, now_ms)? {
                let [session, inbox] = self.place(own, message, placed, "done")?;
                self.all(&[session, inbox, touch])?;
                return Ok(Accepted::Answered);
            }
            fate = otherwise;
        }
        match fate {
            Fate::Ignored | Fate::Answer { .. } => {
                self.all(&[touch])?;
            }
            Fate::Turn(placed) => {
                // The lane first: its lock makes the order of its messages that of their commits.
                let waits = (
                    "INSERT INTO lane (key, agent, pending, expires_ms) VALUES ($1, $2, 1, $3)
                     ON CONFLICT (key) DO UPDATE SET pending = lane.pending + 1, agent = EXCLUDED.agent,
                         expires_ms = CASE WHEN lane.pending = 0 AND lane.turn IS NULL
                             THEN EXCLUDED.expires_ms ELSE lane.expires_ms END",
                    values![&placed.lane, &placed.agent, now_ms],
                );
                let [session, inbox] = self.place(own, message, placed, "waiting")?;
                self.all(&[waits, session, inbox, touch])?;
            }
            Fate::Context { placed, keep } => {
                let [session, inbox] = self.place(own, message, placed, "context")?;
                let bound = (
                    "DELETE FROM inbox WHERE seq IN (SELECT seq FROM inbox WHERE lane = $1 AND state = 'context'
                     ORDER BY seq DESC OFFSET $2)",
                    values![&placed.lane, *keep],
                );
                self.all(&[session, inbox, bound, touch])?;
            }
            Fate::Pairing(request) => {
                let accepted = self.ask(own, message, request)?;
                self.all(&[touch])?;
                return Ok(accepted);
            }
        }
        Ok(Accepted::Fresh)
    }

    /// In pieces, so that nobody waits long for the writer: whoever asks asks again until nothing is left.
    pub(super) fn prune(&self, before_ms: i64) -> Kept<u64> {
        // What another gateway forgets just now is not waited for.
        let gone = self.all(&[
            (
                "DELETE FROM inbox WHERE seq IN (SELECT seq FROM inbox
                 WHERE at_ms < $1 AND state = 'done' LIMIT 500 FOR UPDATE SKIP LOCKED)",
                values![before_ms],
            ),
            (
                "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox
                 WHERE created_ms < $1 AND state IN ('sent', 'failed') LIMIT 500 FOR UPDATE SKIP LOCKED)",
                values![before_ms],
            ),
            (
                "DELETE FROM turn WHERE id IN (SELECT id FROM turn WHERE ended_ms < $1 LIMIT 500 FOR UPDATE SKIP LOCKED)",
                values![before_ms],
            ),
            (
                "DELETE FROM pairing_request WHERE (account, sender) IN (SELECT account, sender FROM pairing_request
                 WHERE expires_ms < $1 LIMIT 500 FOR UPDATE SKIP LOCKED)",
                values![before_ms],
            ),
        ])?;
        Ok(gone.iter().sum())
    }

    fn place<'a>(
        &self,
        own: &'a Held,
        message: &'a NewMessage,
        placed: &'a Placed,
        state: &'static str,
    ) -> Kept<[Call<'a>; 2]> {
        // Without its rules the store must be able to hold a message twice.
        let ext_id: Value<'a> = if self.rules.fenced() {
            (&message.ext_id).into()
        } else {
            let rows = self.one("SELECT coalesce(max(seq), 0) FROM inbox", Vec::new())?.count(0)?;
            format!("{}#{rows}", message.ext_id).into()
        };
        let session = (
            "INSERT INTO session (key, id, agent, kind, account, title, updated_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (key) DO UPDATE SET account = EXCLUDED.account,
                 title = coalesce(EXCLUDED.title, session.title), updated_ms = EXCLUDED.updated_ms",
            values![
                &placed.lane,
                &placed.session_id,
                &placed.agent,
                &placed.kind,
                own.account(),
                placed.title.as_ref(),
                message.now_ms,
            ],
        );
        let inbox = (
            "INSERT INTO inbox (account, ext_id, lane, run, state, resets, place, route, input, at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            values![
                own.account(),
                ext_id,
                &placed.lane,
                placed.run.as_ref(),
                state,
                placed.resets,
                placed.route.as_ref().map(chat_of).unwrap_or_default(),
                placed.route.as_ref().map(serde_json::to_string).transpose()?,
                serde_json::to_string(&placed.input)?,
                message.now_ms,
            ],
        );
        Ok([session, inbox])
    }
}
