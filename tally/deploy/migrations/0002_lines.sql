-- migrate:up
SET LOCAL lock_timeout = '3s';

-- What one part of one subject adds to one row, with who that is (docs/ledger.md): a row is the sum of its lines.
-- Empty while TALLY_LEDGER is off. A subject's lines are deleted and written as a set.
CREATE TABLE tally.lines (
    generation        bigint  NOT NULL,
    partition         integer NOT NULL,
    subject           bytea   NOT NULL,
    line              bytea   NOT NULL,
    epoch             bigint  NOT NULL DEFAULT 0,
    family            text    COLLATE "C" NOT NULL,
    tenant            text    COLLATE "C" NOT NULL,
    campaign          text    COLLATE "C" NOT NULL,
    template_name     text    COLLATE "C" NOT NULL,
    template_language text    COLLATE "C" NOT NULL,
    grain             text    COLLATE "C" NOT NULL,
    number            text    COLLATE "C" NOT NULL,
    market            text    COLLATE "C" NOT NULL,
    of                text    COLLATE "C" NOT NULL,
    counters          text[]  COLLATE "C" NOT NULL,
    counts            bigint[],
    found_by          bigint[] NOT NULL,
    at_ms             bigint  NOT NULL,
    contact           text    COLLATE "C" NOT NULL,
    attempt           text    COLLATE "C" NOT NULL,
    message           text    COLLATE "C" NOT NULL,
    phone             text    COLLATE "C" NOT NULL,
    leg               text    COLLATE "C" NOT NULL,
    error             text    COLLATE "C" NOT NULL,
    price             text    COLLATE "C" NOT NULL,
    kinds             text[]  COLLATE "C" NOT NULL,
    kinds_at_ms       bigint[] NOT NULL,
    places            bigint[] NOT NULL,
    PRIMARY KEY (generation, partition, subject, line)
)
-- Lines are written anew whenever their state changes: dead ones are taken away before they are a fifth.
WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);

-- A list of a campaign is walked in the order of digests, or found by what its lines say.
CREATE INDEX lines_campaign ON tally.lines (generation, tenant, campaign, subject, line);
CREATE INDEX lines_found_by ON tally.lines USING gin (found_by);

COMMENT ON TABLE tally.lines IS 'Who is behind each number; personal data';
COMMENT ON COLUMN tally.lines.counts IS 'What it adds to each of counters; NULL where that is 1 each';
COMMENT ON COLUMN tally.lines.at_ms IS 'The send, or when an operator''s leg was connected or rang';

-- migrate:down
SET LOCAL lock_timeout = '3s';
DROP TABLE tally.lines;
