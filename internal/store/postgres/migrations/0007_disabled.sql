-- Whether an operator has disabled the account. It was a member of the body, which is CBOR, or JSON before that. No text of either form has
-- the bytes that are looked for, so that they are found in a damaged body, too.
ALTER TABLE device ADD COLUMN disabled boolean NOT NULL DEFAULT false;

-- A body that cannot even be read may be that of a disabled account.
CREATE FUNCTION pg_temp.says_disabled(account text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT position('\x6864697361626c6564f5'::bytea IN body) > 0 OR position(convert_to('"disabled":true', 'UTF8') IN body) > 0
        FROM device WHERE device.account = says_disabled.account);
EXCEPTION WHEN OTHERS THEN
    RETURN true;
END $$;

UPDATE device SET disabled = true WHERE pg_temp.says_disabled(account);

DROP FUNCTION pg_temp.says_disabled(text);
