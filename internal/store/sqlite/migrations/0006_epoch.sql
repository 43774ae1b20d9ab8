-- The doubt epoch of the store, and that of each device. A device of an earlier epoch is in doubt; 0 says that there is no device.
CREATE TABLE doubt_epoch (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    number INTEGER NOT NULL CHECK (number >= 1),
    since  INTEGER NOT NULL, -- when it was raised; 0: never
    cause  TEXT    NOT NULL
) STRICT;

INSERT INTO doubt_epoch VALUES (1, 1, 0, '');

ALTER TABLE device ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1 CHECK (epoch >= 0);

UPDATE device SET epoch = 0 WHERE active = 0;

CREATE INDEX device_epoch ON device (epoch);
