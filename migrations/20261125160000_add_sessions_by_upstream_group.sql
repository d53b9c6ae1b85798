-- Sessions of a group at their provider: their hash begins with the group's, g and 31 digits, and a logout may be about all of
-- them. Other hashes are hexadecimal and not in this index.
CREATE INDEX sessions_by_upstream_group ON sessions (substr(upstream_session_hash, 1, 32))
    WHERE substr(upstream_session_hash, 1, 1) = 'g';
