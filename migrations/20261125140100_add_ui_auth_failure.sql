-- Why the last try to sign in for a pending UI-auth session came to nothing; the client is told until another succeeds.
ALTER TABLE ui_auth_sessions ADD COLUMN failure TEXT
    CHECK (failure IN ('not_signed_in', 'another_person', 'not_fresh', 'not_admitted'));
