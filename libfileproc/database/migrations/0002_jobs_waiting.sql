-- Pages of the backlog, which may be long, newest first. The owner lets one skip the jobs of others unread.
CREATE INDEX jobs_waiting ON jobs (id, owner) WHERE state = 'queued';
