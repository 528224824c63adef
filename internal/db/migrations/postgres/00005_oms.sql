-- +goose Up

-- Credentials that came with a task, for endpoints that have none of their own.
ALTER TABLE tasks ADD COLUMN sealed bytea NOT NULL DEFAULT ''::bytea;
