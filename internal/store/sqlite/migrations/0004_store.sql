-- Which store this is, and which log belongs to its database. A log that is begun names itself here, and the one before, all of which
-- is in the database by then. All values have the same size, so that a row is written over in its place.
CREATE TABLE store (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         BLOB NOT NULL CHECK (length(id) = 16),
    log        BLOB NOT NULL CHECK (length(log) = 16),
    log_before BLOB NOT NULL CHECK (length(log_before) = 16)
) STRICT;

INSERT INTO store (one, id, log, log_before) VALUES (1, randomblob(16), randomblob(16), randomblob(16));
