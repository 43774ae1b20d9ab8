-- Whether an operator has disabled the account. It was a member of the body, which is CBOR, or JSON before that. No text of either form has
-- the bytes that are looked for, so that they are found in a damaged body, too.
ALTER TABLE device ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1));

UPDATE device SET disabled = 1 WHERE instr(body, x'6864697361626c6564f5') > 0 OR instr(body, CAST('"disabled":true' AS BLOB)) > 0;
