-- Times are milliseconds since 1970 UTC. Ids are UUIDv7 text, so their order is the order of creation.
-- Types are those that SQLite and PostgreSQL share.

CREATE TABLE files (
    id                 TEXT PRIMARY KEY,
    owner              TEXT,
    filename           TEXT NOT NULL,
    size               BIGINT NOT NULL,
    mime_type          TEXT NOT NULL,
    detected_mime_type TEXT,
    sha256             TEXT,
    state              TEXT NOT NULL,           -- available, deleting
    parent_id          TEXT REFERENCES files (id),
    operation          TEXT,
    job_id             TEXT,                    -- the job that derived it
    storage_key        TEXT NOT NULL,
    info               TEXT NOT NULL,           -- JSON object
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL
);
CREATE INDEX files_by_parent ON files (parent_id, id);
CREATE INDEX files_by_owner ON files (owner, id);
-- Also what keeps the deletion of one file from taking another one's bytes.
CREATE UNIQUE INDEX files_by_key ON files (storage_key);
CREATE INDEX files_by_job ON files (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX files_deleting ON files (id) WHERE state = 'deleting';

CREATE TABLE uploads (
    id         TEXT PRIMARY KEY,
    owner      TEXT,
    filename   TEXT NOT NULL,
    size       BIGINT NOT NULL,
    mime_type  TEXT NOT NULL,
    chunk_size BIGINT NOT NULL,
    status     TEXT NOT NULL,                   -- open, completed, failed, cancelled, expired
    file_id    TEXT NOT NULL,                   -- chosen at creation, so that completion can be repeated
    job_id     TEXT,
    metadata   TEXT,                            -- JSON object or NULL
    sha256     TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,                 -- of the row; what arrived since tell the parts in storage
    expires_at BIGINT NOT NULL
);
CREATE INDEX uploads_open ON uploads (expires_at, id) WHERE status = 'open';
CREATE INDEX uploads_ended ON uploads (updated_at) WHERE status <> 'open';

CREATE TABLE jobs (
    id              TEXT PRIMARY KEY,
    file_id         TEXT NOT NULL,
    owner           TEXT,
    pipeline        TEXT NOT NULL,              -- its name, or "inline"
    definition      TEXT NOT NULL,              -- the resolved pipeline, JSON
    state           TEXT NOT NULL,              -- queued, running, succeeded, failed, cancelled, dead
    attempt         BIGINT NOT NULL,
    max_attempts    BIGINT NOT NULL,
    fence           BIGINT NOT NULL,            -- grows with every claim; results commit only under the present one
    worker          TEXT,
    lease_until     BIGINT,                     -- of the claim; in other states: when to clean up after it, or NULL
    run_at          BIGINT NOT NULL,            -- not before
    progress        DOUBLE PRECISION NOT NULL,
    steps           TEXT NOT NULL,              -- JSON array
    error_code      TEXT,
    error_detail    TEXT,
    error_permanent BIGINT NOT NULL,
    result          TEXT,                       -- JSON object
    created_at      BIGINT NOT NULL,
    started_at      BIGINT,
    finished_at     BIGINT
);
CREATE INDEX jobs_queued ON jobs (run_at, id) WHERE state = 'queued';
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running';
-- A worker may have died between publishing an object and naming it: what it left is looked for at this time.
CREATE INDEX jobs_leftover ON jobs (lease_until) WHERE state <> 'running' AND lease_until IS NOT NULL;
CREATE INDEX jobs_by_file ON jobs (file_id, id);
CREATE INDEX jobs_by_owner ON jobs (owner, id) WHERE owner IS NOT NULL;
-- The states that people look for and that are rare.
CREATE INDEX jobs_failed ON jobs (id) WHERE state = 'failed';
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';
CREATE INDEX jobs_cancelled ON jobs (id) WHERE state = 'cancelled';

-- What happened, written in the transaction that made it true. A relay sends it on.
CREATE TABLE outbox (
    id         TEXT PRIMARY KEY,
    type       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    data       TEXT NOT NULL,                   -- JSON object
    created_at BIGINT NOT NULL,
    sent_at    BIGINT
);
CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL;
