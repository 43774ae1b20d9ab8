-- Which device an account has or had. At most one account has an active claim of a serial.
ALTER TABLE device ADD COLUMN serial TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN active INTEGER NOT NULL DEFAULT 0 CHECK (active IN (0, 1));
-- The number of finalize answers in the vault that could not be read.
ALTER TABLE device ADD COLUMN unread_answers INTEGER NOT NULL DEFAULT 0 CHECK (unread_answers >= 0);

UPDATE device SET
    serial = coalesce(json_extract(CAST(body AS TEXT), '$.serial'), ''),
    active = coalesce(json_type(CAST(body AS TEXT), '$.device'), json_type(CAST(body AS TEXT), '$.enrolment')) IS NOT NULL
    WHERE json_valid(CAST(body AS TEXT));

CREATE INDEX device_serial ON device (serial) WHERE serial <> '';

-- Where two accounts have one device already, the first one keeps the claim; both keep working as they did.
UPDATE device SET active = 0 WHERE active = 1 AND EXISTS (SELECT 1 FROM device other
    WHERE other.serial = device.serial AND other.serial <> '' AND other.active = 1 AND other.account < device.account);

CREATE UNIQUE INDEX device_active ON device (serial) WHERE active = 1 AND serial <> '';
CREATE INDEX device_unread ON device (unread_answers) WHERE unread_answers > 0;
