-- Which device an account has or had. At most one account has an active claim of a serial.
ALTER TABLE device ADD COLUMN serial text NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN active boolean NOT NULL DEFAULT false;
-- The number of finalize answers in the vault that could not be read.
ALTER TABLE device ADD COLUMN unread_answers integer NOT NULL DEFAULT 0 CHECK (unread_answers >= 0);

-- A damaged body claims nothing, and must not keep the others from being migrated.
CREATE FUNCTION pg_temp.parsed(body bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN convert_from(body, 'UTF8')::jsonb;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

UPDATE device SET (serial, active) = (
    SELECT coalesce(parsed ->> 'serial', ''), coalesce(parsed ?| array['device', 'enrolment'], false)
    FROM pg_temp.parsed(body) parsed);

DROP FUNCTION pg_temp.parsed(bytea);

CREATE INDEX device_serial ON device (serial) WHERE serial <> '';

-- Where two accounts have one device already, the first one keeps the claim; both keep working as they did.
UPDATE device SET active = false WHERE active AND EXISTS (SELECT 1 FROM device other
    WHERE other.serial = device.serial AND other.serial <> '' AND other.active AND other.account < device.account);

CREATE UNIQUE INDEX device_active ON device (serial) WHERE active AND serial <> '';
CREATE INDEX device_unread ON device (account) WHERE unread_answers > 0;
