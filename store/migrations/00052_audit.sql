-- Who changed what through the console and the API.

-- +goose Up
CREATE TABLE audit (
    id       BIGINT NOT NULL PRIMARY KEY,
    at       BIGINT NOT NULL,
    by_login TEXT   NOT NULL,
    what     TEXT   NOT NULL,
    object   TEXT   NOT NULL
);
INSERT INTO counters (name, last) VALUES ('audit', 0);

-- +goose Down
DELETE FROM counters WHERE name = 'audit';
DROP TABLE audit;
