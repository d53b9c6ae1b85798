-- Spent: keys of providers (assertion id, jti, the id of a logout request) that must never be seen again, as
-- SHA-256 over provider and key, kept until the provider's own checks refuse the answer they came in.
CREATE TABLE spent (
    key_hash TEXT NOT NULL PRIMARY KEY CHECK (length(key_hash) = 64),
    keep_until BIGINT NOT NULL
);
CREATE INDEX spent_by_keep_until ON spent (keep_until);
