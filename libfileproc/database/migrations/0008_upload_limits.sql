-- One at a time begins an upload of an owner where there are limits: whoever does holds his row.
CREATE TABLE upload_owners (
    owner      TEXT PRIMARY KEY,
    touched_at BIGINT NOT NULL
);
-- The size of one that is to be declared later is what its owner's limit has set aside for it.
CREATE INDEX uploads_by_owner ON uploads (owner, size) WHERE status = 'open' AND owner IS NOT NULL;
-- The sizes of an owner's files are added up without a look at their rows.
DROP INDEX files_by_owner;
CREATE INDEX files_by_owner ON files (owner, id, size) WHERE owner IS NOT NULL;
