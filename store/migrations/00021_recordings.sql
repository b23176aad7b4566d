-- Sound files of calls: awaited until they are complete.

-- +goose Up
CREATE TABLE recordings (
    call_id  TEXT   NOT NULL,
    n        BIGINT NOT NULL,
    pbx      TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    size     BIGINT NOT NULL,
    tries    BIGINT NOT NULL,
    next_at  BIGINT NOT NULL,
    ready_at BIGINT NOT NULL,
    PRIMARY KEY (call_id, n)
);
CREATE INDEX recordings_awaited ON recordings (next_at) WHERE state = 'waiting';

-- +goose Down
DROP TABLE recordings;
