-- "pims": tells this database from any other that lies under its name.
PRAGMA application_id = 0x70696d73;

-- The record of each account. Times are microseconds since 1970, in UTC, everywhere.
CREATE TABLE device (
    account    TEXT    NOT NULL PRIMARY KEY CHECK (length(account) BETWEEN 1 AND 128),
    revision   INTEGER NOT NULL CHECK (revision >= 1),
    in_doubt   INTEGER NOT NULL CHECK (in_doubt IN (0, 1)),
    held_until INTEGER, -- NULL: nobody holds the device
    body       BLOB    NOT NULL, -- JSON, without secrets
    vault      BLOB    NOT NULL
) STRICT;

-- Both are small: most devices are idle most of the time.
CREATE INDEX device_in_doubt ON device (account) WHERE in_doubt = 1;
CREATE INDEX device_held ON device (held_until) WHERE held_until IS NOT NULL;

-- One line for each write of a record, stored with it. No id is ever given twice, since the newest line is never deleted.
CREATE TABLE audit (
    id             INTEGER PRIMARY KEY,
    write_id       TEXT    NOT NULL UNIQUE CHECK (length(write_id) BETWEEN 1 AND 64),
    at             INTEGER NOT NULL,
    account        TEXT    NOT NULL,
    caller         TEXT    NOT NULL,
    transaction_id TEXT    NOT NULL,
    action         TEXT    NOT NULL,
    stage          TEXT    NOT NULL,
    outcome        TEXT    NOT NULL,
    step           INTEGER NOT NULL CHECK (step >= 0)
) STRICT;

-- Answers that are kept for the case that their calls are repeated; see otp.Keep.
CREATE TABLE answer (
    account     TEXT    NOT NULL,
    key         TEXT    NOT NULL CHECK (length(key) = 64),
    at          INTEGER NOT NULL,
    is_otp      INTEGER NOT NULL CHECK (is_otp IN (0, 1)),
    fingerprint BLOB, -- of the body; NULL, as the answer: the key is spent
    answer      BLOB, -- sealed
    PRIMARY KEY (account, key),
    CHECK ((fingerprint IS NULL) = (answer IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX answer_at ON answer (at);
CREATE INDEX answer_unspent ON answer (at) WHERE answer IS NOT NULL;

CREATE TABLE api_key (
    id           TEXT    NOT NULL PRIMARY KEY,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the key's text
    account      TEXT, -- NULL: a backend's key
    prefix       TEXT    NOT NULL, -- of the accounts of a backend
    scopes       TEXT    NOT NULL CHECK (scopes <> ''), -- names, a blank between them
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER, -- NULL: never
    revoked_at   INTEGER, -- NULL: it is not
    last_used_at INTEGER, -- NULL: not known
    CHECK (account IS NULL OR prefix = '')
) STRICT;

-- One row that is written to find out whether anything can be.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;

INSERT INTO probe (id, at) VALUES (1, 0);
