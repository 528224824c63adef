-- +goose Up

-- The token by which stores tell of changes of a task: its SHA-256, never itself.
CREATE TABLE hooks (
    task       BIGINT PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- Tasks that start scans by the clock. next_at is the start that comes, 0 when nobody has
-- worked it out yet: whoever moves it has the start.
CREATE TABLE schedules (
    task     BIGINT PRIMARY KEY,
    cron     TEXT NOT NULL,
    zone     TEXT NOT NULL,
    missed   TEXT NOT NULL,
    next_at  BIGINT NOT NULL DEFAULT 0,
    last_at  BIGINT NOT NULL DEFAULT 0, -- the start that was due last
    last     TEXT NOT NULL DEFAULT '',  -- what became of it
    last_job TEXT NOT NULL DEFAULT '',
    why      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX schedules_next ON schedules (next_at);
INSERT INTO schedules (task, cron, zone, missed)
    SELECT num, json_extract(options, '$.schedule.cron'), coalesce(json_extract(options, '$.schedule.zone'), ''),
        coalesce(json_extract(options, '$.schedule.missed'), '')
    FROM tasks WHERE deleted_at = 0 AND coalesce(json_extract(options, '$.schedule.cron'), '') <> '';

-- How many event records the task had when a scan of it began.
ALTER TABLE jobs ADD COLUMN heard BIGINT NOT NULL DEFAULT 0;

-- Where to tell of trouble.
CREATE TABLE notifications (
    id         TEXT PRIMARY KEY,
    project    TEXT NOT NULL,
    url        TEXT NOT NULL,
    events     TEXT NOT NULL, -- separated by spaces; empty: all
    sealed     BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    sent_at    BIGINT NOT NULL DEFAULT 0,
    error      TEXT NOT NULL DEFAULT '' -- of the last attempt
);
CREATE INDEX notifications_project ON notifications (project);

-- What is to be told. next_at is the next attempt; who moves it makes it.
CREATE TABLE notices (
    num          INTEGER PRIMARY KEY AUTOINCREMENT,
    notification TEXT NOT NULL,
    event        TEXT NOT NULL,
    body         BLOB NOT NULL,
    made_at      BIGINT NOT NULL,
    next_at      BIGINT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX notices_next ON notices (next_at);

-- The trouble of a task that was told of, until it has recovered.
CREATE TABLE trouble (
    task  BIGINT NOT NULL,
    event TEXT NOT NULL,
    at    BIGINT NOT NULL,
    PRIMARY KEY (task, event)
);
