-- What people are asked about steps whose outcome nobody knows. `round` counts how often it was asked about one step,
-- `given` is the epoch of the life that was told to do it again.
CREATE TABLE question (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    turn TEXT NOT NULL,
    step INTEGER NOT NULL,
    lane TEXT NOT NULL,
    round INTEGER NOT NULL,
    tool TEXT NOT NULL,
    what TEXT NOT NULL,
    asked_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    answer TEXT CHECK (answer IN ('again', 'skip', 'stop', 'nobody')),
    given INTEGER,
    UNIQUE (turn, step)
) STRICT;
CREATE INDEX question_open ON question (lane) WHERE answer IS NULL;
