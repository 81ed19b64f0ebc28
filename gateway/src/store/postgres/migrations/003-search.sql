-- Conversations: what a session was from one new beginning to the next; and the words of entries, by which they are found
-- (docs/adr/0012-search.md). A Creel of before writes neither: words that are NULL come later, and the key of such a
-- conversation is its session's.
CREATE TABLE conversation (
    id TEXT COLLATE "C" PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL,
    agent TEXT COLLATE "C" NOT NULL
);
ALTER TABLE transcript ADD COLUMN words TSVECTOR;
CREATE INDEX transcript_words ON transcript USING GIN (words);
CREATE INDEX transcript_unsearched ON transcript (session_id, seq) WHERE words IS NULL;
