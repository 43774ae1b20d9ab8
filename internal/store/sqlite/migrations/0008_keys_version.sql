-- A state of all API keys has a version of its own. Whatever changes a key draws a new one, also an older pimsd and a person with a shell;
-- noting that a key was used does not.
CREATE TABLE keys_version (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL CHECK (version <> 0)
) STRICT;

INSERT INTO keys_version VALUES (1, random());

CREATE TRIGGER key_added AFTER INSERT ON api_key BEGIN
    UPDATE keys_version SET version = random();
END;
CREATE TRIGGER key_changed AFTER UPDATE OF id, hash, account, prefix, scopes, created_at, expires_at, revoked_at ON api_key BEGIN
    UPDATE keys_version SET version = random();
END;
CREATE TRIGGER key_deleted AFTER DELETE ON api_key BEGIN
    UPDATE keys_version SET version = random();
END;
