-- Pending: who has signed in and is being asked something before their login goes on. The attempt's cookie opens it;
-- only its hash is here. `identity` is JSON with no more attributes than the config uses.
CREATE TABLE pending (
    attempt_hash TEXT NOT NULL PRIMARY KEY CHECK (length(attempt_hash) = 64),
    identity TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pending_by_expires_at ON pending (expires_at);
