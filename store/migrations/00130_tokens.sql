-- Tokens of scripts are sessions with a name, so that they can be listed and
-- withdrawn. A browser's session has none.

-- +goose Up
ALTER TABLE sessions ADD COLUMN label TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE sessions DROP COLUMN label;
