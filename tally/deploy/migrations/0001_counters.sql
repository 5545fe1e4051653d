-- migrate:up
SET LOCAL lock_timeout = '3s';
CREATE SCHEMA IF NOT EXISTS tally;

-- A row of one grain (tally/schemas/grains.py) in one partition, as an absolute value: what the fold counted
-- from every fact below next_offset. A number is the sum over partitions. The columns of counters, and the
-- views, are rendered from the registries after the migrations: tally/deploy/views.sql.
CREATE TABLE tally.counters (
    -- Ids compare as bytes everywhere else; "C" keeps that here, and spares indexes the operating
    -- system's collation versions.
    generation            bigint  NOT NULL,
    tenant                text    COLLATE "C" NOT NULL,
    campaign              text    COLLATE "C" NOT NULL,
    template_name         text    COLLATE "C" NOT NULL,
    template_language     text    COLLATE "C" NOT NULL,
    grain                 text    COLLATE "C" NOT NULL,
    partition             integer NOT NULL,

    next_offset           bigint  NOT NULL,
    first_ms              bigint  NOT NULL,
    last_ms               bigint  NOT NULL,
    labels                text[]  NOT NULL DEFAULT '{}',
    channels              text[]  NOT NULL DEFAULT '{}',
    epoch                 bigint  NOT NULL DEFAULT 0,
    updated_at            timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (generation, tenant, campaign, template_name, template_language, grain, partition)
)
-- A busy row is rewritten every second: room on its page keeps the rewrite off the indexes.
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX counters_campaign ON tally.counters (campaign);

COMMENT ON TABLE tally.counters IS
    'Counters of one template, campaign or operator in one partition; read them through the views';
COMMENT ON COLUMN tally.counters.grain IS
    'What the row is of: a template, a campaign (what does not add up over templates), or an operator';
COMMENT ON COLUMN tally.counters.next_offset IS
    'Progress of the partition when the row last changed';
COMMENT ON COLUMN tally.counters.epoch IS
    'Which reading of the changelogs from their start wrote the row; others are deleted at its end';

-- A cell of a row (tally/schemas/cells.py) in one partition, as an absolute value: a row is the sum of its cells.
-- The columns of counters are rendered as those of rows are; NULL is nothing counted.
CREATE TABLE tally.cells (
    generation            bigint  NOT NULL,
    tenant                text    COLLATE "C" NOT NULL,
    campaign              text    COLLATE "C" NOT NULL,
    quarter               timestamptz NOT NULL,
    template_name         text    COLLATE "C" NOT NULL,
    template_language     text    COLLATE "C" NOT NULL,
    grain                 text    COLLATE "C" NOT NULL,
    number                text    COLLATE "C" NOT NULL,
    market                text    COLLATE "C" NOT NULL,
    partition             integer NOT NULL,
    epoch                 bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (
        generation, tenant, campaign, quarter, template_name, template_language, grain, number, market,
        partition
    )
)
-- A cell of now is rewritten every second, one of yesterday hardly ever: room for the former, and dead tuples
-- are taken away before they are a fifth.
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

-- For an operator's.
CREATE INDEX cells_of_operators ON tally.cells (generation, tenant, template_language, quarter)
WHERE grain = 'operator';

COMMENT ON TABLE tally.cells IS
    'What rows count, by business number or PBX, market and quarter hour of the send';
COMMENT ON COLUMN tally.cells.quarter IS
    'The beginning of the quarter hour of the send, or of an operator''s leg';

