-- Logouts: what providers said about sessions that ended, for as long as a login that was under way then could still be
-- finished by it. Without an upstream session it is about everything that its subject began before. ends_sessions: whether
-- the sessions at the homeservers end, too, or logins under way alone.
CREATE TABLE logouts (
    logout_id TEXT NOT NULL PRIMARY KEY,
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT,
    upstream_session_hash TEXT,
    ends_sessions BIGINT NOT NULL CHECK (ends_sessions IN (0, 1)),
    received_at BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    CHECK (subject IS NOT NULL OR upstream_session_hash IS NOT NULL)
);
CREATE INDEX logouts_by_upstream_session ON logouts (upstream_session_hash)
    WHERE upstream_session_hash IS NOT NULL;
CREATE INDEX logouts_by_person ON logouts (provider, issuer, subject) WHERE upstream_session_hash IS NULL;
CREATE INDEX logouts_by_keep_until ON logouts (keep_until);
-- Endings: sessions that are to be ended on their homeserver, tried until it is done. opened_at is the session's: one
-- that was opened on the same device since then is another. not_before is when it is due, or, while somebody is at it,
-- when their lease ends.
CREATE TABLE endings (
    mxid TEXT NOT NULL,
    device_id TEXT NOT NULL,
    server_name TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    not_before BIGINT NOT NULL,
    lease TEXT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (mxid, device_id),
    FOREIGN KEY (mxid, server_name) REFERENCES accounts (mxid, server_name) ON DELETE CASCADE
);
CREATE INDEX endings_by_server_name ON endings (server_name, not_before);
