-- Login tokens, as SHA-256. The row also spends the attempt it came from (attempt_hash is unique), so it is
-- kept until the attempt's sealed cookie is no longer good (keep_until), whatever became of the token.
-- lifetime is what the token was issued with: a claim moves expires_at to the end of its lease plus lifetime.
CREATE TABLE login_tokens (
    token_hash TEXT NOT NULL PRIMARY KEY CHECK (length(token_hash) = 64),
    attempt_hash TEXT NOT NULL UNIQUE CHECK (length(attempt_hash) = 64),
    mxid TEXT NOT NULL,
    audience TEXT NOT NULL,
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    upstream_session_hash TEXT,
    device_id TEXT,
    state TEXT NOT NULL CHECK (state IN ('issued', 'claimed', 'redeemed')),
    lease TEXT,
    claimed_until BIGINT,
    issued_at BIGINT NOT NULL,
    lifetime BIGINT NOT NULL CHECK (lifetime >= 0),
    expires_at BIGINT NOT NULL,
    keep_until BIGINT NOT NULL,
    CHECK (expires_at <= keep_until),
    CHECK ((state = 'claimed') = (lease IS NOT NULL)),
    CHECK ((lease IS NULL) = (claimed_until IS NULL)),
    FOREIGN KEY (mxid, audience) REFERENCES accounts (mxid, server_name)
);
CREATE INDEX login_tokens_by_keep_until ON login_tokens (keep_until);
