-- Rows of owners who have begun nothing for a while are removed.
CREATE INDEX upload_owners_by_time ON upload_owners (touched_at);
