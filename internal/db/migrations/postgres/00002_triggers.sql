-- +goose Up

-- The token by which stores tell of changes of a task: its SHA-256, never itself.
CREATE TABLE hooks (
    task       BIGINT PRIMARY KEY,
    hash       BYTEA NOT NULL UNIQUE,
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
    SELECT num, options::json #>> '{schedule,cron}', coalesce(options::json #>> '{schedule,zone}', ''),
        coalesce(options::json #>> '{schedule,missed}', '')
    FROM tasks WHERE deleted_at = 0 AND coalesce(options::json #>> '{schedule,cron}', '') <> '';

-- How many event records the task had when a scan of it began.
ALTER TABLE jobs ADD COLUMN heard BIGINT NOT NULL DEFAULT 0;
