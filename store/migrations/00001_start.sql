-- One schema for SQLite and PostgreSQL. Times are milliseconds since 1970 in
-- UTC, 0 = unknown. JSON is TEXT. BYTEA holds bytes as they are in both engines
-- (SQLite stores a blob unchanged whatever the column is called).

-- +goose Up
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Numbers given out by us, because the engines spell "count up" differently.
CREATE TABLE counters (
    name TEXT   NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO counters (name, last) VALUES ('delivery', 0);

-- The key begins with the time and not with the id, so that new events are
-- written side by side: an index over digests touches a page per event.
CREATE TABLE events (
    pbx     TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    id      TEXT   NOT NULL,
    call_id TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    parsed  TEXT   NOT NULL,
    raw     BYTEA,
    PRIMARY KEY (pbx, at, id)
);
CREATE INDEX events_call ON events (call_id, at);

CREATE TABLE calls (
    id          TEXT   NOT NULL PRIMARY KEY,
    pbx         TEXT   NOT NULL,
    direction   TEXT   NOT NULL,
    outcome     TEXT   NOT NULL,
    client      TEXT   NOT NULL,
    line        TEXT   NOT NULL,
    started_at  BIGINT NOT NULL,
    merged_into TEXT   NOT NULL DEFAULT '',
    data        TEXT   NOT NULL
);
CREATE INDEX calls_open ON calls (pbx) WHERE outcome = '' AND merged_into = '';
CREATE INDEX calls_time ON calls (started_at, id);
CREATE INDEX calls_merged ON calls (merged_into) WHERE merged_into <> '';
CREATE INDEX calls_client ON calls (client, started_at, id) WHERE client <> '';

CREATE TABLE call_extensions (
    call_id    TEXT   NOT NULL,
    extension  TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    PRIMARY KEY (call_id, extension)
);
CREATE INDEX call_extensions_recent ON call_extensions (extension, started_at, call_id);

-- What came in: one row per moment of a call and integration. keys is a JSON
-- list of action keys and n its length.
CREATE TABLE plans (
    call_id      TEXT   NOT NULL,
    integration  TEXT   NOT NULL,
    moment       TEXT   NOT NULL,
    day          TEXT   NOT NULL,
    rule_version BIGINT NOT NULL,
    n            BIGINT NOT NULL,
    keys         TEXT   NOT NULL,
    PRIMARY KEY (call_id, integration, moment)
);
CREATE INDEX plans_day ON plans (day, integration, n);

CREATE TABLE deliveries (
    id           BIGINT  NOT NULL PRIMARY KEY,
    integration  TEXT    NOT NULL,
    action_key   TEXT    NOT NULL,
    call_id      TEXT    NOT NULL,
    call_at      BIGINT  NOT NULL,
    seq          BIGINT  NOT NULL,
    client       TEXT    NOT NULL,
    day          TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    wanted       BOOLEAN NOT NULL,
    action       TEXT    NOT NULL,
    rule_version BIGINT  NOT NULL,
    state        TEXT    NOT NULL,
    attempts     BIGINT  NOT NULL,
    look         BOOLEAN NOT NULL,
    ticket       BIGINT  NOT NULL DEFAULT 0,
    created_at   BIGINT  NOT NULL,
    next_at      BIGINT  NOT NULL,
    lease_until  BIGINT  NOT NULL,
    done_at      BIGINT  NOT NULL,
    object_id    TEXT    NOT NULL,
    object_url   TEXT    NOT NULL,
    error_kind   TEXT    NOT NULL,
    error        TEXT    NOT NULL,
    note         TEXT    NOT NULL,
    UNIQUE (integration, action_key)
);
CREATE INDEX deliveries_call ON deliveries (call_id);
CREATE INDEX deliveries_ledger ON deliveries (day, integration, state);
CREATE INDEX deliveries_open ON deliveries (integration, client, call_at, id) WHERE state IN ('waiting', 'trying');
CREATE INDEX deliveries_parked ON deliveries (integration, state, id) WHERE state IN ('held', 'failed', 'expired');

-- The queue of workers: one row per client with open deliveries. due_at is when
-- the client's oldest open delivery should be looked at; too early costs one
-- look, too late or missing would delay the client. busy is the delivery a
-- worker has or had: it comes first even if an earlier one was planned since.
CREATE TABLE lanes (
    integration TEXT   NOT NULL,
    client      TEXT   NOT NULL,
    due_at      BIGINT NOT NULL,
    busy        BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (integration, client)
);
CREATE INDEX lanes_due ON lanes (integration, due_at);

CREATE TABLE attempts (
    delivery_id BIGINT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    n           BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    took_ms     BIGINT NOT NULL,
    request     TEXT   NOT NULL,
    response    TEXT   NOT NULL,
    code        BIGINT NOT NULL,
    error_kind  TEXT   NOT NULL,
    error       TEXT   NOT NULL,
    PRIMARY KEY (delivery_id, n)
);

CREATE TABLE integrations (
    id            TEXT   NOT NULL PRIMARY KEY,
    held_since    BIGINT NOT NULL DEFAULT 0,
    held_reason   TEXT   NOT NULL DEFAULT '',
    first_refused BIGINT NOT NULL DEFAULT 0,
    token         BYTEA,
    checked_at    BIGINT NOT NULL DEFAULT 0,
    report        TEXT   NOT NULL DEFAULT '',
    staff_at      BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE held_kinds (
    integration TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    since       BIGINT NOT NULL,
    reason      TEXT   NOT NULL,
    PRIMARY KEY (integration, kind)
);

CREATE TABLE contacts (
    number      TEXT   NOT NULL,
    integration TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    company     TEXT   NOT NULL,
    responsible TEXT   NOT NULL,
    manager     TEXT   NOT NULL,
    url         TEXT   NOT NULL,
    several     BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (number, integration)
);

CREATE TABLE staff (
    integration TEXT    NOT NULL,
    user_id     TEXT    NOT NULL,
    email       TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    extension   TEXT    NOT NULL,
    active      BOOLEAN NOT NULL,
    manager     BOOLEAN NOT NULL,
    PRIMARY KEY (integration, user_id)
);

-- data is the whole document, encrypted: credentials, password hashes, names.
CREATE TABLE settings (
    version  BIGINT NOT NULL PRIMARY KEY,
    at       BIGINT NOT NULL,
    by_login TEXT   NOT NULL,
    note     TEXT   NOT NULL,
    data     BYTEA  NOT NULL
);

CREATE TABLE sessions (
    token_hash TEXT   NOT NULL PRIMARY KEY,
    login      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_end ON sessions (expires_at);

CREATE TABLE clicks (
    request_id  TEXT   NOT NULL PRIMARY KEY,
    by_login    TEXT   NOT NULL,
    extension   TEXT   NOT NULL,
    number      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    pbx_call_id TEXT   NOT NULL,
    code        TEXT   NOT NULL,
    message     TEXT   NOT NULL
);
CREATE INDEX clicks_time ON clicks (created_at);

CREATE TABLE do_not_disturb (
    extension TEXT    NOT NULL PRIMARY KEY,
    is_on     BOOLEAN NOT NULL,
    at        BIGINT  NOT NULL,
    by_login  TEXT    NOT NULL
);

CREATE TABLE receipts (
    call_id    TEXT   NOT NULL,
    extension  TEXT   NOT NULL,
    login      TEXT   NOT NULL,
    sent_at    BIGINT NOT NULL,
    shown_at   BIGINT NOT NULL,
    latency_ms BIGINT NOT NULL,
    PRIMARY KEY (call_id, extension, login)
);

-- +goose Down
DROP TABLE receipts;
DROP TABLE do_not_disturb;
DROP TABLE clicks;
DROP TABLE sessions;
DROP TABLE settings;
DROP TABLE staff;
DROP TABLE contacts;
DROP TABLE held_kinds;
DROP TABLE integrations;
DROP TABLE attempts;
DROP TABLE lanes;
DROP TABLE deliveries;
DROP TABLE plans;
DROP TABLE call_extensions;
DROP TABLE calls;
DROP TABLE events;
DROP TABLE counters;
DROP TABLE meta;
