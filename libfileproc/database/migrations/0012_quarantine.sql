-- A file that has to pass checks before anybody may read it: files.state is quarantined until it is released (available) or rejected.
-- One row for each file that ever was in quarantine; it goes with the file.
CREATE TABLE quarantine (
    file_id     TEXT PRIMARY KEY REFERENCES files (id) ON DELETE CASCADE,
    state       TEXT NOT NULL,              -- scanning, held, released, rejected
    scan_job_id TEXT NOT NULL,              -- the last one
    verdict     TEXT,                       -- clean, infected, mismatch, unscannable; NULL: nobody has judged
    reason      TEXT,                       -- signature, found type, or why it could not be scanned
    step        TEXT,                       -- which check said so
    decided_by  TEXT,                       -- a person; NULL: the settings
    note        TEXT,                       -- the person's
    removal     BIGINT NOT NULL DEFAULT 0,  -- 1: the bytes are to be removed, 2: they are
    created_at  BIGINT NOT NULL,
    decided_at  BIGINT
);
CREATE INDEX quarantine_by_state ON quarantine (state, file_id) WHERE state <> 'released';
CREATE INDEX quarantine_removal ON quarantine (file_id) WHERE removal = 1;
-- 1: the job decides whether its file is released, and runs only while it is in quarantine; all others run only when it is not.
ALTER TABLE jobs ADD COLUMN gate BIGINT NOT NULL DEFAULT 0;
