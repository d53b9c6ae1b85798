-- When the person was sent to the provider. A logout since then is about that login, whenever it came through; rows of before this
-- column count from when they were made. A logout that names a person and a session is also about what is the person's and
-- has no session's name, so that logouts are looked up by person whatever else they name.
ALTER TABLE login_tokens ADD COLUMN begun_at BIGINT;
ALTER TABLE sessions ADD COLUMN begun_at BIGINT;
CREATE INDEX logouts_by_subject ON logouts (provider, issuer, subject) WHERE subject IS NOT NULL;
