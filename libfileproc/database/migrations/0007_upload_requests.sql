-- What the client said of the whole file at the beginning: 64 hex digits. A session that failed because its bytes were others has
-- those of what came in sha256.
ALTER TABLE uploads ADD COLUMN expected_sha256 TEXT;
