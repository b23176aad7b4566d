-- What changed in a CRM's list of employees, one row per synchronisation that
-- found anything (JSON), newest last; old rows go when new ones come.

-- +goose Up
CREATE TABLE staff_changes (
    integration TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    changes     TEXT   NOT NULL,
    PRIMARY KEY (integration, at)
);

-- Who is shown as busy in a CRM because of a call, and what he was before.
CREATE TABLE user_statuses (
    integration TEXT   NOT NULL,
    extension   TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    was         TEXT   NOT NULL,
    since       BIGINT NOT NULL,
    PRIMARY KEY (integration, extension)
);

-- +goose Down
DROP TABLE user_statuses;
DROP TABLE staff_changes;
