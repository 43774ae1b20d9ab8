-- What was counted of the device that an account had before another one: the record of the account as it was then, without its vault.
-- There is no more than one for each device that was ever imported into an account.
CREATE TABLE former_device (
    serial   TEXT    NOT NULL CHECK (serial <> ''),
    account  TEXT    NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    body     BLOB    NOT NULL, -- as in device
    PRIMARY KEY (serial, account)
) STRICT, WITHOUT ROWID;
