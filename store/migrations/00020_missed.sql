-- Clients who wait to be called back: one open entry per client and line.

-- +goose Up
CREATE TABLE missed (
    id        TEXT   NOT NULL PRIMARY KEY,
    client    TEXT   NOT NULL,
    line      TEXT   NOT NULL,
    last_at   BIGINT NOT NULL,
    due_at    BIGINT NOT NULL,
    closed_at BIGINT NOT NULL,
    data      TEXT   NOT NULL
);
CREATE UNIQUE INDEX missed_open ON missed (client, line) WHERE closed_at = 0;
CREATE INDEX missed_recent ON missed (closed_at, last_at);

-- Which entry a call is counted in, for ever: counting twice would be a lie.
CREATE TABLE missed_calls (
    call_id TEXT NOT NULL PRIMARY KEY,
    missed  TEXT NOT NULL
);

CREATE INDEX contacts_same ON contacts (integration, id) WHERE id <> '';

-- +goose Down
DROP INDEX contacts_same;
DROP TABLE missed_calls;
DROP TABLE missed;
