-- How long a row was to wait when that was said, and until when and for how long the platform wants an account to say nothing.
-- No wait is longer than it was at first, whatever the clock does meanwhile.
ALTER TABLE outbox ADD COLUMN wait_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN hold_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN hold_for_ms INTEGER NOT NULL DEFAULT 0;
