-- Whether an operator has disabled the account. It was a member of the body, which is CBOR, or JSON before that. No text of either form has
-- the bytes that are looked for, so that they are found in a damaged body, too.
ALTER TABLE device ADD COLUMN disabled boolean NOT NULL DEFAULT false;

DO $$
DECLARE
    one text;
BEGIN
    UPDATE device SET disabled = true
        WHERE position('\x6864697361626c6564f5'::bytea IN body) > 0 OR position(convert_to('"disabled":true', 'UTF8') IN body) > 0;
EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error THEN
    -- A body cannot even be read: that account may be disabled.
    FOR one IN SELECT account FROM device LOOP
        BEGIN
            UPDATE device SET disabled = true WHERE account = one
                AND (position('\x6864697361626c6564f5'::bytea IN body) > 0 OR position(convert_to('"disabled":true', 'UTF8') IN body) > 0);
        EXCEPTION WHEN data_corrupted OR index_corrupted OR internal_error THEN
            UPDATE device SET disabled = true WHERE account = one;
        END;
    END LOOP;
END $$;
