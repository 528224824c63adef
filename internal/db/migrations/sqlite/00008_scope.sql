-- +goose Up

-- When what scans of the task look at, or how, last became another; 0: never. Scans that
-- started before it prove nothing of the task as it is.
ALTER TABLE tasks ADD COLUMN scope_at BIGINT NOT NULL DEFAULT 0;
