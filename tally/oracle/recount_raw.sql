-- What the recount reads: the raw topics as they are, and the bounds (tally/schemas/bounds.py).

CREATE SCHEMA recount;

CREATE TABLE recount.raw (
    topic           text   NOT NULL,  -- logical name: webhook-events, send-results or ami-events
    kafka_partition int    NOT NULL,
    kafka_offset    bigint NOT NULL,
    kafka_ms        bigint,           -- Kafka's time of the record; null or not above 0: not known, and no time is too late
    body            bytea,            -- null: a tombstone
    headers         jsonb  NOT NULL DEFAULT '{}'
);

-- Whose a business number is, as the topic `numbers` says; one that is not here is anybody's.
CREATE TABLE recount.number (number_id text PRIMARY KEY, tenant text NOT NULL);

CREATE TABLE recount.bound (name text PRIMARY KEY, most bigint NOT NULL);