-- Sums of the cells of campaigns in one partition, to which changes are added: a campaign's own numbers and a
-- tenant's by quarter hour and by hour (UTC) of the send, and a campaign's over all time by number and market and by hour of the day.
-- A year or a breakdown reads few rows of them. The columns of counters are rendered as those of cells are.
CREATE TABLE tally.cell_sums (
    generation bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    campaign text COLLATE "C" NOT NULL,
    quarter timestamptz NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, campaign, quarter, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE tally.tenant_sums (
    generation bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    quarter timestamptz NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, quarter, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE tally.cell_hours (
    generation bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    campaign text COLLATE "C" NOT NULL,
    hour timestamptz NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, campaign, hour, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE tally.tenant_hours (
    generation bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    hour timestamptz NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, hour, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE tally.cells_by_market (
    generation bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    campaign text COLLATE "C" NOT NULL,
    number text COLLATE "C" NOT NULL,
    market text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, campaign, number, market, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE tally.cells_by_hour (
    generation bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    campaign text COLLATE "C" NOT NULL,
    month date NOT NULL,
    slot smallint NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, campaign, month, slot, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

COMMENT ON COLUMN tally.cells_by_hour.slot IS
    'The quarter hour of the day of the send, UTC, from 0 to 95; month is UTC as well';

-- What happened to a campaign's sends within a quarter hour, whenever they were sent, in one partition. Its counters are
-- integers: 2.1 thousand million in a quarter hour of one number are out of reach, and bigints would take 48 bytes more
-- of 330. Sums of any time are bigints.
CREATE TABLE tally.activity (
    generation      bigint  NOT NULL,
    tenant          text    COLLATE "C" NOT NULL,
    campaign        text    COLLATE "C" NOT NULL,
    quarter         timestamptz NOT NULL,
    number          text    COLLATE "C" NOT NULL,
    queue           text    COLLATE "C" NOT NULL,
    partition       integer NOT NULL,
    epoch           bigint  NOT NULL DEFAULT 0,
    accepted        integer NOT NULL DEFAULT 0,
    sent            integer NOT NULL DEFAULT 0,
    delivered       integer NOT NULL DEFAULT 0,
    read            integer NOT NULL DEFAULT 0,
    failed          integer NOT NULL DEFAULT 0,
    replied         integer NOT NULL DEFAULT 0,
    clicked         integer NOT NULL DEFAULT 0,
    attempted       integer NOT NULL DEFAULT 0,
    answered        integer NOT NULL DEFAULT 0,
    dropped         integer NOT NULL DEFAULT 0,
    connects        integer NOT NULL DEFAULT 0,
    queue_abandoned integer NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, campaign, quarter, number, queue, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

-- For a queue's.
CREATE INDEX activity_of_queues ON tally.activity (generation, tenant, queue, quarter) WHERE queue <> '';

COMMENT ON TABLE tally.activity IS
    'What happened to a campaign by quarter hour, business number or PBX, and queue of calls';

-- Sums of activity in one partition likewise: a campaign's and a tenant's, by quarter hour and by hour.
CREATE TABLE tally.activity_sums (
    generation      bigint  NOT NULL,
    tenant          text    COLLATE "C" NOT NULL,
    campaign        text    COLLATE "C" NOT NULL,
    quarter         timestamptz NOT NULL,
    partition       integer NOT NULL,
    epoch           bigint  NOT NULL DEFAULT 0,
    accepted        bigint  NOT NULL DEFAULT 0,
    sent            bigint  NOT NULL DEFAULT 0,
    delivered       bigint  NOT NULL DEFAULT 0,
    read            bigint  NOT NULL DEFAULT 0,
    failed          bigint  NOT NULL DEFAULT 0,
    replied         bigint  NOT NULL DEFAULT 0,
    clicked         bigint  NOT NULL DEFAULT 0,
    attempted       bigint  NOT NULL DEFAULT 0,
    answered        bigint  NOT NULL DEFAULT 0,
    dropped         bigint  NOT NULL DEFAULT 0,
    connects        bigint  NOT NULL DEFAULT 0,
    queue_abandoned bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, campaign, quarter, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE tally.tenant_activity_sums (
    generation      bigint  NOT NULL,
    tenant          text    COLLATE "C" NOT NULL,
    quarter         timestamptz NOT NULL,
    partition       integer NOT NULL,
    epoch           bigint  NOT NULL DEFAULT 0,
    accepted        bigint  NOT NULL DEFAULT 0,
    sent            bigint  NOT NULL DEFAULT 0,
    delivered       bigint  NOT NULL DEFAULT 0,
    read            bigint  NOT NULL DEFAULT 0,
    failed          bigint  NOT NULL DEFAULT 0,
    replied         bigint  NOT NULL DEFAULT 0,
    clicked         bigint  NOT NULL DEFAULT 0,
    attempted       bigint  NOT NULL DEFAULT 0,
    answered        bigint  NOT NULL DEFAULT 0,
    dropped         bigint  NOT NULL DEFAULT 0,
    connects        bigint  NOT NULL DEFAULT 0,
    queue_abandoned bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, quarter, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE tally.activity_hours (
    generation      bigint  NOT NULL,
    tenant          text    COLLATE "C" NOT NULL,
    campaign        text    COLLATE "C" NOT NULL,
    hour            timestamptz NOT NULL,
    partition       integer NOT NULL,
    epoch           bigint  NOT NULL DEFAULT 0,
    accepted        bigint  NOT NULL DEFAULT 0,
    sent            bigint  NOT NULL DEFAULT 0,
    delivered       bigint  NOT NULL DEFAULT 0,
    read            bigint  NOT NULL DEFAULT 0,
    failed          bigint  NOT NULL DEFAULT 0,
    replied         bigint  NOT NULL DEFAULT 0,
    clicked         bigint  NOT NULL DEFAULT 0,
    attempted       bigint  NOT NULL DEFAULT 0,
    answered        bigint  NOT NULL DEFAULT 0,
    dropped         bigint  NOT NULL DEFAULT 0,
    connects        bigint  NOT NULL DEFAULT 0,
    queue_abandoned bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, campaign, hour, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE tally.tenant_activity_hours (
    generation      bigint  NOT NULL,
    tenant          text    COLLATE "C" NOT NULL,
    hour            timestamptz NOT NULL,
    partition       integer NOT NULL,
    epoch           bigint  NOT NULL DEFAULT 0,
    accepted        bigint  NOT NULL DEFAULT 0,
    sent            bigint  NOT NULL DEFAULT 0,
    delivered       bigint  NOT NULL DEFAULT 0,
    read            bigint  NOT NULL DEFAULT 0,
    failed          bigint  NOT NULL DEFAULT 0,
    replied         bigint  NOT NULL DEFAULT 0,
    clicked         bigint  NOT NULL DEFAULT 0,
    attempted       bigint  NOT NULL DEFAULT 0,
    answered        bigint  NOT NULL DEFAULT 0,
    dropped         bigint  NOT NULL DEFAULT 0,
    connects        bigint  NOT NULL DEFAULT 0,
    queue_abandoned bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, hour, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

-- The minutes of activity of the last two days: what tally.activity has, minute by minute. Older ones are removed.
CREATE TABLE tally.minutes (
    generation      bigint  NOT NULL,
    tenant          text    COLLATE "C" NOT NULL,
    campaign        text    COLLATE "C" NOT NULL,
    minute          timestamptz NOT NULL,
    number          text    COLLATE "C" NOT NULL,
    queue           text    COLLATE "C" NOT NULL,
    partition       integer NOT NULL,
    epoch           bigint  NOT NULL DEFAULT 0,
    accepted        integer NOT NULL DEFAULT 0,
    sent            integer NOT NULL DEFAULT 0,
    delivered       integer NOT NULL DEFAULT 0,
    read            integer NOT NULL DEFAULT 0,
    failed          integer NOT NULL DEFAULT 0,
    replied         integer NOT NULL DEFAULT 0,
    clicked         integer NOT NULL DEFAULT 0,
    attempted       integer NOT NULL DEFAULT 0,
    answered        integer NOT NULL DEFAULT 0,
    dropped         integer NOT NULL DEFAULT 0,
    connects        integer NOT NULL DEFAULT 0,
    queue_abandoned integer NOT NULL DEFAULT 0,
    PRIMARY KEY (generation, tenant, campaign, minute, number, queue, partition)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

-- For those that are removed.
CREATE INDEX minutes_minute ON tally.minutes (generation, partition, minute);

-- How far the sink has written a partition: where reading goes on in both changelogs, and of which moment the
-- rows are. Compared and swapped in the transaction that writes its rows, so that a second sink, a zombie or a
-- restored dump is noticed. Deleting a row lets its partition be read from the start.
CREATE TABLE tally.sink_progress (
    generation      bigint  NOT NULL,
    partition       integer NOT NULL,
    store_id        text    NOT NULL,
    states_topic    text    NOT NULL,
    counters_topic  text    NOT NULL,
    seq             bigint  NOT NULL,
    rules           text    NOT NULL,
    columns         text    NOT NULL,
    states_offset   bigint  NOT NULL,
    counters_offset bigint  NOT NULL,
    cut_at_ms       bigint  NOT NULL,
    facts_offset    bigint  NOT NULL,
    is_cut          boolean NOT NULL,
    epoch           bigint  NOT NULL,
    is_pruned        boolean NOT NULL,
    writer          text    NOT NULL,
    writes          bigint  NOT NULL,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (generation, partition)
)
WITH (fillfactor = 50);

COMMENT ON COLUMN tally.sink_progress.store_id IS 'The partition''s tables that the rows come from';
COMMENT ON COLUMN tally.sink_progress.states_topic IS 'Topic id; counters_topic likewise';
COMMENT ON COLUMN tally.sink_progress.seq IS 'The last transaction of the fold that was a cut';
COMMENT ON COLUMN tally.sink_progress.rules IS 'Fingerprint of the rules that the rows were counted by';
COMMENT ON COLUMN tally.sink_progress.columns IS 'The counters that the writer knew; empty: read all again';
COMMENT ON COLUMN tally.sink_progress.states_offset IS 'The next offset to read; counters_offset likewise';
COMMENT ON COLUMN tally.sink_progress.cut_at_ms IS 'Kafka''s time of the last cut';
COMMENT ON COLUMN tally.sink_progress.facts_offset IS 'Every fact below it is counted at the last cut';
COMMENT ON COLUMN tally.sink_progress.is_cut IS 'Whether the rows are of one moment; false while catching up';
COMMENT ON COLUMN tally.sink_progress.epoch IS 'Which reading of the logs from their start this is';
COMMENT ON COLUMN tally.sink_progress.is_pruned IS 'Whether what the epoch has not written is deleted';
COMMENT ON COLUMN tally.sink_progress.writer IS 'With writes: no two writers see it alike';

-- The partitions of a generation, which each sink writes down before it reads any. One without progress is
-- still to be read, unless a sink has looked and nothing was ever counted in it.
CREATE TABLE tally.partitions (
    generation bigint  NOT NULL,
    partition  integer NOT NULL,
    is_empty   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (generation, partition)
);

COMMENT ON COLUMN tally.partitions.is_empty IS 'Whether nothing had been counted in it when a sink looked last';

-- What Postgres refused (sqlstate says why), as the bytes of the changelog: whose numbers lack it is in tenant and
-- campaign, in UTF-8. The views show how many there are; they are tried again.
CREATE TABLE tally.withheld (
    generation bigint  NOT NULL,
    partition  integer NOT NULL,
    kind       text    NOT NULL,
    digest     bytea   NOT NULL,
    key        bytea   NOT NULL,
    value      bytea   NOT NULL,
    tenant     bytea   NOT NULL,
    campaign   bytea   NOT NULL,
    sqlstate   text    NOT NULL,
    epoch      bigint  NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (generation, partition, kind, digest)
)
WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

COMMENT ON COLUMN tally.withheld.digest IS 'Of the key, which may be too long for an index';

-- The generation that readers sum. Set by the first sink, moved by `tally generation` alone.
CREATE TABLE tally.current_generation (
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    generation bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Which deployment this database belongs to: the brokers hold the same id (tally/streams/operations/deployment.py).
-- Empty until the first sink has written; its role needs SELECT, INSERT and UPDATE on it.
CREATE TABLE tally.deployment (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id     text NOT NULL
);

-- List prices of messages by market, category and day of the account's own zone; `tally rates load` writes them.
CREATE TABLE tally.rates (
    currency        text COLLATE "C" NOT NULL,
    market          text COLLATE "C" NOT NULL,  -- a region, an area of Meta's cards, or Other
    category        text COLLATE "C" NOT NULL,
    effective_from  date NOT NULL,
    effective_until date CHECK (effective_until > effective_from),  -- null: until a later one begins
    stated_until    date,  -- as its own card says it; a whole card that begins earlier ends it all the same
    micros          bigint CHECK (micros >= 0),  -- millionths of the currency; null: the card has no such rate
    PRIMARY KEY (currency, market, category, effective_from)
);

-- Sums a JSON list of {"entry": n} over its elements, without entries that come to 0.
CREATE FUNCTION tally.sum_entries(maps jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT coalesce(jsonb_object_agg(entry, n), '{}')
    FROM (
        SELECT entry, sum(counted::bigint)::bigint AS n
        FROM jsonb_array_elements(maps) AS map, jsonb_each_text(map) AS entries (entry, counted)
        GROUP BY entry
    ) AS summed
    WHERE n <> 0
$$;

-- A sum of bigints as a bigint, 0 of nothing. It only adds, and is not called for NULL, where sum(bigint) counts in
-- numeric: a year by day of fifty counters takes a seventh less.
CREATE AGGREGATE tally.total(bigint) (
    SFUNC = int8pl, STYPE = bigint, INITCOND = '0', COMBINEFUNC = int8pl, PARALLEL = SAFE
);

-- What follows a prefix in the entries that begin with it, in order: what is said of a campaign.
CREATE FUNCTION tally.entries_of(map jsonb, prefix text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT coalesce(array_agg(substr(entry, char_length(prefix) + 1) ORDER BY entry COLLATE "C"), '{}')
    FROM jsonb_object_keys(map) AS entry
    WHERE starts_with(entry, prefix)
$$;

-- The different texts of a JSON list of lists, in order: the smallest ones, `most` at most.
CREATE FUNCTION tally.smallest_of(lists jsonb, most integer) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT coalesce(array_agg(item ORDER BY item), '{}')
    FROM (
        SELECT DISTINCT item COLLATE "C" AS item
        FROM jsonb_array_elements(lists) AS list, jsonb_array_elements_text(list) AS items (item)
        ORDER BY item LIMIT most
    ) AS smallest
$$;

-- Sums a JSON list of {"<seconds>": n, "negative": n}; percentiles by nearest rank, as in
-- tally/tables/durations.py: the first bucket at which count * percent / 100 durations are reached.
CREATE FUNCTION tally.summarise_seconds(distributions jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    WITH summed AS (
        SELECT bucket, counted::bigint AS n
        FROM jsonb_each_text(tally.sum_entries(distributions)) AS entries (bucket, counted)
    ), ranked AS (
        SELECT
            bucket::bigint * 1000 AS ms,
            sum(n) OVER (ORDER BY bucket::bigint) AS reached,
            sum(n) OVER () AS total
        FROM summed
        WHERE bucket <> 'negative'
    )
    SELECT jsonb_build_object(
        'count', coalesce(max(total), 0),
        'p50_ms', min(ms) FILTER (WHERE reached * 100 >= total * 50),
        'p95_ms', min(ms) FILTER (WHERE reached * 100 >= total * 95),
        'p99_ms', min(ms) FILTER (WHERE reached * 100 >= total * 99),
        'negative', (SELECT coalesce(sum(n), 0) FROM summed WHERE bucket = 'negative')
    )
    FROM ranked
$$;

-- The names of IANA's zones, as this server's data had them when the schema was made: asking pg_timezone_names
-- reads a file for each of them.
CREATE TABLE tally.zones (name text COLLATE "C" PRIMARY KEY);
INSERT INTO tally.zones SELECT name FROM pg_timezone_names ON CONFLICT DO NOTHING;

-- A zone as AT TIME ZONE takes it, by its IANA name. Some names are abbreviations too, which AT TIME ZONE takes
-- first, for an offset that knows no summer: they give way to the zone that they are another name for. Whatever
-- else it takes (other abbreviations, offsets, rules of POSIX) is no zone of IANA's.
CREATE FUNCTION tally.zone(timezone text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    zone text := CASE timezone
        WHEN 'CET' THEN 'Europe/Brussels'
        WHEN 'EET' THEN 'Europe/Athens'
        WHEN 'EST' THEN 'America/Panama'
        WHEN 'HST' THEN 'Pacific/Honolulu'
        WHEN 'MET' THEN 'Europe/Brussels'
        WHEN 'MST' THEN 'America/Phoenix'
        WHEN 'WET' THEN 'Europe/Lisbon'
        ELSE timezone
    END;
BEGIN
    IF EXISTS (SELECT FROM tally.zones WHERE name = zone)
        OR EXISTS (SELECT FROM pg_timezone_names WHERE name = zone)
    THEN
        RETURN zone;
    END IF;
    RAISE EXCEPTION 'timezone must be an IANA name, such as Europe/Amsterdam or UTC'
        USING ERRCODE = 'invalid_parameter_value';
END
$$;

-- The days of a zone from one to another, both included, each from its first instant to that of the next. Where
-- clocks are put forward at midnight that is later than 00:00, where 00:00 comes twice it is the first. A day
-- that the zone skipped is not there.
CREATE FUNCTION tally.days(timezone text, from_day date, to_day date)
RETURNS TABLE (day date, begins timestamptz, ends timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 366
AS $$
    WITH zone AS MATERIALIZED (
        SELECT tally.zone(timezone) AS name
    ), midnights AS (
        SELECT midnight::date AS day, midnight AT TIME ZONE zone.name AS about, zone.name
        FROM zone, generate_series(
            from_day::timestamp, to_day::timestamp + interval '1 day', interval '1 day'
        ) AS midnight
        WHERE from_day <= to_day
    ), days AS (
        SELECT day, CASE
            -- No clock is changed near it.
            WHEN (about + interval '25 hours') AT TIME ZONE name - (about - interval '25 hours') AT TIME ZONE name
                = interval '50 hours' THEN about
            ELSE (
                SELECT min(quarter)
                FROM generate_series(
                    about - interval '25 hours', about + interval '25 hours', interval '15 minutes'
                ) AS quarter
                WHERE (quarter AT TIME ZONE name)::date >= day
            )
        END AS begins
        FROM midnights
    ), followed AS (
        SELECT day, begins, lead(begins) OVER (ORDER BY day) AS ends FROM days
    )
    SELECT day, begins, ends FROM followed WHERE begins < ends
$$;

-- How much Postgres has refused of a campaign, or with '' of a tenant. Whoever reads numbers may know that, but
-- not see what it is.
CREATE FUNCTION tally.withheld_of(tenant text, campaign text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT count(*) FROM tally.withheld AS held
    WHERE held.generation = (SELECT generation FROM tally.current_generation)
        AND held.tenant = convert_to($1, 'UTF8')
        AND ($2 = '' OR held.campaign = convert_to($2, 'UTF8'))
$$;

-- migrate:down
SET LOCAL lock_timeout = '3s';
-- The rendered views go with the table.
DROP TABLE tally.counters CASCADE;
DROP TABLE tally.cells;
DROP TABLE tally.activity;
DROP TABLE tally.activity_sums;
DROP TABLE tally.tenant_activity_sums;
DROP TABLE tally.activity_hours;
DROP TABLE tally.tenant_activity_hours;
DROP TABLE tally.minutes;
DROP TABLE tally.cell_sums;
DROP TABLE tally.tenant_sums;
DROP TABLE tally.cell_hours;
DROP TABLE tally.tenant_hours;
DROP TABLE tally.cells_by_market;
DROP TABLE tally.cells_by_hour;
DROP FUNCTION IF EXISTS tally.add_up_cells();
DROP FUNCTION IF EXISTS tally.add_up_activity();
DROP FUNCTION tally.withheld_of(text, text);
DROP FUNCTION tally.days(text, date, date);
DROP FUNCTION tally.zone(text);
DROP TABLE tally.zones;
DROP FUNCTION IF EXISTS tally.rate(text, text, text, date);
DROP FUNCTION tally.summarise_seconds(jsonb);
DROP FUNCTION tally.smallest_of(jsonb, integer);
DROP FUNCTION tally.entries_of(jsonb, text);
DROP AGGREGATE tally.total(bigint);
DROP FUNCTION tally.sum_entries(jsonb);
DROP TABLE tally.rates;
DROP TABLE tally.deployment;
DROP TABLE tally.current_generation CASCADE;
DROP TABLE tally.withheld CASCADE;
DROP TABLE tally.partitions CASCADE;
DROP TABLE tally.sink_progress CASCADE;
-- The schema stays: the list of applied migrations may live in it.
