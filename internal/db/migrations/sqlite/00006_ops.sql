-- +goose Up

-- How much retention has taken away, so that what is left still adds up: of a job that is
-- still there, or of all others of a task (job 0). what is failure (records), named (keys
-- counted in intervals), line (of lists; num is their kind) or reason (counters; num is the
-- outcome).
CREATE TABLE retired (
    task   BIGINT NOT NULL,
    job    BIGINT NOT NULL,
    what   TEXT NOT NULL,
    num    SMALLINT NOT NULL,
    reason TEXT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (task, job, what, num, reason)
) WITHOUT ROWID;

-- What retention looks for.
CREATE INDEX failures_closed ON failures (last_at) WHERE open = 0;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at <> 0;

-- From the acceptance of a record to its object at the destination, by 5 minutes and by
-- buckets of history.LagBucket. Statistics: a crash may lose some seconds of it.
CREATE TABLE lag_counts (
    task   BIGINT NOT NULL,
    at     BIGINT NOT NULL, -- beginning of the 5 minutes in which it came to be visible
    bucket SMALLINT NOT NULL,
    n      BIGINT NOT NULL,
    PRIMARY KEY (task, at, bucket)
) WITHOUT ROWID;
