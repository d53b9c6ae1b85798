-- Accounts: MXIDs that Usher made, adopted or was told of. A removed account keeps its row, so that nobody
-- else is ever given its name. (mxid, server_name) is unique so that other tables can refer to both: a link
-- or a login token can then never name a homeserver other than its account's.
CREATE TABLE accounts (
    mxid TEXT NOT NULL PRIMARY KEY,
    server_name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'registering', 'active', 'removed')),
    origin TEXT NOT NULL CHECK (origin IN ('created', 'adopted', 'pinned')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (mxid, server_name)
);
