-- Provisioning: what an account is still to be given on its homeserver, done in the background until it is done. A row is
-- inserted in the transaction that makes the account active, and deleted when the homeserver has done it. `item` is
-- the alias of a room to join, and empty for what an account has once. not_before is when it is due, or, while
-- somebody is at it, when their lease ends.
CREATE TABLE provisioning (
    mxid TEXT NOT NULL,
    server_name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('display_name', 'email', 'join')),
    item TEXT NOT NULL,
    value TEXT NOT NULL,
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    not_before BIGINT NOT NULL,
    lease TEXT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (mxid, kind, item),
    FOREIGN KEY (mxid, server_name) REFERENCES accounts (mxid, server_name) ON DELETE CASCADE
);
CREATE INDEX provisioning_by_server_name ON provisioning (server_name, not_before);
-- Provisioned: what an account was given last, as SHA-256, so that it is given again only when it has changed.
CREATE TABLE provisioned (
    mxid TEXT NOT NULL REFERENCES accounts (mxid) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('display_name', 'email', 'join')),
    value_hash TEXT NOT NULL CHECK (length(value_hash) = 64),
    provisioned_at BIGINT NOT NULL,
    PRIMARY KEY (mxid, kind)
);
