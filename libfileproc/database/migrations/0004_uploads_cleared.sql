-- When all that was stored for a session that ended without a file had been removed; NULL: a crash may have come between, so the
-- reaper looks.
ALTER TABLE uploads ADD COLUMN cleared_at BIGINT;
CREATE INDEX uploads_uncleared ON uploads (id) WHERE status IN ('failed', 'cancelled', 'expired') AND cleared_at IS NULL;
