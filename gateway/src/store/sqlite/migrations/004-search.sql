-- Conversations: what a session was from one new beginning to the next. Their entries are numbered in the order in which
-- they were said and name the conversation by its number: they are written one behind the other, and a full-text index
-- can name them. The index has the words only, not the text (docs/adr/0012-search.md).
CREATE TABLE conversation (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    agent TEXT NOT NULL
) STRICT;
CREATE INDEX conversation_key ON conversation (key);
INSERT INTO conversation (id, key, agent)
    SELECT said.session_id,
        coalesce((SELECT key FROM session WHERE id = said.session_id),
            (SELECT lane FROM turn WHERE session_id = said.session_id LIMIT 1), ''),
        coalesce((SELECT agent FROM session WHERE id = said.session_id),
            (SELECT lane.agent FROM turn JOIN lane ON lane.key = turn.lane WHERE session_id = said.session_id LIMIT 1), '')
    FROM (SELECT session_id, min(at_ms) AS began FROM transcript GROUP BY session_id) AS said ORDER BY said.began;

ALTER TABLE transcript RENAME TO transcript_before;
CREATE TABLE transcript (
    n INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    entry TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    run TEXT NOT NULL
) STRICT;
INSERT INTO transcript (conversation, seq, entry, at_ms, run)
    SELECT conversation.number, seq, entry, at_ms, run
    FROM transcript_before JOIN conversation ON conversation.id = transcript_before.session_id ORDER BY at_ms, number, seq;
DROP TABLE transcript_before;
CREATE UNIQUE INDEX transcript_place ON transcript (conversation, seq);

CREATE VIRTUAL TABLE transcript_word USING fts5 (words, content = '', detail = none, columnsize = 0, tokenize = 'ascii');
-- Entries below this number are not in the index yet; they come into it one piece after the other.
INSERT INTO meta SELECT 'search_from', max(n) + 1 FROM transcript HAVING count(*) > 0;
