-- Imported sessions as their files had them, line by line: what an agent remembers of one is less than the file says.
CREATE TABLE imported_line (
    session_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (session_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_id ON session (id);
CREATE INDEX inbox_parked ON inbox (seq) WHERE state = 'parked';
