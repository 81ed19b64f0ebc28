-- What a session has otherwise than its agent, as JSON; its model has a column of its own since the beginning.
ALTER TABLE session ADD COLUMN settings TEXT;
