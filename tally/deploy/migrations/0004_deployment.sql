-- migrate:up
SET LOCAL lock_timeout = '3s';
-- Which deployment this database belongs to: the brokers hold the same id (tally/streams/operations/deployment.py).
-- Empty until the first flush; a role that flushes needs SELECT, INSERT and UPDATE on it.
CREATE TABLE tally.deployment (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id     text NOT NULL
);

-- migrate:down
SET LOCAL lock_timeout = '3s';
DROP TABLE tally.deployment;
