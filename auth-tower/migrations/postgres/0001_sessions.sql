-- The tables and functions of the schema `auth`; for another schema, replace every `auth.` by its name. The schema has to be
-- there: CREATE SCHEMA IF NOT EXISTS auth. Run it in one transaction: psql --single-transaction -v ON_ERROR_STOP=1 -f FILE
--
-- Moments are milliseconds since the Unix epoch, UTC; spans are milliseconds.

CREATE TABLE auth.migrations (
    version    integer     NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE auth.sessions (
    created_at          bigint   NOT NULL,
    last_seen_at        bigint   NOT NULL,
    idle_expires_at     bigint   NOT NULL,
    absolute_expires_at bigint   NOT NULL,
    rotated_at          bigint,
    generation          bigint   NOT NULL CHECK (generation BETWEEN 0 AND 4294967295),
    confirmed           bigint   CHECK (confirmed BETWEEN 0 AND 4294967295),
    epoch               bigint   NOT NULL,
    -- When a purge looks at the row next. Never later than the session's deadline while it lives, and seldom equal to it, so
    -- that a rotation has no index to maintain (a HOT update); the moment of the ending once it was ended.
    sweep_at            bigint   NOT NULL,
    format              smallint NOT NULL,
    ended               smallint,
    seen                boolean  NOT NULL,
    id                  bytea    NOT NULL PRIMARY KEY CHECK (octet_length(id) = 18),
    subject_key         bytea    NOT NULL CHECK (octet_length(subject_key) = 16),
    subject             text     NOT NULL,
    client_id           text     NOT NULL,
    device              text,
    ip                  text,
    user_agent          text
) WITH (
    -- Room in every page for the next version of its rows, and a vacuum before the dead ones are many.
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

CREATE INDEX sessions_by_subject ON auth.sessions (subject_key, created_at) WHERE ended IS NULL;
CREATE INDEX sessions_by_sweep ON auth.sessions (sweep_at);

-- The log of endings. Its numbers are drawn from auth.log, whose row stays locked until the ending is committed: so no entry
-- ever appears behind a later one, whatever other transactions of this database are open.
CREATE TABLE auth.endings (
    seq     bigint   NOT NULL PRIMARY KEY,
    session bytea    CHECK (octet_length(session) = 18),     -- one session, or, where it is NULL,
    subject bytea    CHECK (octet_length(subject) = 16),     -- all of a subject,
    keep    bytea    CHECK (octet_length(keep) = 18),        -- but this one
    reason  smallint NOT NULL,
    at      bigint   NOT NULL,
    CHECK ((session IS NULL) <> (subject IS NULL))
);

-- One row: the number of the last ending, and a name that tells this log from another database's, so that a cursor of one is
-- not taken for a place in the other.
CREATE TABLE auth.log (
    only_row boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    id       text    NOT NULL,
    last     bigint  NOT NULL
) WITH (fillfactor = 10);

INSERT INTO auth.log (id, last) VALUES (left(replace(gen_random_uuid()::text, '-', ''), 16), 0);

-- A session whose epoch is smaller than one of its subject's here was ended by it. The numbers are those of the log and so
-- only grow; a row goes when no such session is left.
CREATE TABLE auth.epochs (
    subject_key bytea  NOT NULL CHECK (octet_length(subject_key) = 16),
    epoch       bigint NOT NULL,
    ended_at    bigint NOT NULL,
    PRIMARY KEY (subject_key, epoch)
);

CREATE INDEX epochs_by_time ON auth.epochs (ended_at);

-- A session as a step found it; all NULL if there is none. `left_behind`: ended by an epoch. `taken`: whether the step was.
CREATE TYPE auth.found AS (
    id                  bytea,
    format              smallint,
    subject             text,
    client_id           text,
    created_at          bigint,
    last_seen_at        bigint,
    generation          bigint,
    confirmed           bigint,
    rotated_at          bigint,
    seen                boolean,
    idle_expires_at     bigint,
    absolute_expires_at bigint,
    ended               smallint,
    left_behind         boolean,
    device              text,
    ip                  text,
    user_agent          text,
    subject_key         bytea,
    now                 bigint,
    taken               boolean
);

-- The one clock of the library.
CREATE FUNCTION auth.now_ms() RETURNS bigint LANGUAGE sql VOLATILE
    AS 'SELECT floor(date_part(''epoch'', clock_timestamp()) * 1000)::bigint';

-- The functions below are one transaction each. In a READ COMMITTED transaction every statement in them sees what was committed
-- when it began, which is after the locks were taken. Locks are taken in this order: a subject's, rows of sessions, the log's.
--
-- A subject's lock keeps `end_all` apart from everything else that happens to the subject. It is known by the two bytes that
-- lead the subject's key and all of its session ids; 1635087464 is 'auth'.

CREATE FUNCTION auth.find(p_id bytea) RETURNS auth.found LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    answer auth.found;
BEGIN
    SELECT s.id, s.format, s.subject, s.client_id, s.created_at, s.last_seen_at, s.generation, s.confirmed, s.rotated_at,
           s.seen, s.idle_expires_at, s.absolute_expires_at, s.ended,
           EXISTS (SELECT FROM auth.epochs e WHERE e.subject_key = s.subject_key AND e.epoch > s.epoch),
           s.device, s.ip, s.user_agent, s.subject_key, auth.now_ms(), false
      INTO answer FROM auth.sessions s WHERE s.id = p_id;
    RETURN answer;
END $$;

-- Returns when the session began, or NULL if the id is in use.
CREATE FUNCTION auth.create_session(p_id bytea, p_subject text, p_subject_key bytea, p_client_id text, p_idle bigint,
    p_absolute bigint, p_device text, p_ip text, p_user_agent text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_ms bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1635087464, get_byte(p_id, 0) * 256 + get_byte(p_id, 1));
    now_ms := auth.now_ms();
    INSERT INTO auth.sessions (id, format, subject, subject_key, epoch, client_id, created_at, last_seen_at, generation,
        seen, idle_expires_at, absolute_expires_at, sweep_at, device, ip, user_agent)
    VALUES (p_id, 1, p_subject, p_subject_key,
        coalesce((SELECT max(e.epoch) FROM auth.epochs e WHERE e.subject_key = p_subject_key), 0),
        p_client_id, now_ms, now_ms, 1, false, now_ms + least(p_idle, p_absolute), now_ms + p_absolute,
        now_ms + least(p_idle, p_absolute), p_device, p_ip, p_user_agent)
    ON CONFLICT (id) DO NOTHING;
    RETURN CASE WHEN FOUND THEN now_ms END;
END $$;

CREATE FUNCTION auth.advance(p_id bytea, p_expected bigint, p_expected_seen boolean, p_unless_within bigint,
    p_confirmed bigint, p_current bigint, p_idle bigint, p_relaxed boolean) RETURNS auth.found LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    before auth.found;
    idle_until bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1635087464, get_byte(p_id, 0) * 256 + get_byte(p_id, 1));
    LOOP
        before := auth.find(p_id);
        IF before.id IS NULL OR before.format <> 1 OR before.ended IS NOT NULL OR before.left_behind
            OR before.now >= before.idle_expires_at OR before.now >= before.absolute_expires_at
            OR before.generation <> p_expected OR before.seen <> p_expected_seen
            OR (p_unless_within > 0 AND abs(before.now - before.rotated_at) <= p_unless_within)
        THEN
            RETURN before;
        END IF;
        idle_until := least(before.now + p_idle, before.absolute_expires_at);
        -- Whoever holds the row may have moved it meanwhile: it has to be the one that was judged, or it is judged again.
        UPDATE auth.sessions s
           SET generation = p_current, confirmed = p_confirmed, rotated_at = before.now, seen = false,
               last_seen_at = before.now, idle_expires_at = idle_until, sweep_at = least(s.sweep_at, idle_until)
         WHERE s.id = p_id AND s.generation = before.generation AND s.seen = before.seen AND s.ended IS NULL
           AND s.rotated_at IS NOT DISTINCT FROM before.rotated_at;
        IF FOUND THEN
            IF p_relaxed THEN
                PERFORM set_config('synchronous_commit', 'off', true);
            END IF;
            before.taken := true;
            RETURN before;
        END IF;
    END LOOP;
END $$;
