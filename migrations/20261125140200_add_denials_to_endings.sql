-- An ending of a device whose person said of a UI-auth session that it was not them. Usher need not have opened the
-- device's session: opened_at is that one's, or else the time of the denial. A session that was opened on the device since
-- then is another. ui_auth_sessions.signed_out_at is from now on when the device was left to such an ending.
ALTER TABLE endings ADD COLUMN is_denial BIGINT NOT NULL DEFAULT 0 CHECK (is_denial IN (0, 1));
