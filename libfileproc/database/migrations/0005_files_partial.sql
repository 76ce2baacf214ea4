-- Most files have no parent, and without accounts none has an owner: what no query looks for needs no entry to be written.
DROP INDEX files_by_parent;
CREATE INDEX files_by_parent ON files (parent_id, id) WHERE parent_id IS NOT NULL;
DROP INDEX files_by_owner;
CREATE INDEX files_by_owner ON files (owner, id) WHERE owner IS NOT NULL;
