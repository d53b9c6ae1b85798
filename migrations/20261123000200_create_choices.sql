-- Choices: the homeserver that was selected for a person, so that it stays the same (sticky).
CREATE TABLE choices (
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    server_name TEXT NOT NULL,
    chosen_at BIGINT NOT NULL,
    PRIMARY KEY (provider, issuer, subject)
);
