-- Set for an upload that got the bytes of a file that its owner had already, and so was answered for as a completed one.
ALTER TABLE uploads ADD COLUMN copied_from TEXT;
CREATE INDEX files_by_digest ON files (owner, sha256, size) WHERE owner IS NOT NULL AND sha256 IS NOT NULL;
