-- A state of all API keys has a version of its own. Whatever changes a key draws a new one, also an older pimsd and a person with a shell;
-- noting that a key was used does not.
CREATE TABLE keys_version (
    id      integer NOT NULL PRIMARY KEY CHECK (id = 1),
    version bigint  NOT NULL CHECK (version <> 0)
);

INSERT INTO keys_version VALUES (1, 1 + (random() * 9e18)::bigint);

CREATE FUNCTION draw_keys_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE %I.keys_version SET version = 1 + (random() * 9e18)::bigint', TG_TABLE_SCHEMA); -- whatever the search_path
    RETURN NULL;
END $$;

CREATE TRIGGER key_changed AFTER INSERT OR DELETE OR TRUNCATE
    OR UPDATE OF id, hash, account, prefix, scopes, created_at, expires_at, revoked_at ON api_key
    FOR EACH STATEMENT EXECUTE FUNCTION draw_keys_version();
