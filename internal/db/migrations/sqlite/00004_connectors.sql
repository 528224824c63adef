-- +goose Up

-- What programs that sync by themselves keep here through the Elastic dialect. doc is the
-- dialect's document; the other columns are what lists ask for.
CREATE TABLE connectors (
    num          INTEGER PRIMARY KEY AUTOINCREMENT,
    project      TEXT NOT NULL,
    id           TEXT NOT NULL,
    unnamed      SMALLINT NOT NULL, -- 1: it has no index name, and is listed last
    index_name   TEXT NOT NULL,
    name         TEXT NOT NULL,
    service_type TEXT NOT NULL,
    description  TEXT NOT NULL,
    deleted      SMALLINT NOT NULL,
    doc          TEXT NOT NULL,
    changed_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX connectors_id ON connectors (project, id);
CREATE UNIQUE INDEX connectors_index_name ON connectors (project, index_name) WHERE deleted = 0 AND unnamed = 0;
CREATE INDEX connectors_list ON connectors (project, deleted, unnamed, index_name, num);
CREATE INDEX connectors_all ON connectors (project, unnamed, index_name, num);
CREATE INDEX connectors_service ON connectors (project, service_type, deleted, unnamed, index_name, num);
CREATE INDEX connectors_name ON connectors (project, name, deleted, unnamed, index_name, num);
