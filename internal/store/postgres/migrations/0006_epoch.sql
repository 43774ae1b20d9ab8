-- The doubt epoch of the store, and that of each device. A device of an earlier epoch is in doubt; 0 says that there is no device.
-- A server that has another timeline than the one here was promoted since, and one with another identifier is another cluster.
CREATE TABLE doubt_epoch (
    id                integer NOT NULL PRIMARY KEY CHECK (id = 1),
    number            bigint  NOT NULL CHECK (number >= 1),
    since             bigint  NOT NULL, -- when it was raised; 0: never
    cause             text    NOT NULL,
    system_identifier bigint  NOT NULL, -- 0: not known yet
    timeline          bigint  NOT NULL
);

INSERT INTO doubt_epoch VALUES (1, 1, 0, '', 0, 0);

ALTER TABLE device ADD COLUMN epoch bigint NOT NULL DEFAULT 1 CHECK (epoch >= 0);

UPDATE device SET epoch = 0 WHERE NOT active;
