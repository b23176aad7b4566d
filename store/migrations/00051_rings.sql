-- What we knew when a phone began to ring: how many browsers were there to
-- show the card, and whether do-not-disturb was on. It answers "why did X see
-- no card" (D-30) long after.

-- +goose Up
CREATE TABLE rings (
    call_id   TEXT    NOT NULL,
    extension TEXT    NOT NULL,
    at        BIGINT  NOT NULL,
    tabs      BIGINT  NOT NULL,
    dnd       BOOLEAN NOT NULL,
    PRIMARY KEY (call_id, extension, at)
);

-- +goose Down
DROP TABLE rings;
