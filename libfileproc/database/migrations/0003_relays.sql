-- Who sends the events of the outbox on: one process at a time, so that they stay in order.
CREATE TABLE relays (
    name        TEXT PRIMARY KEY,
    holder      TEXT NOT NULL,                  -- '' = nobody
    lease_until BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL                 -- events wait for a relay that was seen of late, and for none else
);
-- What can be forgotten, however many wait.
CREATE INDEX outbox_sent ON outbox (id) WHERE sent_at IS NOT NULL;
