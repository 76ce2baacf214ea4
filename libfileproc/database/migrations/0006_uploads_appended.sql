-- Uploads that arrive by appending: what the door that made one wants to know again, and whether its size is still to be declared.
ALTER TABLE uploads ADD COLUMN note TEXT;
ALTER TABLE uploads ADD COLUMN size_unknown BIGINT NOT NULL DEFAULT 0;
