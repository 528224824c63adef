-- +goose Up

-- External jobs beside managed ones, in lists that stay fast however long they are.
-- origin is the dialect that reports a job, empty for one that Lockstep does itself;
-- subject is the task of a managed job and what a dialect reports about otherwise. The
-- words of managed jobs follow from their state, so they are computed, not stored.
ALTER TABLE jobs ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN reported_type TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN reported_status TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN reported_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN has_failed SMALLINT NOT NULL DEFAULT 0; -- ended, and failed records of it are left
ALTER TABLE jobs ADD COLUMN type TEXT GENERATED ALWAYS AS (CASE WHEN origin <> '' THEN reported_type WHEN kind = 'scan' THEN 'full' ELSE 'incremental' END) STORED;
ALTER TABLE jobs ADD COLUMN status TEXT GENERATED ALWAYS AS (CASE
    WHEN origin <> '' THEN reported_status
    WHEN state IN ('open', 'closed') THEN 'in_progress'
    WHEN state = 'cancelling' THEN 'canceling'
    WHEN state = 'cancelled' THEN 'canceled'
    WHEN state = 'done' AND has_failed = 0 THEN 'completed'
    ELSE 'error' END) STORED;
ALTER TABLE jobs ADD COLUMN changed_at BIGINT GENERATED ALWAYS AS (greatest(started_at, closed_at, ended_at, reported_at)) STORED;

UPDATE jobs SET origin = 'native', reported_status = 'in_progress' WHERE kind = 'external';
UPDATE jobs SET subject = coalesce((SELECT k.id FROM tasks k WHERE k.num = jobs.task), '') WHERE kind <> 'external';
UPDATE jobs SET has_failed = 1 WHERE kind <> 'external' AND ended_at <> 0
    AND EXISTS (SELECT 1 FROM job_counts c WHERE c.job = jobs.num AND c.failed > 0);

-- A million external jobs that never end must not be looked at by what ends jobs.
DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (num) WHERE ended_at = 0 AND kind <> 'external';

CREATE INDEX jobs_kind ON jobs (project, kind, num);
CREATE INDEX jobs_list ON jobs (project, origin, num);
CREATE INDEX jobs_list_status ON jobs (project, origin, type, status, num);
CREATE INDEX jobs_subject ON jobs (project, origin, subject, num);
CREATE INDEX jobs_subject_status ON jobs (project, origin, subject, type, status, num);
CREATE INDEX jobs_changed ON jobs (project, origin, changed_at, num, subject, type, status);

-- How many jobs there are, kept by the triggers below in the transaction that changes
-- them: totals of lists are read here, never counted.
CREATE TABLE job_tally (
    project TEXT NOT NULL,
    origin  TEXT NOT NULL,
    subject TEXT NOT NULL,
    type    TEXT NOT NULL,
    status  TEXT NOT NULL,
    n       BIGINT NOT NULL,
    PRIMARY KEY (project, origin, subject, type, status)
) WITH (fillfactor = 50);
INSERT INTO job_tally (project, origin, subject, type, status, n)
    SELECT project, origin, subject, type, status, count(*) FROM jobs GROUP BY project, origin, subject, type, status;

-- +goose StatementBegin
CREATE FUNCTION tally_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE job_tally SET n = n - 1 WHERE project = OLD.project AND origin = OLD.origin
            AND subject = OLD.subject AND type = OLD.type AND status = OLD.status;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO job_tally (project, origin, subject, type, status, n)
            VALUES (NEW.project, NEW.origin, NEW.subject, NEW.type, NEW.status, 1)
            ON CONFLICT (project, origin, subject, type, status) DO UPDATE SET n = job_tally.n + 1;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER jobs_tally_insert AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION tally_job();
CREATE TRIGGER jobs_tally_delete AFTER DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION tally_job();
CREATE TRIGGER jobs_tally_update AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.type <> NEW.type OR OLD.subject <> NEW.subject OR OLD.origin <> NEW.origin OR OLD.project <> NEW.project)
    EXECUTE FUNCTION tally_job();
-- A retry can repair a job that has ended.
-- The row is locked first: lanes repair the last failures of a job side by
-- side, and the later one must see what the earlier did.
-- +goose StatementBegin
CREATE FUNCTION repair_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM jobs WHERE num = NEW.job AND has_failed = 1 FOR NO KEY UPDATE;
    UPDATE jobs SET has_failed = 0 WHERE num = NEW.job AND has_failed = 1
        AND NOT EXISTS (SELECT 1 FROM job_counts c WHERE c.job = NEW.job AND c.failed > 0);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER job_counts_repaired AFTER UPDATE ON job_counts FOR EACH ROW
    WHEN (NEW.failed < OLD.failed) EXECUTE FUNCTION repair_job();

-- What external jobs are about: how it went last, and how often a dialect expects it.
CREATE TABLE external_subjects (
    project      TEXT NOT NULL,
    origin       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    name         TEXT NOT NULL DEFAULT '',
    every        BIGINT NOT NULL DEFAULT 0, -- microseconds between syncs; 0: nobody knows
    reported_at  BIGINT NOT NULL DEFAULT 0,
    succeeded_at BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (project, origin, subject)
);
CREATE INDEX external_subjects_recent ON external_subjects (project, reported_at);

-- Apps that may report through the DID Spaces dialect.
CREATE TABLE apps (
    did        TEXT PRIMARY KEY, -- without did:abt:
    project    TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX apps_project ON apps (project, created_at, did);
