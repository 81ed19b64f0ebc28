CREATE TABLE account (
    id TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    cursor TEXT,
    inbound_ms INTEGER,
    outbound_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    key TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    agent TEXT NOT NULL,
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    title TEXT,
    model TEXT,
    updated_ms INTEGER NOT NULL,
    turned_ms INTEGER,
    entries INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX session_updated ON session (updated_ms);

CREATE TABLE lane (
    key TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT '',
    pending INTEGER NOT NULL DEFAULT 0,
    turn TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_open ON lane (key) WHERE pending > 0 OR turn IS NOT NULL;

CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    ext_id TEXT NOT NULL,
    lane TEXT NOT NULL,
    run TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'context', 'taken', 'done', 'parked')),
    turn TEXT,
    resets INTEGER NOT NULL,
    place TEXT NOT NULL,
    route TEXT,
    input TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (account, ext_id)
) STRICT;
CREATE INDEX inbox_lane ON inbox (lane, seq) WHERE state IN ('waiting', 'context');
CREATE INDEX inbox_turn ON inbox (turn, seq) WHERE turn IS NOT NULL;
CREATE INDEX inbox_run ON inbox (run) WHERE run IS NOT NULL;

CREATE TABLE turn (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    lane TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    account TEXT NOT NULL,
    route TEXT,
    history INTEGER NOT NULL,
    fresh INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    begun_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    ending TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX turn_run ON turn (run);

CREATE TABLE step (
    turn TEXT NOT NULL,
    step INTEGER NOT NULL,
    call TEXT,
    entry TEXT,
    PRIMARY KEY (turn, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE transcript (
    session_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    entry TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (session_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    chat TEXT NOT NULL,
    route TEXT NOT NULL,
    text TEXT NOT NULL,
    attachments TEXT NOT NULL,
    draft TEXT,
    run TEXT,
    agent TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'attempting', 'sent', 'unknown', 'failed')),
    parts_sent INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    incarnation INTEGER,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_open ON outbox (account, chat, seq) WHERE state IN ('queued', 'attempting');
CREATE INDEX outbox_unknown ON outbox (account) WHERE state = 'unknown';

CREATE TABLE pairing_request (
    account TEXT NOT NULL,
    sender TEXT NOT NULL,
    name TEXT,
    code TEXT NOT NULL,
    route TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (account, sender)
) STRICT, WITHOUT ROWID;

CREATE TABLE pairing_allow (
    account TEXT NOT NULL,
    sender TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (account, sender)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
