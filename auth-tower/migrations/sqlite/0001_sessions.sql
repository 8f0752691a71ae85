-- Moments are milliseconds since the Unix epoch, UTC.

CREATE TABLE auth_sessions (
    id                  BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 18),
    format              INTEGER NOT NULL,
    subject             TEXT    NOT NULL,
    subject_key         BLOB    NOT NULL CHECK (length(subject_key) = 16),
    epoch               INTEGER NOT NULL,
    client_id           TEXT    NOT NULL,
    created_at          INTEGER NOT NULL,
    last_seen_at        INTEGER NOT NULL,
    generation          INTEGER NOT NULL CHECK (generation BETWEEN 0 AND 4294967295),
    confirmed           INTEGER CHECK (confirmed BETWEEN 0 AND 4294967295),
    rotated_at          INTEGER,
    seen                INTEGER NOT NULL CHECK (seen IN (0, 1)),
    idle_expires_at     INTEGER NOT NULL,
    absolute_expires_at INTEGER NOT NULL,
    ended               INTEGER,
    -- When a purge looks at the row next. Never later than the session's deadline while it lives, and seldom equal to it,
    -- so that a rotation has no index to maintain; the moment of the revocation once it was ended.
    sweep_at            INTEGER NOT NULL,
    device              TEXT,
    ip                  TEXT,
    user_agent          TEXT
) STRICT, WITHOUT ROWID;

-- `ended` is a column of it, although NULL in every row, because SQLite would otherwise look it up in the table.
CREATE INDEX auth_sessions_by_subject ON auth_sessions (subject_key, created_at, epoch, sweep_at, ended)
    WHERE ended IS NULL;
CREATE INDEX auth_sessions_by_sweep ON auth_sessions (sweep_at);

-- The revocation log. AUTOINCREMENT, because a number that was purged must never come again.
CREATE TABLE auth_revocations (
    seq     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    session BLOB CHECK (length(session) = 18),     -- one session, or, where it is NULL,
    subject BLOB CHECK (length(subject) = 16),     -- all of a subject,
    keep    BLOB CHECK (length(keep) = 18),        -- but this one
    reason  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    CHECK ((session IS NULL) <> (subject IS NULL))
) STRICT;

-- A session whose epoch is smaller than one of its subject's here was ended by it. The numbers are those of the log and so
-- only grow; a row goes when no such session is left.
CREATE TABLE auth_epochs (
    subject_key BLOB    NOT NULL CHECK (length(subject_key) = 16),
    epoch       INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    PRIMARY KEY (subject_key, epoch)
) STRICT, WITHOUT ROWID;

CREATE INDEX auth_epochs_by_time ON auth_epochs (ended_at);

-- Tells this log from another file's, so that a cursor of one is not taken for a place in the other.
CREATE TABLE auth_log (
    id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

INSERT INTO auth_log (id) VALUES (lower(hex(randomblob(8))));
