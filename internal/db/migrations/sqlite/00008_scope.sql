-- +goose Up

-- When what scans of the task look at, or how, last became another; 0: never. Scans that
-- started before it prove nothing of the task as it is.
ALTER TABLE tasks ADD COLUMN scope_at BIGINT NOT NULL DEFAULT 0;

-- Scans of places that tasks have left were marked one by one.
UPDATE tasks SET scope_at = (SELECT coalesce(max(j.started_at) + 1, 0) FROM jobs j
    WHERE j.task = tasks.num AND j.kind = 'scan' AND j.ending = 'left');
UPDATE jobs SET ending = state WHERE kind = 'scan' AND ending = 'left';
