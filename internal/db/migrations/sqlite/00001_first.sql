-- +goose Up

-- Times are microseconds since 1970 UTC, 0 for none. Keys are bytes. num columns are
-- the store's own numbers; ids are what clients see.

CREATE TABLE tasks (
    num         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    project     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    state       TEXT NOT NULL,
    shards      INTEGER NOT NULL,
    origin      TEXT NOT NULL,
    src_endpoint TEXT NOT NULL, src_bucket TEXT NOT NULL, src_prefix BLOB NOT NULL,
    dst_endpoint TEXT NOT NULL, dst_bucket TEXT NOT NULL, dst_prefix BLOB NOT NULL,
    options     TEXT NOT NULL,
    ext         TEXT NOT NULL,
    open_job    BIGINT NOT NULL DEFAULT 0, -- the job of kind events that takes records
    created_at  BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    deleted_at  BIGINT NOT NULL DEFAULT 0,
    version     BIGINT NOT NULL
);
CREATE UNIQUE INDEX tasks_name ON tasks (project, name) WHERE deleted_at = 0;
CREATE INDEX tasks_destination ON tasks (dst_endpoint, dst_bucket) WHERE deleted_at = 0;

CREATE TABLE jobs (
    num          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    task         BIGINT NOT NULL, -- 0 for none
    project      TEXT NOT NULL,
    kind         TEXT NOT NULL,
    state        TEXT NOT NULL,
    started_at   BIGINT NOT NULL,
    closed_at    BIGINT NOT NULL DEFAULT 0,
    ended_at     BIGINT NOT NULL DEFAULT 0,
    source_time  BIGINT NOT NULL DEFAULT 0,
    ending       TEXT NOT NULL DEFAULT '', -- the state it will have once its records have ended
    why          TEXT NOT NULL DEFAULT '',
    manifest_due SMALLINT NOT NULL DEFAULT 0, -- lists were added since the manifest was written
    ext          TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX jobs_task ON jobs (task, num);
CREATE INDEX jobs_project ON jobs (project, num);
CREATE INDEX jobs_open ON jobs (num) WHERE ended_at = 0;
CREATE INDEX jobs_manifest ON jobs (num) WHERE manifest_due = 1;

-- A record that waits. seq names this version of the row: it is never used again.
CREATE TABLE pending (
    seq         INTEGER PRIMARY KEY,
    task        BIGINT NOT NULL,
    shard       INTEGER NOT NULL,
    key         BLOB NOT NULL,
    rank        SMALLINT NOT NULL,
    next_at     BIGINT NOT NULL,
    job         BIGINT NOT NULL,
    class       SMALLINT NOT NULL,
    accepted_at BIGINT NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    missed      SMALLINT NOT NULL DEFAULT 0,
    retry       BIGINT NOT NULL DEFAULT 0, -- the retry job, for a new attempt of a failed record
    failed_seq  BIGINT NOT NULL DEFAULT 0, -- and that record's failures.seq
    reason      TEXT NOT NULL DEFAULT '',  -- of the last attempt that is to be repeated
    known       BLOB
);
CREATE UNIQUE INDEX pending_key ON pending (task, shard, key);
-- The work of a lane in its order. rank 0 is events, 1 everything else.
CREATE INDEX pending_due ON pending (task, shard, rank, next_at);
-- Events that wait longer than their turn: with pending_due it answers how far behind a task is.
CREATE INDEX pending_late ON pending (task, accepted_at) WHERE rank = 0 AND next_at <> accepted_at;

-- The one sequence of pending.seq, raised once for each group of rows.
CREATE TABLE pending_seq (one SMALLINT PRIMARY KEY CHECK (one = 1), value BIGINT NOT NULL);
INSERT INTO pending_seq VALUES (1, 0);

CREATE TABLE lanes (
    task    BIGINT NOT NULL,
    shard   INTEGER NOT NULL,
    owner   TEXT NOT NULL DEFAULT '',
    epoch   BIGINT NOT NULL DEFAULT 0,
    expires BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (task, shard)
) WITHOUT ROWID;

CREATE TABLE partitions (
    num         INTEGER PRIMARY KEY AUTOINCREMENT,
    job         BIGINT NOT NULL,
    task        BIGINT NOT NULL,
    after_key   BLOB NOT NULL,
    until_key   BLOB NOT NULL, -- empty for no end
    owner       TEXT NOT NULL DEFAULT '',
    epoch       BIGINT NOT NULL DEFAULT 0,
    expires     BIGINT NOT NULL DEFAULT 0,
    done        SMALLINT NOT NULL DEFAULT 0,
    source      BIGINT NOT NULL DEFAULT 0, -- objects listed
    destination BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX partitions_job ON partitions (job);
CREATE INDEX partitions_open ON partitions (num) WHERE done = 0;

-- Deletes of a scan that wait for the guard.
CREATE TABLE staged (
    job         BIGINT NOT NULL,
    shard       INTEGER NOT NULL,
    key         BLOB NOT NULL,
    accepted_at BIGINT NOT NULL,
    missed      SMALLINT NOT NULL,
    known       BLOB,
    PRIMARY KEY (job, shard, key)
) WITHOUT ROWID;

-- Deletes by events, by hour since 1970.
CREATE TABLE delete_hours (
    task    BIGINT NOT NULL,
    hour    BIGINT NOT NULL,
    deletes BIGINT NOT NULL,
    PRIMARY KEY (task, hour)
) WITHOUT ROWID;

-- Counters. A row is written by one shard's lane at a time; readers add the shards up.
-- unlisted is the part of ignored that no list names.
CREATE TABLE job_counts (
    job BIGINT NOT NULL,
    shard INTEGER NOT NULL,
    requested BIGINT NOT NULL,
    synced BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    ignored BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    flagged BIGINT NOT NULL,
    missed BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    unlisted BIGINT NOT NULL,
    PRIMARY KEY (job, shard)
) WITHOUT ROWID;
CREATE TABLE interval_counts (
    task BIGINT NOT NULL,
    at BIGINT NOT NULL, -- beginning of the 5 minutes
    class SMALLINT NOT NULL,
    shard INTEGER NOT NULL,
    requested BIGINT NOT NULL,
    synced BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    ignored BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    flagged BIGINT NOT NULL,
    missed BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    unlisted BIGINT NOT NULL,
    PRIMARY KEY (task, at, class, shard)
) WITHOUT ROWID;
CREATE TABLE month_counts (
    task BIGINT NOT NULL,
    at BIGINT NOT NULL, -- beginning of the month, UTC
    class SMALLINT NOT NULL,
    shard INTEGER NOT NULL,
    requested BIGINT NOT NULL,
    synced BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    ignored BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    flagged BIGINT NOT NULL,
    missed BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    unlisted BIGINT NOT NULL,
    PRIMARY KEY (task, at, class, shard)
) WITHOUT ROWID;

CREATE TABLE reason_counts (
    job     BIGINT NOT NULL,
    outcome SMALLINT NOT NULL,
    reason  TEXT NOT NULL,
    shard   INTEGER NOT NULL,
    task    BIGINT NOT NULL,
    n       BIGINT NOT NULL,
    PRIMARY KEY (job, outcome, reason, shard)
) WITHOUT ROWID;
CREATE INDEX reason_counts_task ON reason_counts (task);

-- Failed records. Open: no later record of the key has ended.
CREATE TABLE failures (
    num         INTEGER PRIMARY KEY AUTOINCREMENT,
    task        BIGINT NOT NULL,
    shard       INTEGER NOT NULL,
    key         BLOB NOT NULL,
    seq         BIGINT NOT NULL, -- of the record when it failed first
    job         BIGINT NOT NULL,
    class       SMALLINT NOT NULL,
    accepted_at BIGINT NOT NULL,
    first_at    BIGINT NOT NULL,
    last_at     BIGINT NOT NULL,
    attempts    INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    cause       TEXT NOT NULL,
    code        TEXT NOT NULL,
    size        BIGINT NOT NULL,
    missed      SMALLINT NOT NULL,
    open        SMALLINT NOT NULL
);
CREATE UNIQUE INDEX failures_open ON failures (task, shard, key) WHERE open = 1;
CREATE INDEX failures_reason ON failures (task, reason, num) WHERE open = 1;
CREATE INDEX failures_age ON failures (task, accepted_at) WHERE open = 1;
CREATE INDEX failures_task ON failures (task, num);
CREATE INDEX failures_job ON failures (job, num);
CREATE INDEX failures_key ON failures (task, key);

-- List lines on their way to the destination: zstd of whole lines. file 0: not sealed.
CREATE TABLE outbox (
    num   INTEGER PRIMARY KEY,
    task  BIGINT NOT NULL,
    job   BIGINT NOT NULL,
    kind  SMALLINT NOT NULL,
    lines BIGINT NOT NULL,
    at    BIGINT NOT NULL,
    file  BIGINT NOT NULL DEFAULT 0,
    data  BLOB NOT NULL
);
CREATE INDEX outbox_job ON outbox (job, kind, file, lines, at);
CREATE INDEX outbox_file ON outbox (file, num) WHERE file <> 0;

CREATE TABLE list_files (
    num         INTEGER PRIMARY KEY AUTOINCREMENT,
    task        BIGINT NOT NULL,
    job         BIGINT NOT NULL,
    kind        SMALLINT NOT NULL,
    sealed_at   BIGINT NOT NULL,
    lines       BIGINT NOT NULL,
    uploaded_at BIGINT NOT NULL DEFAULT 0,
    name        TEXT NOT NULL DEFAULT '',
    bytes       BIGINT NOT NULL DEFAULT 0,
    sha256      BLOB
);
CREATE UNIQUE INDEX list_files_job ON list_files (job, kind, sealed_at);
CREATE INDEX list_files_due ON list_files (num) WHERE uploaded_at = 0;

-- The audit chain and its one head.
CREATE TABLE audit (
    num     BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   BLOB NOT NULL,
    project TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  BLOB NOT NULL,
    prev    BLOB NOT NULL,
    hash    BLOB NOT NULL
);
CREATE INDEX audit_project ON audit (project, num);
CREATE TABLE audit_head (
    one  SMALLINT PRIMARY KEY CHECK (one = 1),
    num  BIGINT NOT NULL,
    hash BLOB NOT NULL
);
INSERT INTO audit_head VALUES (1, 0, zeroblob(32));

CREATE TABLE endpoints (
    project    TEXT NOT NULL,
    id         TEXT NOT NULL,
    provider   TEXT NOT NULL,
    url        TEXT NOT NULL,
    region     TEXT NOT NULL,
    aliases    TEXT NOT NULL,
    options    TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (project, id)
);

CREATE TABLE access_keys (
    id         TEXT PRIMARY KEY,
    project    TEXT NOT NULL,
    role       TEXT NOT NULL,
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE idempotency (
    project    TEXT NOT NULL,
    key        TEXT NOT NULL,
    request    BLOB NOT NULL, -- hash of what was asked
    answer     BLOB,          -- NULL while it is worked on
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
