-- What an account of a CRM gave us (tokens), by account and not by integration:
-- several integrations, nodes and commands use one, and a refresh token works once.

-- +goose Up
CREATE TABLE accounts (
    id         TEXT   NOT NULL PRIMARY KEY,
    state      BYTEA,
    changed_at BIGINT NOT NULL DEFAULT 0,
    turn_by    TEXT   NOT NULL DEFAULT '',
    turn_until BIGINT NOT NULL DEFAULT 0
);
ALTER TABLE integrations DROP COLUMN token;

-- +goose Down
ALTER TABLE integrations ADD COLUMN token BYTEA;
DROP TABLE accounts;
