-- Clients whose open deliveries are a backlog (a resend, or what was held) stand
-- behind those with fresh ones, oldest call first (F-15).

-- +goose Up
ALTER TABLE lanes ADD COLUMN backlog BIGINT NOT NULL DEFAULT 0;
DROP INDEX lanes_due;
CREATE INDEX lanes_due ON lanes (integration, backlog, due_at);

-- +goose Down
DROP INDEX lanes_due;
ALTER TABLE lanes DROP COLUMN backlog;
CREATE INDEX lanes_due ON lanes (integration, due_at);
