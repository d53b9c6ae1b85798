-- When the device of a denied UI-auth session was signed out for it: that happens once, so that an old page of a request
-- that was stopped does not sign out whoever uses the device later.
ALTER TABLE ui_auth_sessions ADD COLUMN signed_out_at BIGINT;
