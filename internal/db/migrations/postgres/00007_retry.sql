-- +goose Up

-- The key to sync when the source does not hold a failed record's own, for its next
-- attempt; empty for none.
ALTER TABLE failures ADD COLUMN otherwise BYTEA NOT NULL DEFAULT ''::bytea;

-- 1: the record took the place of one that another job had asked for. When its own job is
-- cancelled the key goes on waiting as an event.
ALTER TABLE pending ADD COLUMN shared SMALLINT NOT NULL DEFAULT 0;
