-- migrate:up
SET LOCAL lock_timeout = '3s';
CREATE SCHEMA IF NOT EXISTS tally;

-- One row per (tenant, campaign, template) and partition, as an absolute value: what the fold counted
-- from every fact below next_offset. A campaign's number is the sum over its partitions.
CREATE TABLE tally.counters (
    -- Ids compare as bytes everywhere else; "C" keeps that here, and spares indexes the operating
    -- system's collation versions.
    generation            bigint  NOT NULL,
    tenant                text    COLLATE "C" NOT NULL,
    campaign              text    COLLATE "C" NOT NULL,
    template_name         text    COLLATE "C" NOT NULL,
    template_language     text    COLLATE "C" NOT NULL,
    whole_campaign        boolean NOT NULL,
    partition             integer NOT NULL,

    next_offset           bigint  NOT NULL,
    first_ms              bigint  NOT NULL,
    last_ms               bigint  NOT NULL,
    labels                text[]  NOT NULL DEFAULT '{}',
    updated_at            timestamptz NOT NULL DEFAULT now(),

    contacts              bigint  NOT NULL DEFAULT 0,
    attempts              bigint  NOT NULL DEFAULT 0,
    queued                bigint  NOT NULL DEFAULT 0,
    accepted              bigint  NOT NULL DEFAULT 0,
    failed_at_send        bigint  NOT NULL DEFAULT 0,
    skipped               bigint  NOT NULL DEFAULT 0,
    cancelled             bigint  NOT NULL DEFAULT 0,
    duplicates            bigint  NOT NULL DEFAULT 0,
    claimed_elsewhere     bigint  NOT NULL DEFAULT 0,
    sent                  bigint  NOT NULL DEFAULT 0,
    delivered             bigint  NOT NULL DEFAULT 0,
    delivered_implied     bigint  NOT NULL DEFAULT 0,
    read                  bigint  NOT NULL DEFAULT 0,
    failed_after_send     bigint  NOT NULL DEFAULT 0,
    failed_then_delivered bigint  NOT NULL DEFAULT 0,
    contacts_accepted     bigint  NOT NULL DEFAULT 0,
    replied               bigint  NOT NULL DEFAULT 0,
    replied_last_touch    bigint  NOT NULL DEFAULT 0,
    replied_quoted        bigint  NOT NULL DEFAULT 0,
    clicked               bigint  NOT NULL DEFAULT 0,
    errors                jsonb   NOT NULL DEFAULT '{}',
    pricing               jsonb   NOT NULL DEFAULT '{}',
    time_to_deliver       jsonb   NOT NULL DEFAULT '{}',
    time_to_read          jsonb   NOT NULL DEFAULT '{}',

    PRIMARY KEY (generation, tenant, campaign, template_name, template_language, whole_campaign, partition),
    CHECK (NOT whole_campaign OR (template_name = '' AND template_language = ''))
)
-- A busy row is rewritten every second: room on its page keeps the rewrite off the indexes.
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX counters_campaign ON tally.counters (campaign);

COMMENT ON TABLE tally.counters IS
    'Counters of one campaign template in one partition; read them through the views';
COMMENT ON COLUMN tally.counters.whole_campaign IS
    'The campaign''s own row: distinct customers, which do not add up over templates';
COMMENT ON COLUMN tally.counters.next_offset IS
    'Progress of the partition when the row last changed; an older row never replaces a newer one';

-- How far a partition has been flushed. Compared and swapped in the transaction that writes its rows, so
-- that a second flusher, a zombie or a restored dump is noticed. Deleting a row sends its partition again.
CREATE TABLE tally.flush_progress (
    generation  bigint  NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint  NOT NULL,
    store_id    text    NOT NULL,
    columns     text    NOT NULL,
    flushes     bigint  NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (generation, partition)
)
WITH (fillfactor = 50);

COMMENT ON COLUMN tally.flush_progress.next_offset IS 'Every fact below it is in tally.counters';
COMMENT ON COLUMN tally.flush_progress.store_id IS 'The changelog that the rows come from';
COMMENT ON COLUMN tally.flush_progress.columns IS 'Fingerprint of the counters that the writer knew';
COMMENT ON COLUMN tally.flush_progress.flushes IS 'Grows with every flush: two writers never see it alike';

-- The generation that readers sum. Set by the first flush, moved by `tally generation` alone.
CREATE TABLE tally.current_generation (
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    generation bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- migrate:down
SET LOCAL lock_timeout = '3s';
DROP TABLE tally.current_generation;
DROP TABLE tally.flush_progress;
DROP TABLE tally.counters;
-- The schema stays: the list of applied migrations may live in it.
