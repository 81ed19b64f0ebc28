-- Until when a claim holds, by the store's clock, and which host made it. A gateway that is alone has no name for its
-- host: it takes over at once from the life before it.
ALTER TABLE account ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lane ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE lane ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0;
