-- Which engine works on an upload, where there is no cache to ask. Nothing is lost when the table is emptied, as by a crash of the
-- server: what was known is read again. So it needs no log, and a lease costs no sync.
CREATE UNLOGGED TABLE upload_leases (
    upload_id TEXT PRIMARY KEY,
    holder    TEXT NOT NULL,                    -- who holds it, or held it last
    epoch     BIGINT NOT NULL,
    until_ms  BIGINT NOT NULL,                  -- by the database's clock; 0 = it was given back
    note      TEXT NOT NULL,                    -- what the holder told; '' = nothing yet
    wanted_by TEXT NOT NULL,                    -- who waits for it; '' = nobody
    wanted_ms BIGINT NOT NULL                   -- when that one asked last
);
