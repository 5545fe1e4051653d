-- The input of the recount: the raw topics, unchanged, and the bounds (tally/schemas/bounds.py).

CREATE SCHEMA recount;

CREATE TABLE recount.raw (
    topic           text   NOT NULL,  -- logical name: webhook-events, send-results, ami-events or campaigns
    kafka_partition int    NOT NULL,
    kafka_offset    bigint NOT NULL,
    kafka_ms        bigint,           -- Kafka's time of the record; null or not above 0: unknown, so no time is too late
    body            bytea,            -- null: a tombstone
    headers         jsonb  NOT NULL DEFAULT '{}'  -- of campaigns also tally-key: the record's key
);

-- The tenant that owns a business number, and the id that the number had before, by the topic `numbers`; any tenant may
-- use a number that is not here.
CREATE TABLE recount.number (number_id text PRIMARY KEY, tenant text NOT NULL, successor_of text);

-- The regions of phones, by the prefixes that begin them.
CREATE TABLE recount.market_prefix (prefix text COLLATE "C" PRIMARY KEY, region text NOT NULL);

CREATE TABLE recount.bound (name text PRIMARY KEY, most bigint NOT NULL);
