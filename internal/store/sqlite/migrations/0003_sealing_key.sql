-- The name of the key that the vaults are sealed under, as the process that sealed first under it has recorded it.
CREATE TABLE sealing_key (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64)
) STRICT;
