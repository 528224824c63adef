-- +goose Up

-- The key to sync when the source does not hold a failed record's own, for its next
-- attempt; empty for none.
ALTER TABLE failures ADD COLUMN otherwise BLOB NOT NULL DEFAULT x'';

-- 1: the record took the place of one that another job had asked for. When its own job is
-- cancelled the key goes on waiting as an event.
ALTER TABLE pending ADD COLUMN shared SMALLINT NOT NULL DEFAULT 0;

-- When a schedule was set, by the clock that all nodes go by: its first start is looked for
-- from there; 0: before this was kept.
ALTER TABLE schedules ADD COLUMN set_at BIGINT NOT NULL DEFAULT 0;
