-- What the client said of the whole file at the beginning: 64 hex digits. A session that failed because its bytes were others has
-- those of what came in sha256.
ALTER TABLE uploads ADD COLUMN expected_sha256 TEXT;
-- What the Idempotency-Key of a client was used for. It is forgotten with its upload.
CREATE TABLE upload_keys (
    key        TEXT PRIMARY KEY,                -- SHA-256 of owner and key
    request    TEXT NOT NULL,                   -- SHA-256 of what was asked for
    upload_id  TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL                  -- of the upload, as it was answered
);
CREATE INDEX upload_keys_by_upload ON upload_keys (upload_id);
