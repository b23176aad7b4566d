-- +goose Up
-- Who else has the number (JSON), and whose the contact's newest open process
-- is: what cards and routing need without asking the CRM.
ALTER TABLE contacts ADD COLUMN others TEXT NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN dealer TEXT NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN deal TEXT NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN deals_at BIGINT NOT NULL DEFAULT 0;

-- Why a call rang where it rang: one row per question of a PBX. pbx_call_id is
-- the PBX's own id of the call, '' if the question did not tell it; data is the
-- answer with everybody who was considered (JSON).
CREATE TABLE route_decisions (
    id          TEXT   NOT NULL PRIMARY KEY,
    pbx         TEXT   NOT NULL,
    pbx_call_id TEXT   NOT NULL,
    client      TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    data        TEXT   NOT NULL
);
CREATE INDEX route_decisions_call ON route_decisions (pbx, pbx_call_id) WHERE pbx_call_id <> '';
CREATE INDEX route_decisions_client ON route_decisions (pbx, client, at) WHERE client <> '';
CREATE INDEX route_decisions_time ON route_decisions (at);

-- Who of ours is which user of the CRM: found by e-mail once, kept by the CRM's
-- id afterwards (decision 5).
CREATE TABLE staff_links (
    integration TEXT   NOT NULL,
    extension   TEXT   NOT NULL,
    email       TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    since       BIGINT NOT NULL,
    PRIMARY KEY (integration, extension)
);

-- The last list of employees that was not believed (D-07), until an admin takes
-- it or a good one comes.
CREATE TABLE staff_alarms (
    integration TEXT   NOT NULL PRIMARY KEY,
    at          BIGINT NOT NULL,
    was         BIGINT NOT NULL,
    now         BIGINT NOT NULL,
    gone        TEXT   NOT NULL
);

-- +goose Down
DROP TABLE staff_alarms;
DROP TABLE staff_links;
DROP TABLE route_decisions;
ALTER TABLE contacts DROP COLUMN deals_at;
ALTER TABLE contacts DROP COLUMN deal;
ALTER TABLE contacts DROP COLUMN dealer;
ALTER TABLE contacts DROP COLUMN others;
