-- Links: which account a person has on a homeserver. The issuer is part of the person's name: without it,
-- one identity provider of a federation could assert another's person.
CREATE TABLE links (
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    server_name TEXT NOT NULL,
    mxid TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (provider, issuer, subject, server_name),
    FOREIGN KEY (mxid, server_name) REFERENCES accounts (mxid, server_name)
);
CREATE INDEX links_by_mxid ON links (mxid);
