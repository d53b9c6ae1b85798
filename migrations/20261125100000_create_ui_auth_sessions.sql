-- UI-auth sessions (MSC2454): one request that waits for the single sign-on, with everything that it was. Session id and
-- the handle of its page are kept as SHA-256. `device_id` is empty where the access token has no device.
-- pending -> confirmed (a person signed in; attempt_hash is unique, so the row spends the attempt) -> claimed (being
-- done, until its lease ends) -> spent; or back to confirmed. `denied`: the person said that it was not them.
CREATE TABLE ui_auth_sessions (
    session_hash TEXT NOT NULL PRIMARY KEY CHECK (length(session_hash) = 64),
    handle_hash TEXT NOT NULL UNIQUE CHECK (length(handle_hash) = 64),
    server_name TEXT NOT NULL,
    mxid TEXT NOT NULL,
    device_id TEXT NOT NULL,
    operation TEXT NOT NULL CHECK (operation IN ('delete_device', 'delete_devices', 'upload_cross_signing',
        'add_threepid', 'deactivate', 'get_login_token')),
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    body TEXT NOT NULL,
    client TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'claimed', 'spent', 'denied')),
    attempt_hash TEXT UNIQUE CHECK (length(attempt_hash) = 64),
    provider TEXT,
    issuer TEXT,
    subject TEXT,
    upstream_session_hash TEXT,
    is_fresh BIGINT NOT NULL CHECK (is_fresh IN (0, 1)),
    confirmed_at BIGINT,
    lease TEXT,
    claimed_until BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CHECK ((state = 'claimed') = (lease IS NOT NULL)),
    CHECK ((lease IS NULL) = (claimed_until IS NULL)),
    CHECK (state IN ('pending', 'denied') OR attempt_hash IS NOT NULL),
    CHECK ((attempt_hash IS NULL) = (provider IS NULL)),
    CHECK ((attempt_hash IS NULL) = (issuer IS NULL)),
    CHECK ((attempt_hash IS NULL) = (subject IS NULL)),
    CHECK ((attempt_hash IS NULL) = (confirmed_at IS NULL)),
    FOREIGN KEY (mxid, server_name) REFERENCES accounts (mxid, server_name)
);
CREATE INDEX ui_auth_sessions_by_device ON ui_auth_sessions (mxid, device_id, created_at);
CREATE INDEX ui_auth_sessions_by_expires_at ON ui_auth_sessions (expires_at);
