-- The tables and functions of the schema `auth`; for another schema, replace every `auth.` by its name. The schema has to be
-- there: CREATE SCHEMA IF NOT EXISTS auth. Run it in one transaction: psql --single-transaction -v ON_ERROR_STOP=1 -f FILE
--
-- Moments are milliseconds since the Unix epoch, UTC; spans are milliseconds.

CREATE TABLE auth.migrations (
    version    integer     NOT NULL PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Without CHECKs, as the server would read their text anew for every rotation: what is damaged is refused when it is read.
CREATE TABLE auth.sessions (
    created_at          bigint   NOT NULL,
    last_seen_at        bigint   NOT NULL,
    idle_expires_at     bigint   NOT NULL,
    absolute_expires_at bigint   NOT NULL,
    rotated_at          bigint,
    generation          bigint   NOT NULL,
    confirmed           bigint,
    epoch               bigint   NOT NULL,
    -- When a purge looks at the row next. Never later than the session's deadline while it lives, and seldom equal to it, so
    -- that a rotation has no index to maintain (a HOT update); the moment of the revocation once it was ended.
    sweep_at            bigint   NOT NULL,
    format              smallint NOT NULL,
    ended               smallint,
    seen                boolean  NOT NULL,
    id                  bytea    NOT NULL PRIMARY KEY,
    subject_key         bytea    NOT NULL,
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

-- The revocation log. Its numbers are drawn from auth.log, whose row stays locked until the revocation is committed, so no entry
-- ever appears behind a later one, whatever other transactions of this database are open.
CREATE TABLE auth.revocations (
    seq     bigint   NOT NULL PRIMARY KEY,
    session bytea    CHECK (octet_length(session) = 18),     -- one session, or, where it is NULL,
    subject bytea    CHECK (octet_length(subject) = 16),     -- all of a subject,
    keep    bytea    CHECK (octet_length(keep) = 18),        -- but this one
    reason  smallint NOT NULL,
    at      bigint   NOT NULL,
    CHECK ((session IS NULL) <> (subject IS NULL))
);

-- One row: the number of the last revocation, and a name that tells this log from another database's, so that a cursor of one is
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

-- The one clock of the library. Operators get the types that they are made for, here and below: the server would prefer a
-- better match that another role has put into another schema.
CREATE FUNCTION auth.now_ms() RETURNS bigint LANGUAGE sql VOLATILE
    AS 'SELECT floor(date_part(''epoch'', clock_timestamp()) * 1000::float8)::bigint';

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
        -- As `find` does, which would cost a third more.
        SELECT s.id, s.format, s.subject, s.client_id, s.created_at, s.last_seen_at, s.generation, s.confirmed, s.rotated_at,
               s.seen, s.idle_expires_at, s.absolute_expires_at, s.ended,
               EXISTS (SELECT FROM auth.epochs e WHERE e.subject_key = s.subject_key AND e.epoch > s.epoch),
               s.device, s.ip, s.user_agent, s.subject_key, auth.now_ms(), false
          INTO before FROM auth.sessions s WHERE s.id = p_id;
        IF before.id IS NULL OR before.format <> 1 OR before.ended IS NOT NULL OR before.left_behind
            OR before.now >= before.idle_expires_at OR before.now >= before.absolute_expires_at
            OR before.generation <> p_expected OR before.seen <> p_expected_seen
            OR (p_unless_within > 0 AND abs(before.now - before.rotated_at) <= p_unless_within)
        THEN
            RETURN before;
        END IF;
        idle_until := least(before.now + p_idle, before.absolute_expires_at);
        -- Another transaction may have moved the row meanwhile. A row other than the one that was judged is judged again.
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

-- A lost acknowledgement only delays the detection of a theft, so no commit waits for the disk.
CREATE FUNCTION auth.acknowledge(p_ids bytea[], p_generations bigint[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_ms bigint := auth.now_ms();
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- Locked in one order by all, so that no two batches wait for each other.
    WITH due AS (
        SELECT s.id FROM unnest(p_ids, p_generations) AS m (id, generation) JOIN auth.sessions s ON s.id = m.id
         WHERE s.generation = m.generation AND NOT s.seen AND s.ended IS NULL AND s.format = 1
           AND s.idle_expires_at > now_ms AND s.absolute_expires_at > now_ms
           AND NOT EXISTS (SELECT FROM auth.epochs e WHERE e.subject_key = s.subject_key AND e.epoch > s.epoch)
         ORDER BY s.id FOR UPDATE OF s)
    UPDATE auth.sessions s SET seen = true, last_seen_at = now_ms FROM due WHERE s.id = due.id;
END $$;

-- Appends to the log, which stays locked until the end of the transaction, and returns the entry's number.
CREATE FUNCTION auth.append(p_session bytea, p_subject bytea, p_keep bytea, p_reason smallint, p_at bigint) RETURNS bigint
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    number bigint;
BEGIN
    -- A lost revocation lets a token back in, so it has to be on disk, whatever the server's setting.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    UPDATE auth.log SET last = last + 1 RETURNING last INTO STRICT number;
    INSERT INTO auth.revocations (seq, session, subject, keep, reason, at)
    VALUES (number, p_session, p_subject, p_keep, p_reason, p_at);
    PERFORM pg_notify('auth.revocations', '');
    RETURN number;
END $$;

CREATE FUNCTION auth.end_session(p_id bytea, p_reason smallint) RETURNS auth.found LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    before auth.found;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1635087464, get_byte(p_id, 0) * 256 + get_byte(p_id, 1));
    PERFORM FROM auth.sessions s WHERE s.id = p_id FOR UPDATE;
    before := auth.find(p_id);
    -- One of an unknown format is ended all the same: its access tokens are still about.
    IF before.ended IS NULL AND (before.format <> 1 OR (NOT before.left_behind
        AND before.now < before.idle_expires_at AND before.now < before.absolute_expires_at))
    THEN
        UPDATE auth.sessions s SET ended = p_reason, sweep_at = before.now WHERE s.id = p_id;
        PERFORM auth.append(p_id, NULL, NULL, p_reason, before.now);
        before.taken := true;
    END IF;
    RETURN before;
END $$;

CREATE FUNCTION auth.end_all(p_subject_key bytea, p_keep bytea, p_reason smallint, OUT ended bigint, OUT at bigint)
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    present bigint;
    kept bytea;
    number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1635087464, get_byte(p_subject_key, 0) * 256 + get_byte(p_subject_key, 1));
    present := coalesce((SELECT max(e.epoch) FROM auth.epochs e WHERE e.subject_key = p_subject_key), 0);
    -- Acknowledgements do not take the subject's lock. This waits for one that is being written to the kept session.
    PERFORM FROM auth.sessions s WHERE s.id = p_keep FOR UPDATE;
    at := auth.now_ms();
    kept := (SELECT s.id FROM auth.sessions s
              WHERE s.id = p_keep AND s.subject_key = p_subject_key AND s.format = 1 AND s.ended IS NULL
                AND s.epoch >= present AND s.idle_expires_at > at AND s.absolute_expires_at > at);
    ended := (SELECT count(*) FROM auth.sessions s
               WHERE s.subject_key = p_subject_key AND s.ended IS NULL
                 AND s.epoch >= present AND s.idle_expires_at > at AND s.absolute_expires_at > at);
    IF kept IS NOT NULL THEN
        ended := ended - 1;
    END IF;
    number := auth.append(NULL, p_subject_key, kept, p_reason, at);
    IF EXISTS (SELECT FROM auth.sessions s WHERE s.subject_key = p_subject_key AND s.ended IS NULL) THEN
        INSERT INTO auth.epochs (subject_key, epoch, ended_at) VALUES (p_subject_key, number, at);
    END IF;
    UPDATE auth.sessions s SET epoch = number WHERE s.id = kept;
END $$;

CREATE FUNCTION auth.list(p_subject_key bytea, p_limit bigint) RETURNS SETOF auth.found LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_ms bigint := auth.now_ms();
BEGIN
    RETURN QUERY
    SELECT s.id, s.format, s.subject, s.client_id, s.created_at, s.last_seen_at, s.generation, s.confirmed, s.rotated_at,
           s.seen, s.idle_expires_at, s.absolute_expires_at, s.ended, false,
           s.device, s.ip, s.user_agent, s.subject_key, now_ms, false
      FROM auth.sessions s
     WHERE s.subject_key = p_subject_key AND s.ended IS NULL
       AND s.idle_expires_at > now_ms AND s.absolute_expires_at > now_ms
       AND NOT EXISTS (SELECT FROM auth.epochs e WHERE e.subject_key = s.subject_key AND e.epoch > s.epoch)
     ORDER BY s.created_at DESC LIMIT p_limit;
END $$;

-- The entries after number p_after of the log p_log, which was made at p_at: in the same history if an entry of that number
-- has that moment, or was purged. From another history, or from the future of a database that was restored from a backup,
-- everything is news. One row at least: what the log is now, with its entry NULL.
CREATE FUNCTION auth.revocations_after(p_log text, p_after bigint, p_at bigint, p_limit bigint)
    RETURNS TABLE (log text, now bigint, seq bigint, session bytea, subject bytea, keep bytea, at bigint, after bigint)
    LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    now_ms bigint := auth.now_ms();
BEGIN
    RETURN QUERY
    WITH place AS MATERIALIZED (
        SELECT l.id,
               CASE WHEN l.id = p_log AND p_after <= l.last AND NOT EXISTS
                   (SELECT FROM auth.revocations e WHERE e.seq = p_after AND e.at <> p_at) THEN p_after ELSE 0 END AS after
          FROM auth.log l)
    SELECT p.id, now_ms, e.seq, e.session, e.subject, e.keep, e.at, p.after
      FROM place p
      LEFT JOIN LATERAL (SELECT * FROM auth.revocations x WHERE x.seq > p.after ORDER BY x.seq LIMIT p_limit) e ON true
     ORDER BY e.seq;
END $$;

-- Removes what was over for longer than p_sessions and entries older than p_revocations, a portion of each: a few milliseconds.
CREATE FUNCTION auth.purge(p_sessions bigint, p_revocations bigint, OUT removed bigint, OUT more boolean)
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    portion CONSTANT integer := 250;
    now_ms bigint := auth.now_ms();
    sessions_before bigint := now_ms - p_sessions;
    looked_at bigint;
    gone bigint;
    left_one record;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- Expired or ended. What was refreshed since it was queued is put back.
    WITH due AS MATERIALIZED (
        SELECT s.id, CASE WHEN s.ended IS NULL THEN least(s.idle_expires_at, s.absolute_expires_at) ELSE s.sweep_at END AS over_at
          FROM auth.sessions s WHERE s.sweep_at < sessions_before
         ORDER BY s.sweep_at LIMIT portion FOR UPDATE SKIP LOCKED),
    deleted AS (DELETE FROM auth.sessions s USING due d WHERE s.id = d.id AND d.over_at < sessions_before RETURNING 1),
    requeued AS (UPDATE auth.sessions s SET sweep_at = d.over_at FROM due d WHERE s.id = d.id AND d.over_at >= sessions_before
        RETURNING 1)
    SELECT (SELECT count(*) FROM due), (SELECT count(*) FROM deleted) INTO looked_at, removed;
    more := looked_at = portion;

    -- Sessions of epochs that were left. An epoch is forgotten only when none of its sessions is remembered.
    looked_at := 0;
    LOOP
        SELECT e.subject_key, e.epoch INTO left_one FROM auth.epochs e WHERE e.ended_at < sessions_before
         ORDER BY e.ended_at LIMIT 1 FOR UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;
        DELETE FROM auth.sessions s WHERE s.id = ANY (ARRAY(
            SELECT x.id FROM auth.sessions x
             WHERE x.subject_key = left_one.subject_key AND x.ended IS NULL AND x.epoch < left_one.epoch
             LIMIT portion - looked_at FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS gone = ROW_COUNT;
        removed := removed + gone;
        -- An epoch without sessions counts too, so that this comes to an end.
        looked_at := looked_at + greatest(gone, 1);
        IF looked_at >= portion OR EXISTS (SELECT FROM auth.sessions s
            WHERE s.subject_key = left_one.subject_key AND s.ended IS NULL AND s.epoch < left_one.epoch)
        THEN
            more := more OR gone > 0;
            EXIT;
        END IF;
        DELETE FROM auth.epochs e WHERE e.subject_key = left_one.subject_key AND e.epoch = left_one.epoch;
    END LOOP;

    DELETE FROM auth.revocations d USING (
        SELECT e.seq, e.at FROM auth.revocations e ORDER BY e.seq LIMIT portion FOR UPDATE SKIP LOCKED) old
     WHERE d.seq = old.seq AND old.at < now_ms - p_revocations;
    GET DIAGNOSTICS gone = ROW_COUNT;
    removed := removed + gone;
END $$;

INSERT INTO auth.migrations (version, name) VALUES (1, 'sessions');
