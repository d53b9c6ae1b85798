-- What a UI-auth session's request would do, in a few words for whoever reads logs and for help desks: which devices, and
-- no secrets. Empty in rows of the previous release.
ALTER TABLE ui_auth_sessions ADD COLUMN description TEXT NOT NULL DEFAULT '';
