-- The overview asks how fast the cards of the last day were shown.

-- +goose Up
CREATE INDEX receipts_shown ON receipts (shown_at) WHERE shown_at <> 0;

-- +goose Down
DROP INDEX receipts_shown;
