-- The record of each account. Times are microseconds since 1970, in UTC, everywhere.
CREATE TABLE device (
    account    text COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(account) BETWEEN 1 AND 128),
    revision   bigint  NOT NULL CHECK (revision >= 1),
    in_doubt   boolean NOT NULL,
    held_until bigint, -- NULL: nobody holds the device
    body       bytea   NOT NULL, -- JSON, without secrets: convert_from(body, 'UTF8')::json
    vault      bytea   NOT NULL
) WITH (fillfactor = 70); -- room for the next version of a row beside it, so that an update touches no index

CREATE INDEX device_in_doubt ON device (account) WHERE in_doubt;

-- One line for each write of a record, stored with it. A write is a transaction of its own, and its line's id is that
-- transaction's number and the base below: what a reader sees below the oldest transaction that still runs, is complete.
CREATE TABLE audit (
    id             bigint NOT NULL PRIMARY KEY,
    write_id       text   NOT NULL UNIQUE CHECK (length(write_id) BETWEEN 1 AND 64),
    at             bigint NOT NULL,
    account        text   NOT NULL,
    caller         text   NOT NULL,
    transaction_id text   NOT NULL,
    action         text   NOT NULL,
    stage          text   NOT NULL,
    outcome        text   NOT NULL,
    step           bigint NOT NULL CHECK (step >= 0)
);

-- Answers that are kept for the case that their calls are repeated; see otp.Keep.
CREATE TABLE answer (
    account     text COLLATE "C" NOT NULL,
    key         text    NOT NULL CHECK (length(key) = 64),
    at          bigint  NOT NULL,
    is_otp      boolean NOT NULL,
    fingerprint bytea, -- of the body; NULL, as the answer: the key is spent
    answer      bytea, -- sealed
    PRIMARY KEY (account, key),
    CHECK ((fingerprint IS NULL) = (answer IS NULL))
);

CREATE INDEX answer_at ON answer (at);
CREATE INDEX answer_unspent ON answer (at) WHERE answer IS NOT NULL;

CREATE TABLE api_key (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    hash         bytea  NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the key's text
    account      text, -- NULL: a backend's key
    prefix       text   NOT NULL, -- of the accounts of a backend
    scopes       text   NOT NULL CHECK (scopes <> ''), -- names, a blank between them
    created_at   bigint NOT NULL,
    expires_at   bigint, -- NULL: never
    revoked_at   bigint, -- NULL: it is not
    last_used_at bigint, -- NULL: not known
    CHECK (account IS NULL OR prefix = '')
);

-- One row that is written to find out whether anything can be, and that carries the base of the audit log's ids: it
-- grows when the database has moved to a server whose transactions count lower.
CREATE TABLE house (
    id         integer NOT NULL PRIMARY KEY CHECK (id = 1),
    probed_at  bigint  NOT NULL,
    audit_base bigint  NOT NULL
);

INSERT INTO house VALUES (1, 0, 0);
