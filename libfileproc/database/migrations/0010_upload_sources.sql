-- Uploads that are put together of others. A 'partial' never becomes a file; a 'final' becomes one of the partials that upload_sources
-- lists, in this order, the same one perhaps more than once. NULL: all other uploads.
ALTER TABLE uploads ADD COLUMN role TEXT;
CREATE TABLE upload_sources (
    final_id   TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    position   BIGINT NOT NULL,
    partial_id TEXT NOT NULL,                   -- its row may have been forgotten
    PRIMARY KEY (final_id, position)
);
CREATE INDEX upload_sources_by_partial ON upload_sources (partial_id);
CREATE INDEX uploads_waiting ON uploads (id) WHERE status = 'open' AND role = 'final';
