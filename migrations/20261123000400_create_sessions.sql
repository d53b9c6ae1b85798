-- Sessions: what Usher opened on homeservers, so that a logout at the provider can end it there too.
-- The upstream session's hash covers provider and issuer: a SessionIndex is unique within its issuer only.
CREATE TABLE sessions (
    mxid TEXT NOT NULL REFERENCES accounts (mxid),
    device_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    upstream_session_hash TEXT,
    opened_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (mxid, device_id)
);
CREATE INDEX sessions_by_upstream_session ON sessions (upstream_session_hash)
    WHERE upstream_session_hash IS NOT NULL;
CREATE INDEX sessions_by_person ON sessions (provider, issuer, subject);
