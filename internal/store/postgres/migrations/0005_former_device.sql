-- What was counted of the device that an account had before another one: the record of the account as it was then, without its vault.
-- There is no more than one for each device that was ever imported into an account.
CREATE TABLE former_device (
    serial   text COLLATE "C" NOT NULL CHECK (serial <> ''),
    account  text COLLATE "C" NOT NULL,
    revision bigint NOT NULL CHECK (revision >= 1),
    body     bytea  NOT NULL, -- as in device
    PRIMARY KEY (serial, account)
);
