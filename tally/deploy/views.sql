-- Columns, key and views of tally.counters, as the registries of counters and grains say it
-- (tally/schemas/counters.py, grains.py). Generated: `make docs` writes it anew, `make lint` compares it, and
-- `tally migrate up` runs it after the migrations, in one transaction, where the views are not of this text.
-- [[[cog
-- import cog
-- from tally.tables.postgres.rendering import rendered
-- cog.outl(rendered())
-- ]]]
SET LOCAL lock_timeout = '3s';

-- A counter that this version does not know: what a newer one rendered is left to it.
DO $$
DECLARE
    unknown text;
BEGIN
    SELECT string_agg(attname, ', ' ORDER BY attname) INTO unknown FROM pg_attribute
    WHERE attrelid = 'tally.counters'::regclass AND attnum > 0 AND NOT attisdropped
        AND attname NOT IN (
            'generation', 'tenant', 'campaign', 'template_name', 'template_language', 'grain',
            'partition', 'next_offset', 'first_ms', 'last_ms', 'labels', 'channels', 'contacts',
            'attempts', 'queued', 'accepted', 'failed_at_send', 'skipped', 'cancelled',
            'duplicates', 'claimed_elsewhere', 'sent', 'delivered', 'delivered_implied',
            'delivered_late', 'read', 'read_late', 'failed_after_send', 'failed_then_delivered',
            'contacts_accepted', 'replied', 'replied_last_touch', 'replied_quoted', 'clicked',
            'clicked_implied', 'requested', 'attempted', 'answered', 'busy', 'no_answer',
            'rejected', 'unreachable', 'congestion', 'call_cancelled', 'call_failed',
            'ended_unknown', 'answered_human', 'answered_machine', 'answered_unknown', 'dropped',
            'connected_ms', 'talk_ms', 'hold_ms', 'queue_wait_ms', 'queue_joins', 'queue_abandoned',
            'queue_timeouts', 'queue_waiting', 'connects', 'ring_no_answer', 'errors', 'pricing',
            'pricing_delivered', 'hangup_causes', 'queues', 'queue_waits', 'memberships', 'legs',
            'description', 'time_to_deliver', 'time_to_read', 'epoch', 'updated_at'
        );
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'tally.counters has columns that this version of Tally does not know: %', unknown
            USING HINT = 'a newer version has migrated this database: use that one';
    END IF;
END $$;

-- What a new column should hold is in no row yet: both changelogs are read from their start.
UPDATE tally.sink_progress SET columns = ''
WHERE EXISTS (
    SELECT FROM unnest(ARRAY[
        'tenant', 'campaign', 'template_name', 'template_language', 'grain', 'contacts', 'attempts',
        'queued', 'accepted', 'failed_at_send', 'skipped', 'cancelled', 'duplicates',
        'claimed_elsewhere', 'sent', 'delivered', 'delivered_implied', 'delivered_late', 'read',
        'read_late', 'failed_after_send', 'failed_then_delivered', 'contacts_accepted', 'replied',
        'replied_last_touch', 'replied_quoted', 'clicked', 'clicked_implied', 'requested',
        'attempted', 'answered', 'busy', 'no_answer', 'rejected', 'unreachable', 'congestion',
        'call_cancelled', 'call_failed', 'ended_unknown', 'answered_human', 'answered_machine',
        'answered_unknown', 'dropped', 'connected_ms', 'talk_ms', 'hold_ms', 'queue_wait_ms',
        'queue_joins', 'queue_abandoned', 'queue_timeouts', 'queue_waiting', 'connects',
        'ring_no_answer', 'errors', 'pricing', 'pricing_delivered', 'hangup_causes', 'queues',
        'queue_waits', 'memberships', 'legs', 'description', 'time_to_deliver', 'time_to_read'
    ]) AS wanted (name)
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'tally.counters'::regclass AND attname = name AND NOT attisdropped
    )
);

ALTER TABLE tally.counters
    ADD COLUMN IF NOT EXISTS tenant text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS campaign text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS template_name text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS template_language text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS grain text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS contacts bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS attempts bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS queued bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS accepted bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS failed_at_send bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS skipped bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS cancelled bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS duplicates bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS claimed_elsewhere bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS sent bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS delivered bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS delivered_implied bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS delivered_late bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS read bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS read_late bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS failed_after_send bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS failed_then_delivered bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS contacts_accepted bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS replied bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS replied_last_touch bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS replied_quoted bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS clicked bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS clicked_implied bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS requested bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS attempted bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS answered bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS busy bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS no_answer bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS rejected bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS unreachable bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS congestion bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS call_cancelled bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS call_failed bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS ended_unknown bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS answered_human bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS answered_machine bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS answered_unknown bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS dropped bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS connected_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS talk_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS hold_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS queue_wait_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS queue_joins bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS queue_abandoned bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS queue_timeouts bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS queue_waiting bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS connects bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS ring_no_answer bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS errors jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS pricing jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS pricing_delivered jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS hangup_causes jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS queues jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS queue_waits jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS memberships jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS legs jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS description jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS time_to_deliver jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS time_to_read jsonb NOT NULL DEFAULT '{}';

ALTER TABLE tally.cells
    ADD COLUMN IF NOT EXISTS contacts bigint,
    ADD COLUMN IF NOT EXISTS attempts bigint,
    ADD COLUMN IF NOT EXISTS queued bigint,
    ADD COLUMN IF NOT EXISTS accepted bigint,
    ADD COLUMN IF NOT EXISTS failed_at_send bigint,
    ADD COLUMN IF NOT EXISTS skipped bigint,
    ADD COLUMN IF NOT EXISTS cancelled bigint,
    ADD COLUMN IF NOT EXISTS duplicates bigint,
    ADD COLUMN IF NOT EXISTS claimed_elsewhere bigint,
    ADD COLUMN IF NOT EXISTS sent bigint,
    ADD COLUMN IF NOT EXISTS delivered bigint,
    ADD COLUMN IF NOT EXISTS delivered_implied bigint,
    ADD COLUMN IF NOT EXISTS delivered_late bigint,
    ADD COLUMN IF NOT EXISTS read bigint,
    ADD COLUMN IF NOT EXISTS read_late bigint,
    ADD COLUMN IF NOT EXISTS failed_after_send bigint,
    ADD COLUMN IF NOT EXISTS failed_then_delivered bigint,
    ADD COLUMN IF NOT EXISTS contacts_accepted bigint,
    ADD COLUMN IF NOT EXISTS replied bigint,
    ADD COLUMN IF NOT EXISTS replied_last_touch bigint,
    ADD COLUMN IF NOT EXISTS replied_quoted bigint,
    ADD COLUMN IF NOT EXISTS clicked bigint,
    ADD COLUMN IF NOT EXISTS clicked_implied bigint,
    ADD COLUMN IF NOT EXISTS requested bigint,
    ADD COLUMN IF NOT EXISTS attempted bigint,
    ADD COLUMN IF NOT EXISTS answered bigint,
    ADD COLUMN IF NOT EXISTS busy bigint,
    ADD COLUMN IF NOT EXISTS no_answer bigint,
    ADD COLUMN IF NOT EXISTS rejected bigint,
    ADD COLUMN IF NOT EXISTS unreachable bigint,
    ADD COLUMN IF NOT EXISTS congestion bigint,
    ADD COLUMN IF NOT EXISTS call_cancelled bigint,
    ADD COLUMN IF NOT EXISTS call_failed bigint,
    ADD COLUMN IF NOT EXISTS ended_unknown bigint,
    ADD COLUMN IF NOT EXISTS answered_human bigint,
    ADD COLUMN IF NOT EXISTS answered_machine bigint,
    ADD COLUMN IF NOT EXISTS answered_unknown bigint,
    ADD COLUMN IF NOT EXISTS dropped bigint,
    ADD COLUMN IF NOT EXISTS connected_ms bigint,
    ADD COLUMN IF NOT EXISTS talk_ms bigint,
    ADD COLUMN IF NOT EXISTS hold_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_wait_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_joins bigint,
    ADD COLUMN IF NOT EXISTS queue_abandoned bigint,
    ADD COLUMN IF NOT EXISTS queue_timeouts bigint,
    ADD COLUMN IF NOT EXISTS queue_waiting bigint,
    ADD COLUMN IF NOT EXISTS connects bigint,
    ADD COLUMN IF NOT EXISTS ring_no_answer bigint,
    ADD COLUMN IF NOT EXISTS errors jsonb,
    ADD COLUMN IF NOT EXISTS pricing jsonb,
    ADD COLUMN IF NOT EXISTS pricing_delivered jsonb,
    ADD COLUMN IF NOT EXISTS hangup_causes jsonb,
    ADD COLUMN IF NOT EXISTS queues jsonb,
    ADD COLUMN IF NOT EXISTS queue_waits jsonb,
    ADD COLUMN IF NOT EXISTS time_to_deliver jsonb,
    ADD COLUMN IF NOT EXISTS time_to_read jsonb;

ALTER TABLE tally.cell_sums
    ADD COLUMN IF NOT EXISTS contacts bigint,
    ADD COLUMN IF NOT EXISTS attempts bigint,
    ADD COLUMN IF NOT EXISTS queued bigint,
    ADD COLUMN IF NOT EXISTS accepted bigint,
    ADD COLUMN IF NOT EXISTS failed_at_send bigint,
    ADD COLUMN IF NOT EXISTS skipped bigint,
    ADD COLUMN IF NOT EXISTS cancelled bigint,
    ADD COLUMN IF NOT EXISTS duplicates bigint,
    ADD COLUMN IF NOT EXISTS claimed_elsewhere bigint,
    ADD COLUMN IF NOT EXISTS sent bigint,
    ADD COLUMN IF NOT EXISTS delivered bigint,
    ADD COLUMN IF NOT EXISTS delivered_implied bigint,
    ADD COLUMN IF NOT EXISTS delivered_late bigint,
    ADD COLUMN IF NOT EXISTS read bigint,
    ADD COLUMN IF NOT EXISTS read_late bigint,
    ADD COLUMN IF NOT EXISTS failed_after_send bigint,
    ADD COLUMN IF NOT EXISTS failed_then_delivered bigint,
    ADD COLUMN IF NOT EXISTS contacts_accepted bigint,
    ADD COLUMN IF NOT EXISTS replied bigint,
    ADD COLUMN IF NOT EXISTS replied_last_touch bigint,
    ADD COLUMN IF NOT EXISTS replied_quoted bigint,
    ADD COLUMN IF NOT EXISTS clicked bigint,
    ADD COLUMN IF NOT EXISTS clicked_implied bigint,
    ADD COLUMN IF NOT EXISTS requested bigint,
    ADD COLUMN IF NOT EXISTS attempted bigint,
    ADD COLUMN IF NOT EXISTS answered bigint,
    ADD COLUMN IF NOT EXISTS busy bigint,
    ADD COLUMN IF NOT EXISTS no_answer bigint,
    ADD COLUMN IF NOT EXISTS rejected bigint,
    ADD COLUMN IF NOT EXISTS unreachable bigint,
    ADD COLUMN IF NOT EXISTS congestion bigint,
    ADD COLUMN IF NOT EXISTS call_cancelled bigint,
    ADD COLUMN IF NOT EXISTS call_failed bigint,
    ADD COLUMN IF NOT EXISTS ended_unknown bigint,
    ADD COLUMN IF NOT EXISTS answered_human bigint,
    ADD COLUMN IF NOT EXISTS answered_machine bigint,
    ADD COLUMN IF NOT EXISTS answered_unknown bigint,
    ADD COLUMN IF NOT EXISTS dropped bigint,
    ADD COLUMN IF NOT EXISTS connected_ms bigint,
    ADD COLUMN IF NOT EXISTS talk_ms bigint,
    ADD COLUMN IF NOT EXISTS hold_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_wait_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_joins bigint,
    ADD COLUMN IF NOT EXISTS queue_abandoned bigint,
    ADD COLUMN IF NOT EXISTS queue_timeouts bigint,
    ADD COLUMN IF NOT EXISTS queue_waiting bigint,
    ADD COLUMN IF NOT EXISTS connects bigint,
    ADD COLUMN IF NOT EXISTS ring_no_answer bigint;

ALTER TABLE tally.tenant_sums
    ADD COLUMN IF NOT EXISTS contacts bigint,
    ADD COLUMN IF NOT EXISTS attempts bigint,
    ADD COLUMN IF NOT EXISTS queued bigint,
    ADD COLUMN IF NOT EXISTS accepted bigint,
    ADD COLUMN IF NOT EXISTS failed_at_send bigint,
    ADD COLUMN IF NOT EXISTS skipped bigint,
    ADD COLUMN IF NOT EXISTS cancelled bigint,
    ADD COLUMN IF NOT EXISTS duplicates bigint,
    ADD COLUMN IF NOT EXISTS claimed_elsewhere bigint,
    ADD COLUMN IF NOT EXISTS sent bigint,
    ADD COLUMN IF NOT EXISTS delivered bigint,
    ADD COLUMN IF NOT EXISTS delivered_implied bigint,
    ADD COLUMN IF NOT EXISTS delivered_late bigint,
    ADD COLUMN IF NOT EXISTS read bigint,
    ADD COLUMN IF NOT EXISTS read_late bigint,
    ADD COLUMN IF NOT EXISTS failed_after_send bigint,
    ADD COLUMN IF NOT EXISTS failed_then_delivered bigint,
    ADD COLUMN IF NOT EXISTS contacts_accepted bigint,
    ADD COLUMN IF NOT EXISTS replied bigint,
    ADD COLUMN IF NOT EXISTS replied_last_touch bigint,
    ADD COLUMN IF NOT EXISTS replied_quoted bigint,
    ADD COLUMN IF NOT EXISTS clicked bigint,
    ADD COLUMN IF NOT EXISTS clicked_implied bigint,
    ADD COLUMN IF NOT EXISTS requested bigint,
    ADD COLUMN IF NOT EXISTS attempted bigint,
    ADD COLUMN IF NOT EXISTS answered bigint,
    ADD COLUMN IF NOT EXISTS busy bigint,
    ADD COLUMN IF NOT EXISTS no_answer bigint,
    ADD COLUMN IF NOT EXISTS rejected bigint,
    ADD COLUMN IF NOT EXISTS unreachable bigint,
    ADD COLUMN IF NOT EXISTS congestion bigint,
    ADD COLUMN IF NOT EXISTS call_cancelled bigint,
    ADD COLUMN IF NOT EXISTS call_failed bigint,
    ADD COLUMN IF NOT EXISTS ended_unknown bigint,
    ADD COLUMN IF NOT EXISTS answered_human bigint,
    ADD COLUMN IF NOT EXISTS answered_machine bigint,
    ADD COLUMN IF NOT EXISTS answered_unknown bigint,
    ADD COLUMN IF NOT EXISTS dropped bigint,
    ADD COLUMN IF NOT EXISTS connected_ms bigint,
    ADD COLUMN IF NOT EXISTS talk_ms bigint,
    ADD COLUMN IF NOT EXISTS hold_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_wait_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_joins bigint,
    ADD COLUMN IF NOT EXISTS queue_abandoned bigint,
    ADD COLUMN IF NOT EXISTS queue_timeouts bigint,
    ADD COLUMN IF NOT EXISTS queue_waiting bigint,
    ADD COLUMN IF NOT EXISTS connects bigint,
    ADD COLUMN IF NOT EXISTS ring_no_answer bigint;

ALTER TABLE tally.cell_hours
    ADD COLUMN IF NOT EXISTS contacts bigint,
    ADD COLUMN IF NOT EXISTS attempts bigint,
    ADD COLUMN IF NOT EXISTS queued bigint,
    ADD COLUMN IF NOT EXISTS accepted bigint,
    ADD COLUMN IF NOT EXISTS failed_at_send bigint,
    ADD COLUMN IF NOT EXISTS skipped bigint,
    ADD COLUMN IF NOT EXISTS cancelled bigint,
    ADD COLUMN IF NOT EXISTS duplicates bigint,
    ADD COLUMN IF NOT EXISTS claimed_elsewhere bigint,
    ADD COLUMN IF NOT EXISTS sent bigint,
    ADD COLUMN IF NOT EXISTS delivered bigint,
    ADD COLUMN IF NOT EXISTS delivered_implied bigint,
    ADD COLUMN IF NOT EXISTS delivered_late bigint,
    ADD COLUMN IF NOT EXISTS read bigint,
    ADD COLUMN IF NOT EXISTS read_late bigint,
    ADD COLUMN IF NOT EXISTS failed_after_send bigint,
    ADD COLUMN IF NOT EXISTS failed_then_delivered bigint,
    ADD COLUMN IF NOT EXISTS contacts_accepted bigint,
    ADD COLUMN IF NOT EXISTS replied bigint,
    ADD COLUMN IF NOT EXISTS replied_last_touch bigint,
    ADD COLUMN IF NOT EXISTS replied_quoted bigint,
    ADD COLUMN IF NOT EXISTS clicked bigint,
    ADD COLUMN IF NOT EXISTS clicked_implied bigint,
    ADD COLUMN IF NOT EXISTS requested bigint,
    ADD COLUMN IF NOT EXISTS attempted bigint,
    ADD COLUMN IF NOT EXISTS answered bigint,
    ADD COLUMN IF NOT EXISTS busy bigint,
    ADD COLUMN IF NOT EXISTS no_answer bigint,
    ADD COLUMN IF NOT EXISTS rejected bigint,
    ADD COLUMN IF NOT EXISTS unreachable bigint,
    ADD COLUMN IF NOT EXISTS congestion bigint,
    ADD COLUMN IF NOT EXISTS call_cancelled bigint,
    ADD COLUMN IF NOT EXISTS call_failed bigint,
    ADD COLUMN IF NOT EXISTS ended_unknown bigint,
    ADD COLUMN IF NOT EXISTS answered_human bigint,
    ADD COLUMN IF NOT EXISTS answered_machine bigint,
    ADD COLUMN IF NOT EXISTS answered_unknown bigint,
    ADD COLUMN IF NOT EXISTS dropped bigint,
    ADD COLUMN IF NOT EXISTS connected_ms bigint,
    ADD COLUMN IF NOT EXISTS talk_ms bigint,
    ADD COLUMN IF NOT EXISTS hold_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_wait_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_joins bigint,
    ADD COLUMN IF NOT EXISTS queue_abandoned bigint,
    ADD COLUMN IF NOT EXISTS queue_timeouts bigint,
    ADD COLUMN IF NOT EXISTS queue_waiting bigint,
    ADD COLUMN IF NOT EXISTS connects bigint,
    ADD COLUMN IF NOT EXISTS ring_no_answer bigint;

ALTER TABLE tally.tenant_hours
    ADD COLUMN IF NOT EXISTS contacts bigint,
    ADD COLUMN IF NOT EXISTS attempts bigint,
    ADD COLUMN IF NOT EXISTS queued bigint,
    ADD COLUMN IF NOT EXISTS accepted bigint,
    ADD COLUMN IF NOT EXISTS failed_at_send bigint,
    ADD COLUMN IF NOT EXISTS skipped bigint,
    ADD COLUMN IF NOT EXISTS cancelled bigint,
    ADD COLUMN IF NOT EXISTS duplicates bigint,
    ADD COLUMN IF NOT EXISTS claimed_elsewhere bigint,
    ADD COLUMN IF NOT EXISTS sent bigint,
    ADD COLUMN IF NOT EXISTS delivered bigint,
    ADD COLUMN IF NOT EXISTS delivered_implied bigint,
    ADD COLUMN IF NOT EXISTS delivered_late bigint,
    ADD COLUMN IF NOT EXISTS read bigint,
    ADD COLUMN IF NOT EXISTS read_late bigint,
    ADD COLUMN IF NOT EXISTS failed_after_send bigint,
    ADD COLUMN IF NOT EXISTS failed_then_delivered bigint,
    ADD COLUMN IF NOT EXISTS contacts_accepted bigint,
    ADD COLUMN IF NOT EXISTS replied bigint,
    ADD COLUMN IF NOT EXISTS replied_last_touch bigint,
    ADD COLUMN IF NOT EXISTS replied_quoted bigint,
    ADD COLUMN IF NOT EXISTS clicked bigint,
    ADD COLUMN IF NOT EXISTS clicked_implied bigint,
    ADD COLUMN IF NOT EXISTS requested bigint,
    ADD COLUMN IF NOT EXISTS attempted bigint,
    ADD COLUMN IF NOT EXISTS answered bigint,
    ADD COLUMN IF NOT EXISTS busy bigint,
    ADD COLUMN IF NOT EXISTS no_answer bigint,
    ADD COLUMN IF NOT EXISTS rejected bigint,
    ADD COLUMN IF NOT EXISTS unreachable bigint,
    ADD COLUMN IF NOT EXISTS congestion bigint,
    ADD COLUMN IF NOT EXISTS call_cancelled bigint,
    ADD COLUMN IF NOT EXISTS call_failed bigint,
    ADD COLUMN IF NOT EXISTS ended_unknown bigint,
    ADD COLUMN IF NOT EXISTS answered_human bigint,
    ADD COLUMN IF NOT EXISTS answered_machine bigint,
    ADD COLUMN IF NOT EXISTS answered_unknown bigint,
    ADD COLUMN IF NOT EXISTS dropped bigint,
    ADD COLUMN IF NOT EXISTS connected_ms bigint,
    ADD COLUMN IF NOT EXISTS talk_ms bigint,
    ADD COLUMN IF NOT EXISTS hold_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_wait_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_joins bigint,
    ADD COLUMN IF NOT EXISTS queue_abandoned bigint,
    ADD COLUMN IF NOT EXISTS queue_timeouts bigint,
    ADD COLUMN IF NOT EXISTS queue_waiting bigint,
    ADD COLUMN IF NOT EXISTS connects bigint,
    ADD COLUMN IF NOT EXISTS ring_no_answer bigint;

ALTER TABLE tally.cells_by_market
    ADD COLUMN IF NOT EXISTS contacts bigint,
    ADD COLUMN IF NOT EXISTS attempts bigint,
    ADD COLUMN IF NOT EXISTS queued bigint,
    ADD COLUMN IF NOT EXISTS accepted bigint,
    ADD COLUMN IF NOT EXISTS failed_at_send bigint,
    ADD COLUMN IF NOT EXISTS skipped bigint,
    ADD COLUMN IF NOT EXISTS cancelled bigint,
    ADD COLUMN IF NOT EXISTS duplicates bigint,
    ADD COLUMN IF NOT EXISTS claimed_elsewhere bigint,
    ADD COLUMN IF NOT EXISTS sent bigint,
    ADD COLUMN IF NOT EXISTS delivered bigint,
    ADD COLUMN IF NOT EXISTS delivered_implied bigint,
    ADD COLUMN IF NOT EXISTS delivered_late bigint,
    ADD COLUMN IF NOT EXISTS read bigint,
    ADD COLUMN IF NOT EXISTS read_late bigint,
    ADD COLUMN IF NOT EXISTS failed_after_send bigint,
    ADD COLUMN IF NOT EXISTS failed_then_delivered bigint,
    ADD COLUMN IF NOT EXISTS contacts_accepted bigint,
    ADD COLUMN IF NOT EXISTS replied bigint,
    ADD COLUMN IF NOT EXISTS replied_last_touch bigint,
    ADD COLUMN IF NOT EXISTS replied_quoted bigint,
    ADD COLUMN IF NOT EXISTS clicked bigint,
    ADD COLUMN IF NOT EXISTS clicked_implied bigint,
    ADD COLUMN IF NOT EXISTS requested bigint,
    ADD COLUMN IF NOT EXISTS attempted bigint,
    ADD COLUMN IF NOT EXISTS answered bigint,
    ADD COLUMN IF NOT EXISTS busy bigint,
    ADD COLUMN IF NOT EXISTS no_answer bigint,
    ADD COLUMN IF NOT EXISTS rejected bigint,
    ADD COLUMN IF NOT EXISTS unreachable bigint,
    ADD COLUMN IF NOT EXISTS congestion bigint,
    ADD COLUMN IF NOT EXISTS call_cancelled bigint,
    ADD COLUMN IF NOT EXISTS call_failed bigint,
    ADD COLUMN IF NOT EXISTS ended_unknown bigint,
    ADD COLUMN IF NOT EXISTS answered_human bigint,
    ADD COLUMN IF NOT EXISTS answered_machine bigint,
    ADD COLUMN IF NOT EXISTS answered_unknown bigint,
    ADD COLUMN IF NOT EXISTS dropped bigint,
    ADD COLUMN IF NOT EXISTS connected_ms bigint,
    ADD COLUMN IF NOT EXISTS talk_ms bigint,
    ADD COLUMN IF NOT EXISTS hold_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_wait_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_joins bigint,
    ADD COLUMN IF NOT EXISTS queue_abandoned bigint,
    ADD COLUMN IF NOT EXISTS queue_timeouts bigint,
    ADD COLUMN IF NOT EXISTS queue_waiting bigint,
    ADD COLUMN IF NOT EXISTS connects bigint,
    ADD COLUMN IF NOT EXISTS ring_no_answer bigint;

ALTER TABLE tally.cells_by_hour
    ADD COLUMN IF NOT EXISTS contacts bigint,
    ADD COLUMN IF NOT EXISTS attempts bigint,
    ADD COLUMN IF NOT EXISTS queued bigint,
    ADD COLUMN IF NOT EXISTS accepted bigint,
    ADD COLUMN IF NOT EXISTS failed_at_send bigint,
    ADD COLUMN IF NOT EXISTS skipped bigint,
    ADD COLUMN IF NOT EXISTS cancelled bigint,
    ADD COLUMN IF NOT EXISTS duplicates bigint,
    ADD COLUMN IF NOT EXISTS claimed_elsewhere bigint,
    ADD COLUMN IF NOT EXISTS sent bigint,
    ADD COLUMN IF NOT EXISTS delivered bigint,
    ADD COLUMN IF NOT EXISTS delivered_implied bigint,
    ADD COLUMN IF NOT EXISTS delivered_late bigint,
    ADD COLUMN IF NOT EXISTS read bigint,
    ADD COLUMN IF NOT EXISTS read_late bigint,
    ADD COLUMN IF NOT EXISTS failed_after_send bigint,
    ADD COLUMN IF NOT EXISTS failed_then_delivered bigint,
    ADD COLUMN IF NOT EXISTS contacts_accepted bigint,
    ADD COLUMN IF NOT EXISTS replied bigint,
    ADD COLUMN IF NOT EXISTS replied_last_touch bigint,
    ADD COLUMN IF NOT EXISTS replied_quoted bigint,
    ADD COLUMN IF NOT EXISTS clicked bigint,
    ADD COLUMN IF NOT EXISTS clicked_implied bigint,
    ADD COLUMN IF NOT EXISTS requested bigint,
    ADD COLUMN IF NOT EXISTS attempted bigint,
    ADD COLUMN IF NOT EXISTS answered bigint,
    ADD COLUMN IF NOT EXISTS busy bigint,
    ADD COLUMN IF NOT EXISTS no_answer bigint,
    ADD COLUMN IF NOT EXISTS rejected bigint,
    ADD COLUMN IF NOT EXISTS unreachable bigint,
    ADD COLUMN IF NOT EXISTS congestion bigint,
    ADD COLUMN IF NOT EXISTS call_cancelled bigint,
    ADD COLUMN IF NOT EXISTS call_failed bigint,
    ADD COLUMN IF NOT EXISTS ended_unknown bigint,
    ADD COLUMN IF NOT EXISTS answered_human bigint,
    ADD COLUMN IF NOT EXISTS answered_machine bigint,
    ADD COLUMN IF NOT EXISTS answered_unknown bigint,
    ADD COLUMN IF NOT EXISTS dropped bigint,
    ADD COLUMN IF NOT EXISTS connected_ms bigint,
    ADD COLUMN IF NOT EXISTS talk_ms bigint,
    ADD COLUMN IF NOT EXISTS hold_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_wait_ms bigint,
    ADD COLUMN IF NOT EXISTS queue_joins bigint,
    ADD COLUMN IF NOT EXISTS queue_abandoned bigint,
    ADD COLUMN IF NOT EXISTS queue_timeouts bigint,
    ADD COLUMN IF NOT EXISTS queue_waiting bigint,
    ADD COLUMN IF NOT EXISTS connects bigint,
    ADD COLUMN IF NOT EXISTS ring_no_answer bigint;

DO $$
BEGIN
    IF ARRAY[
        'generation', 'tenant', 'campaign', 'template_name', 'template_language', 'grain',
        'partition'
    ] IS DISTINCT FROM (
        SELECT array_agg(attname::text ORDER BY place) FROM pg_constraint
        CROSS JOIN unnest(conkey) WITH ORDINALITY AS keyed (number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number
        WHERE conrelid = 'tally.counters'::regclass AND contype = 'p'
    ) THEN
        ALTER TABLE tally.counters DROP CONSTRAINT counters_pkey, ADD PRIMARY KEY (
            generation, tenant, campaign, template_name, template_language, grain, partition
        );
    END IF;
END $$;

-- What changes in tally.cells is added to its sums, by a plan that a connection makes once.
-- What is not of its partition's epoch counts for nothing, there as here.
CREATE OR REPLACE FUNCTION tally.add_up_cells() RETURNS trigger LANGUAGE plpgsql
AS $$
DECLARE
    came tally.cells[];
    gone tally.cells[];
BEGIN
    IF TG_OP <> 'DELETE' THEN
        came := ARRAY(
            SELECT ROW(changed.*)::tally.cells FROM came_now AS changed
            JOIN tally.sink_progress USING (generation, partition, epoch)
            WHERE campaign <> ''
        );
    END IF;
    IF TG_OP <> 'INSERT' THEN
        gone := ARRAY(
            SELECT ROW(changed.*)::tally.cells FROM gone_now AS changed
            JOIN tally.sink_progress USING (generation, partition, epoch)
            WHERE campaign <> ''
        );
    END IF;
    IF cardinality(came) > 0 OR cardinality(gone) > 0 THEN
        WITH changed AS (
    SELECT generation, partition, epoch, tenant, campaign, number, market, (extract(epoch FROM
        quarter)::bigint / 900) AS quarter, grain, contacts, attempts, queued, accepted,
        failed_at_send, skipped, cancelled, duplicates, claimed_elsewhere, sent, delivered,
        delivered_implied, delivered_late, read, read_late, failed_after_send,
        failed_then_delivered, contacts_accepted, replied, replied_last_touch, replied_quoted,
        clicked, clicked_implied, requested, attempted, answered, busy, no_answer, rejected,
        unreachable, congestion, call_cancelled, call_failed, ended_unknown, answered_human,
        answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms, queue_wait_ms,
        queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects, ring_no_answer FROM
        unnest(came)
    UNION ALL
    SELECT generation, partition, epoch, tenant, campaign, number, market, (extract(epoch FROM
        quarter)::bigint / 900) AS quarter, grain, -contacts AS contacts, -attempts AS attempts,
        -queued AS queued, -accepted AS accepted, -failed_at_send AS failed_at_send, -skipped AS
        skipped, -cancelled AS cancelled, -duplicates AS duplicates, -claimed_elsewhere AS
        claimed_elsewhere, -sent AS sent, -delivered AS delivered, -delivered_implied AS
        delivered_implied, -delivered_late AS delivered_late, -read AS read, -read_late AS
        read_late, -failed_after_send AS failed_after_send, -failed_then_delivered AS
        failed_then_delivered, -contacts_accepted AS contacts_accepted, -replied AS replied,
        -replied_last_touch AS replied_last_touch, -replied_quoted AS replied_quoted, -clicked AS
        clicked, -clicked_implied AS clicked_implied, -requested AS requested, -attempted AS
        attempted, -answered AS answered, -busy AS busy, -no_answer AS no_answer, -rejected AS
        rejected, -unreachable AS unreachable, -congestion AS congestion, -call_cancelled AS
        call_cancelled, -call_failed AS call_failed, -ended_unknown AS ended_unknown,
        -answered_human AS answered_human, -answered_machine AS answered_machine, -answered_unknown
        AS answered_unknown, -dropped AS dropped, -connected_ms AS connected_ms, -talk_ms AS
        talk_ms, -hold_ms AS hold_ms, -queue_wait_ms AS queue_wait_ms, -queue_joins AS queue_joins,
        -queue_abandoned AS queue_abandoned, -queue_timeouts AS queue_timeouts, -queue_waiting AS
        queue_waiting, -connects AS connects, -ring_no_answer AS ring_no_answer FROM unnest(gone)
), moved AS MATERIALIZED (
    SELECT generation, partition, epoch, tenant, campaign, number, market, quarter,
        coalesce(sum(contacts) FILTER (WHERE grain = 'template'), 0)::bigint AS contacts,
        coalesce(sum(attempts) FILTER (WHERE grain = 'template'), 0)::bigint AS attempts,
        coalesce(sum(queued) FILTER (WHERE grain = 'template'), 0)::bigint AS queued,
        coalesce(sum(accepted) FILTER (WHERE grain = 'template'), 0)::bigint AS accepted,
        coalesce(sum(failed_at_send) FILTER (WHERE grain = 'template'), 0)::bigint AS
        failed_at_send, coalesce(sum(skipped) FILTER (WHERE grain = 'template'), 0)::bigint AS
        skipped, coalesce(sum(cancelled) FILTER (WHERE grain = 'template'), 0)::bigint AS cancelled,
        coalesce(sum(duplicates) FILTER (WHERE grain = 'template'), 0)::bigint AS duplicates,
        coalesce(sum(claimed_elsewhere) FILTER (WHERE grain = 'template'), 0)::bigint AS
        claimed_elsewhere, coalesce(sum(sent) FILTER (WHERE grain = 'template'), 0)::bigint AS sent,
        coalesce(sum(delivered) FILTER (WHERE grain = 'template'), 0)::bigint AS delivered,
        coalesce(sum(delivered_implied) FILTER (WHERE grain = 'template'), 0)::bigint AS
        delivered_implied, coalesce(sum(delivered_late) FILTER (WHERE grain = 'template'),
        0)::bigint AS delivered_late, coalesce(sum(read) FILTER (WHERE grain = 'template'),
        0)::bigint AS read, coalesce(sum(read_late) FILTER (WHERE grain = 'template'), 0)::bigint AS
        read_late, coalesce(sum(failed_after_send) FILTER (WHERE grain = 'template'), 0)::bigint AS
        failed_after_send, coalesce(sum(failed_then_delivered) FILTER (WHERE grain = 'template'),
        0)::bigint AS failed_then_delivered, coalesce(sum(contacts_accepted) FILTER (WHERE grain =
        'campaign'), 0)::bigint AS contacts_accepted, coalesce(sum(replied) FILTER (WHERE grain =
        'campaign'), 0)::bigint AS replied, coalesce(sum(replied_last_touch) FILTER (WHERE grain =
        'campaign'), 0)::bigint AS replied_last_touch, coalesce(sum(replied_quoted) FILTER (WHERE
        grain = 'template'), 0)::bigint AS replied_quoted, coalesce(sum(clicked) FILTER (WHERE grain
        = 'template'), 0)::bigint AS clicked, coalesce(sum(clicked_implied) FILTER (WHERE grain =
        'template'), 0)::bigint AS clicked_implied, coalesce(sum(requested) FILTER (WHERE grain =
        'template'), 0)::bigint AS requested, coalesce(sum(attempted) FILTER (WHERE grain =
        'template'), 0)::bigint AS attempted, coalesce(sum(answered) FILTER (WHERE grain =
        'template'), 0)::bigint AS answered, coalesce(sum(busy) FILTER (WHERE grain = 'template'),
        0)::bigint AS busy, coalesce(sum(no_answer) FILTER (WHERE grain = 'template'), 0)::bigint AS
        no_answer, coalesce(sum(rejected) FILTER (WHERE grain = 'template'), 0)::bigint AS rejected,
        coalesce(sum(unreachable) FILTER (WHERE grain = 'template'), 0)::bigint AS unreachable,
        coalesce(sum(congestion) FILTER (WHERE grain = 'template'), 0)::bigint AS congestion,
        coalesce(sum(call_cancelled) FILTER (WHERE grain = 'template'), 0)::bigint AS
        call_cancelled, coalesce(sum(call_failed) FILTER (WHERE grain = 'template'), 0)::bigint AS
        call_failed, coalesce(sum(ended_unknown) FILTER (WHERE grain = 'template'), 0)::bigint AS
        ended_unknown, coalesce(sum(answered_human) FILTER (WHERE grain = 'template'), 0)::bigint AS
        answered_human, coalesce(sum(answered_machine) FILTER (WHERE grain = 'template'), 0)::bigint
        AS answered_machine, coalesce(sum(answered_unknown) FILTER (WHERE grain = 'template'),
        0)::bigint AS answered_unknown, coalesce(sum(dropped) FILTER (WHERE grain = 'template'),
        0)::bigint AS dropped, coalesce(sum(connected_ms) FILTER (WHERE grain = 'template'),
        0)::bigint AS connected_ms, coalesce(sum(talk_ms) FILTER (WHERE grain = 'template'),
        0)::bigint AS talk_ms, coalesce(sum(hold_ms) FILTER (WHERE grain = 'template'), 0)::bigint
        AS hold_ms, coalesce(sum(queue_wait_ms) FILTER (WHERE grain = 'template'), 0)::bigint AS
        queue_wait_ms, coalesce(sum(queue_joins) FILTER (WHERE grain = 'template'), 0)::bigint AS
        queue_joins, coalesce(sum(queue_abandoned) FILTER (WHERE grain = 'template'), 0)::bigint AS
        queue_abandoned, coalesce(sum(queue_timeouts) FILTER (WHERE grain = 'template'), 0)::bigint
        AS queue_timeouts, coalesce(sum(queue_waiting) FILTER (WHERE grain = 'template'), 0)::bigint
        AS queue_waiting, coalesce(sum(connects) FILTER (WHERE grain = 'template'), 0)::bigint AS
        connects, coalesce(sum(ring_no_answer) FILTER (WHERE grain = 'template'), 0)::bigint AS
        ring_no_answer
    FROM changed GROUP BY generation, partition, epoch, tenant, campaign, number, market, quarter
), added_0 AS (
INSERT INTO tally.cell_sums AS held (generation, partition, epoch, tenant, campaign, quarter,
        contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer)
SELECT generation, partition, epoch, tenant, campaign, quarter, nullif(contacts, 0),
        nullif(attempts, 0), nullif(queued, 0), nullif(accepted, 0), nullif(failed_at_send, 0),
        nullif(skipped, 0), nullif(cancelled, 0), nullif(duplicates, 0), nullif(claimed_elsewhere,
        0), nullif(sent, 0), nullif(delivered, 0), nullif(delivered_implied, 0),
        nullif(delivered_late, 0), nullif(read, 0), nullif(read_late, 0), nullif(failed_after_send,
        0), nullif(failed_then_delivered, 0), nullif(contacts_accepted, 0), nullif(replied, 0),
        nullif(replied_last_touch, 0), nullif(replied_quoted, 0), nullif(clicked, 0),
        nullif(clicked_implied, 0), nullif(requested, 0), nullif(attempted, 0), nullif(answered, 0),
        nullif(busy, 0), nullif(no_answer, 0), nullif(rejected, 0), nullif(unreachable, 0),
        nullif(congestion, 0), nullif(call_cancelled, 0), nullif(call_failed, 0),
        nullif(ended_unknown, 0), nullif(answered_human, 0), nullif(answered_machine, 0),
        nullif(answered_unknown, 0), nullif(dropped, 0), nullif(connected_ms, 0), nullif(talk_ms,
        0), nullif(hold_ms, 0), nullif(queue_wait_ms, 0), nullif(queue_joins, 0),
        nullif(queue_abandoned, 0), nullif(queue_timeouts, 0), nullif(queue_waiting, 0),
        nullif(connects, 0), nullif(ring_no_answer, 0)
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, campaign AS campaign,
        to_timestamp(quarter * 900) AS quarter,
        sum(contacts)::bigint AS contacts, sum(attempts)::bigint AS attempts, sum(queued)::bigint AS
        queued, sum(accepted)::bigint AS accepted, sum(failed_at_send)::bigint AS failed_at_send,
        sum(skipped)::bigint AS skipped, sum(cancelled)::bigint AS cancelled,
        sum(duplicates)::bigint AS duplicates, sum(claimed_elsewhere)::bigint AS claimed_elsewhere,
        sum(sent)::bigint AS sent, sum(delivered)::bigint AS delivered,
        sum(delivered_implied)::bigint AS delivered_implied, sum(delivered_late)::bigint AS
        delivered_late, sum(read)::bigint AS read, sum(read_late)::bigint AS read_late,
        sum(failed_after_send)::bigint AS failed_after_send, sum(failed_then_delivered)::bigint AS
        failed_then_delivered, sum(contacts_accepted)::bigint AS contacts_accepted,
        sum(replied)::bigint AS replied, sum(replied_last_touch)::bigint AS replied_last_touch,
        sum(replied_quoted)::bigint AS replied_quoted, sum(clicked)::bigint AS clicked,
        sum(clicked_implied)::bigint AS clicked_implied, sum(requested)::bigint AS requested,
        sum(attempted)::bigint AS attempted, sum(answered)::bigint AS answered, sum(busy)::bigint AS
        busy, sum(no_answer)::bigint AS no_answer, sum(rejected)::bigint AS rejected,
        sum(unreachable)::bigint AS unreachable, sum(congestion)::bigint AS congestion,
        sum(call_cancelled)::bigint AS call_cancelled, sum(call_failed)::bigint AS call_failed,
        sum(ended_unknown)::bigint AS ended_unknown, sum(answered_human)::bigint AS answered_human,
        sum(answered_machine)::bigint AS answered_machine, sum(answered_unknown)::bigint AS
        answered_unknown, sum(dropped)::bigint AS dropped, sum(connected_ms)::bigint AS
        connected_ms, sum(talk_ms)::bigint AS talk_ms, sum(hold_ms)::bigint AS hold_ms,
        sum(queue_wait_ms)::bigint AS queue_wait_ms, sum(queue_joins)::bigint AS queue_joins,
        sum(queue_abandoned)::bigint AS queue_abandoned, sum(queue_timeouts)::bigint AS
        queue_timeouts, sum(queue_waiting)::bigint AS queue_waiting, sum(connects)::bigint AS
        connects, sum(ring_no_answer)::bigint AS ring_no_answer
    FROM moved GROUP BY 1, 2, 3, 4, 5, 6
) AS added
WHERE (contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, campaign, quarter
ON CONFLICT (generation, partition, tenant, campaign, quarter) DO UPDATE
SET contacts = nullif(coalesce(excluded.contacts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts, 0) ELSE 0 END, 0), attempts = nullif(coalesce(excluded.attempts, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempts, 0) ELSE 0 END, 0),
        queued = nullif(coalesce(excluded.queued, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queued, 0) ELSE 0 END, 0), accepted = nullif(coalesce(excluded.accepted, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.accepted, 0) ELSE 0 END, 0),
        failed_at_send = nullif(coalesce(excluded.failed_at_send, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.failed_at_send, 0) ELSE 0 END, 0), skipped =
        nullif(coalesce(excluded.skipped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.skipped, 0) ELSE 0 END, 0), cancelled = nullif(coalesce(excluded.cancelled, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.cancelled, 0) ELSE 0 END, 0),
        duplicates = nullif(coalesce(excluded.duplicates, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.duplicates, 0) ELSE 0 END, 0), claimed_elsewhere =
        nullif(coalesce(excluded.claimed_elsewhere, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.claimed_elsewhere, 0) ELSE 0 END, 0), sent = nullif(coalesce(excluded.sent, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, 0),
        delivered = nullif(coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.delivered, 0) ELSE 0 END, 0), delivered_implied =
        nullif(coalesce(excluded.delivered_implied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_implied, 0) ELSE 0 END, 0), delivered_late =
        nullif(coalesce(excluded.delivered_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_late, 0) ELSE 0 END, 0), read = nullif(coalesce(excluded.read, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, 0), read_late
        = nullif(coalesce(excluded.read_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.read_late, 0) ELSE 0 END, 0), failed_after_send =
        nullif(coalesce(excluded.failed_after_send, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed_after_send, 0) ELSE 0 END, 0), failed_then_delivered =
        nullif(coalesce(excluded.failed_then_delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.failed_then_delivered, 0) ELSE 0 END, 0), contacts_accepted =
        nullif(coalesce(excluded.contacts_accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts_accepted, 0) ELSE 0 END, 0), replied =
        nullif(coalesce(excluded.replied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied, 0) ELSE 0 END, 0), replied_last_touch =
        nullif(coalesce(excluded.replied_last_touch, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_last_touch, 0) ELSE 0 END, 0), replied_quoted =
        nullif(coalesce(excluded.replied_quoted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_quoted, 0) ELSE 0 END, 0), clicked = nullif(coalesce(excluded.clicked,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.clicked, 0) ELSE 0 END, 0),
        clicked_implied = nullif(coalesce(excluded.clicked_implied, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.clicked_implied, 0) ELSE 0 END, 0), requested =
        nullif(coalesce(excluded.requested, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.requested, 0) ELSE 0 END, 0), attempted = nullif(coalesce(excluded.attempted,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, 0),
        answered = nullif(coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.answered, 0) ELSE 0 END, 0), busy = nullif(coalesce(excluded.busy, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.busy, 0) ELSE 0 END, 0), no_answer
        = nullif(coalesce(excluded.no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.no_answer, 0) ELSE 0 END, 0), rejected = nullif(coalesce(excluded.rejected, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.rejected, 0) ELSE 0 END, 0),
        unreachable = nullif(coalesce(excluded.unreachable, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.unreachable, 0) ELSE 0 END, 0), congestion =
        nullif(coalesce(excluded.congestion, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.congestion, 0) ELSE 0 END, 0), call_cancelled =
        nullif(coalesce(excluded.call_cancelled, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_cancelled, 0) ELSE 0 END, 0), call_failed =
        nullif(coalesce(excluded.call_failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_failed, 0) ELSE 0 END, 0), ended_unknown =
        nullif(coalesce(excluded.ended_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ended_unknown, 0) ELSE 0 END, 0), answered_human =
        nullif(coalesce(excluded.answered_human, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_human, 0) ELSE 0 END, 0), answered_machine =
        nullif(coalesce(excluded.answered_machine, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_machine, 0) ELSE 0 END, 0), answered_unknown =
        nullif(coalesce(excluded.answered_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_unknown, 0) ELSE 0 END, 0), dropped =
        nullif(coalesce(excluded.dropped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.dropped, 0) ELSE 0 END, 0), connected_ms =
        nullif(coalesce(excluded.connected_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connected_ms, 0) ELSE 0 END, 0), talk_ms = nullif(coalesce(excluded.talk_ms,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.talk_ms, 0) ELSE 0 END, 0),
        hold_ms = nullif(coalesce(excluded.hold_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.hold_ms, 0) ELSE 0 END, 0), queue_wait_ms =
        nullif(coalesce(excluded.queue_wait_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_wait_ms, 0) ELSE 0 END, 0), queue_joins =
        nullif(coalesce(excluded.queue_joins, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_joins, 0) ELSE 0 END, 0), queue_abandoned =
        nullif(coalesce(excluded.queue_abandoned, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_abandoned, 0) ELSE 0 END, 0), queue_timeouts =
        nullif(coalesce(excluded.queue_timeouts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_timeouts, 0) ELSE 0 END, 0), queue_waiting =
        nullif(coalesce(excluded.queue_waiting, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_waiting, 0) ELSE 0 END, 0), connects =
        nullif(coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, 0), ring_no_answer =
        nullif(coalesce(excluded.ring_no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ring_no_answer, 0) ELSE 0 END, 0), epoch = excluded.epoch
), added_1 AS (
INSERT INTO tally.tenant_sums AS held (generation, partition, epoch, tenant, quarter, contacts,
        attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer)
SELECT generation, partition, epoch, tenant, quarter, nullif(contacts, 0), nullif(attempts, 0),
        nullif(queued, 0), nullif(accepted, 0), nullif(failed_at_send, 0), nullif(skipped, 0),
        nullif(cancelled, 0), nullif(duplicates, 0), nullif(claimed_elsewhere, 0), nullif(sent, 0),
        nullif(delivered, 0), nullif(delivered_implied, 0), nullif(delivered_late, 0), nullif(read,
        0), nullif(read_late, 0), nullif(failed_after_send, 0), nullif(failed_then_delivered, 0),
        nullif(contacts_accepted, 0), nullif(replied, 0), nullif(replied_last_touch, 0),
        nullif(replied_quoted, 0), nullif(clicked, 0), nullif(clicked_implied, 0), nullif(requested,
        0), nullif(attempted, 0), nullif(answered, 0), nullif(busy, 0), nullif(no_answer, 0),
        nullif(rejected, 0), nullif(unreachable, 0), nullif(congestion, 0), nullif(call_cancelled,
        0), nullif(call_failed, 0), nullif(ended_unknown, 0), nullif(answered_human, 0),
        nullif(answered_machine, 0), nullif(answered_unknown, 0), nullif(dropped, 0),
        nullif(connected_ms, 0), nullif(talk_ms, 0), nullif(hold_ms, 0), nullif(queue_wait_ms, 0),
        nullif(queue_joins, 0), nullif(queue_abandoned, 0), nullif(queue_timeouts, 0),
        nullif(queue_waiting, 0), nullif(connects, 0), nullif(ring_no_answer, 0)
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, to_timestamp(quarter * 900) AS quarter,
        sum(contacts)::bigint AS contacts, sum(attempts)::bigint AS attempts, sum(queued)::bigint AS
        queued, sum(accepted)::bigint AS accepted, sum(failed_at_send)::bigint AS failed_at_send,
        sum(skipped)::bigint AS skipped, sum(cancelled)::bigint AS cancelled,
        sum(duplicates)::bigint AS duplicates, sum(claimed_elsewhere)::bigint AS claimed_elsewhere,
        sum(sent)::bigint AS sent, sum(delivered)::bigint AS delivered,
        sum(delivered_implied)::bigint AS delivered_implied, sum(delivered_late)::bigint AS
        delivered_late, sum(read)::bigint AS read, sum(read_late)::bigint AS read_late,
        sum(failed_after_send)::bigint AS failed_after_send, sum(failed_then_delivered)::bigint AS
        failed_then_delivered, sum(contacts_accepted)::bigint AS contacts_accepted,
        sum(replied)::bigint AS replied, sum(replied_last_touch)::bigint AS replied_last_touch,
        sum(replied_quoted)::bigint AS replied_quoted, sum(clicked)::bigint AS clicked,
        sum(clicked_implied)::bigint AS clicked_implied, sum(requested)::bigint AS requested,
        sum(attempted)::bigint AS attempted, sum(answered)::bigint AS answered, sum(busy)::bigint AS
        busy, sum(no_answer)::bigint AS no_answer, sum(rejected)::bigint AS rejected,
        sum(unreachable)::bigint AS unreachable, sum(congestion)::bigint AS congestion,
        sum(call_cancelled)::bigint AS call_cancelled, sum(call_failed)::bigint AS call_failed,
        sum(ended_unknown)::bigint AS ended_unknown, sum(answered_human)::bigint AS answered_human,
        sum(answered_machine)::bigint AS answered_machine, sum(answered_unknown)::bigint AS
        answered_unknown, sum(dropped)::bigint AS dropped, sum(connected_ms)::bigint AS
        connected_ms, sum(talk_ms)::bigint AS talk_ms, sum(hold_ms)::bigint AS hold_ms,
        sum(queue_wait_ms)::bigint AS queue_wait_ms, sum(queue_joins)::bigint AS queue_joins,
        sum(queue_abandoned)::bigint AS queue_abandoned, sum(queue_timeouts)::bigint AS
        queue_timeouts, sum(queue_waiting)::bigint AS queue_waiting, sum(connects)::bigint AS
        connects, sum(ring_no_answer)::bigint AS ring_no_answer
    FROM moved GROUP BY 1, 2, 3, 4, 5
) AS added
WHERE (contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, quarter
ON CONFLICT (generation, partition, tenant, quarter) DO UPDATE
SET contacts = nullif(coalesce(excluded.contacts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts, 0) ELSE 0 END, 0), attempts = nullif(coalesce(excluded.attempts, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempts, 0) ELSE 0 END, 0),
        queued = nullif(coalesce(excluded.queued, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queued, 0) ELSE 0 END, 0), accepted = nullif(coalesce(excluded.accepted, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.accepted, 0) ELSE 0 END, 0),
        failed_at_send = nullif(coalesce(excluded.failed_at_send, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.failed_at_send, 0) ELSE 0 END, 0), skipped =
        nullif(coalesce(excluded.skipped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.skipped, 0) ELSE 0 END, 0), cancelled = nullif(coalesce(excluded.cancelled, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.cancelled, 0) ELSE 0 END, 0),
        duplicates = nullif(coalesce(excluded.duplicates, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.duplicates, 0) ELSE 0 END, 0), claimed_elsewhere =
        nullif(coalesce(excluded.claimed_elsewhere, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.claimed_elsewhere, 0) ELSE 0 END, 0), sent = nullif(coalesce(excluded.sent, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, 0),
        delivered = nullif(coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.delivered, 0) ELSE 0 END, 0), delivered_implied =
        nullif(coalesce(excluded.delivered_implied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_implied, 0) ELSE 0 END, 0), delivered_late =
        nullif(coalesce(excluded.delivered_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_late, 0) ELSE 0 END, 0), read = nullif(coalesce(excluded.read, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, 0), read_late
        = nullif(coalesce(excluded.read_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.read_late, 0) ELSE 0 END, 0), failed_after_send =
        nullif(coalesce(excluded.failed_after_send, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed_after_send, 0) ELSE 0 END, 0), failed_then_delivered =
        nullif(coalesce(excluded.failed_then_delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.failed_then_delivered, 0) ELSE 0 END, 0), contacts_accepted =
        nullif(coalesce(excluded.contacts_accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts_accepted, 0) ELSE 0 END, 0), replied =
        nullif(coalesce(excluded.replied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied, 0) ELSE 0 END, 0), replied_last_touch =
        nullif(coalesce(excluded.replied_last_touch, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_last_touch, 0) ELSE 0 END, 0), replied_quoted =
        nullif(coalesce(excluded.replied_quoted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_quoted, 0) ELSE 0 END, 0), clicked = nullif(coalesce(excluded.clicked,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.clicked, 0) ELSE 0 END, 0),
        clicked_implied = nullif(coalesce(excluded.clicked_implied, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.clicked_implied, 0) ELSE 0 END, 0), requested =
        nullif(coalesce(excluded.requested, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.requested, 0) ELSE 0 END, 0), attempted = nullif(coalesce(excluded.attempted,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, 0),
        answered = nullif(coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.answered, 0) ELSE 0 END, 0), busy = nullif(coalesce(excluded.busy, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.busy, 0) ELSE 0 END, 0), no_answer
        = nullif(coalesce(excluded.no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.no_answer, 0) ELSE 0 END, 0), rejected = nullif(coalesce(excluded.rejected, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.rejected, 0) ELSE 0 END, 0),
        unreachable = nullif(coalesce(excluded.unreachable, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.unreachable, 0) ELSE 0 END, 0), congestion =
        nullif(coalesce(excluded.congestion, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.congestion, 0) ELSE 0 END, 0), call_cancelled =
        nullif(coalesce(excluded.call_cancelled, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_cancelled, 0) ELSE 0 END, 0), call_failed =
        nullif(coalesce(excluded.call_failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_failed, 0) ELSE 0 END, 0), ended_unknown =
        nullif(coalesce(excluded.ended_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ended_unknown, 0) ELSE 0 END, 0), answered_human =
        nullif(coalesce(excluded.answered_human, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_human, 0) ELSE 0 END, 0), answered_machine =
        nullif(coalesce(excluded.answered_machine, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_machine, 0) ELSE 0 END, 0), answered_unknown =
        nullif(coalesce(excluded.answered_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_unknown, 0) ELSE 0 END, 0), dropped =
        nullif(coalesce(excluded.dropped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.dropped, 0) ELSE 0 END, 0), connected_ms =
        nullif(coalesce(excluded.connected_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connected_ms, 0) ELSE 0 END, 0), talk_ms = nullif(coalesce(excluded.talk_ms,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.talk_ms, 0) ELSE 0 END, 0),
        hold_ms = nullif(coalesce(excluded.hold_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.hold_ms, 0) ELSE 0 END, 0), queue_wait_ms =
        nullif(coalesce(excluded.queue_wait_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_wait_ms, 0) ELSE 0 END, 0), queue_joins =
        nullif(coalesce(excluded.queue_joins, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_joins, 0) ELSE 0 END, 0), queue_abandoned =
        nullif(coalesce(excluded.queue_abandoned, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_abandoned, 0) ELSE 0 END, 0), queue_timeouts =
        nullif(coalesce(excluded.queue_timeouts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_timeouts, 0) ELSE 0 END, 0), queue_waiting =
        nullif(coalesce(excluded.queue_waiting, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_waiting, 0) ELSE 0 END, 0), connects =
        nullif(coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, 0), ring_no_answer =
        nullif(coalesce(excluded.ring_no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ring_no_answer, 0) ELSE 0 END, 0), epoch = excluded.epoch
), added_2 AS (
INSERT INTO tally.cell_hours AS held (generation, partition, epoch, tenant, campaign, hour,
        contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer)
SELECT generation, partition, epoch, tenant, campaign, hour, nullif(contacts, 0), nullif(attempts,
        0), nullif(queued, 0), nullif(accepted, 0), nullif(failed_at_send, 0), nullif(skipped, 0),
        nullif(cancelled, 0), nullif(duplicates, 0), nullif(claimed_elsewhere, 0), nullif(sent, 0),
        nullif(delivered, 0), nullif(delivered_implied, 0), nullif(delivered_late, 0), nullif(read,
        0), nullif(read_late, 0), nullif(failed_after_send, 0), nullif(failed_then_delivered, 0),
        nullif(contacts_accepted, 0), nullif(replied, 0), nullif(replied_last_touch, 0),
        nullif(replied_quoted, 0), nullif(clicked, 0), nullif(clicked_implied, 0), nullif(requested,
        0), nullif(attempted, 0), nullif(answered, 0), nullif(busy, 0), nullif(no_answer, 0),
        nullif(rejected, 0), nullif(unreachable, 0), nullif(congestion, 0), nullif(call_cancelled,
        0), nullif(call_failed, 0), nullif(ended_unknown, 0), nullif(answered_human, 0),
        nullif(answered_machine, 0), nullif(answered_unknown, 0), nullif(dropped, 0),
        nullif(connected_ms, 0), nullif(talk_ms, 0), nullif(hold_ms, 0), nullif(queue_wait_ms, 0),
        nullif(queue_joins, 0), nullif(queue_abandoned, 0), nullif(queue_timeouts, 0),
        nullif(queue_waiting, 0), nullif(connects, 0), nullif(ring_no_answer, 0)
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, campaign AS campaign,
        to_timestamp(quarter / 4 * 3600) AS hour,
        sum(contacts)::bigint AS contacts, sum(attempts)::bigint AS attempts, sum(queued)::bigint AS
        queued, sum(accepted)::bigint AS accepted, sum(failed_at_send)::bigint AS failed_at_send,
        sum(skipped)::bigint AS skipped, sum(cancelled)::bigint AS cancelled,
        sum(duplicates)::bigint AS duplicates, sum(claimed_elsewhere)::bigint AS claimed_elsewhere,
        sum(sent)::bigint AS sent, sum(delivered)::bigint AS delivered,
        sum(delivered_implied)::bigint AS delivered_implied, sum(delivered_late)::bigint AS
        delivered_late, sum(read)::bigint AS read, sum(read_late)::bigint AS read_late,
        sum(failed_after_send)::bigint AS failed_after_send, sum(failed_then_delivered)::bigint AS
        failed_then_delivered, sum(contacts_accepted)::bigint AS contacts_accepted,
        sum(replied)::bigint AS replied, sum(replied_last_touch)::bigint AS replied_last_touch,
        sum(replied_quoted)::bigint AS replied_quoted, sum(clicked)::bigint AS clicked,
        sum(clicked_implied)::bigint AS clicked_implied, sum(requested)::bigint AS requested,
        sum(attempted)::bigint AS attempted, sum(answered)::bigint AS answered, sum(busy)::bigint AS
        busy, sum(no_answer)::bigint AS no_answer, sum(rejected)::bigint AS rejected,
        sum(unreachable)::bigint AS unreachable, sum(congestion)::bigint AS congestion,
        sum(call_cancelled)::bigint AS call_cancelled, sum(call_failed)::bigint AS call_failed,
        sum(ended_unknown)::bigint AS ended_unknown, sum(answered_human)::bigint AS answered_human,
        sum(answered_machine)::bigint AS answered_machine, sum(answered_unknown)::bigint AS
        answered_unknown, sum(dropped)::bigint AS dropped, sum(connected_ms)::bigint AS
        connected_ms, sum(talk_ms)::bigint AS talk_ms, sum(hold_ms)::bigint AS hold_ms,
        sum(queue_wait_ms)::bigint AS queue_wait_ms, sum(queue_joins)::bigint AS queue_joins,
        sum(queue_abandoned)::bigint AS queue_abandoned, sum(queue_timeouts)::bigint AS
        queue_timeouts, sum(queue_waiting)::bigint AS queue_waiting, sum(connects)::bigint AS
        connects, sum(ring_no_answer)::bigint AS ring_no_answer
    FROM moved GROUP BY 1, 2, 3, 4, 5, 6
) AS added
WHERE (contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, campaign, hour
ON CONFLICT (generation, partition, tenant, campaign, hour) DO UPDATE
SET contacts = nullif(coalesce(excluded.contacts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts, 0) ELSE 0 END, 0), attempts = nullif(coalesce(excluded.attempts, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempts, 0) ELSE 0 END, 0),
        queued = nullif(coalesce(excluded.queued, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queued, 0) ELSE 0 END, 0), accepted = nullif(coalesce(excluded.accepted, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.accepted, 0) ELSE 0 END, 0),
        failed_at_send = nullif(coalesce(excluded.failed_at_send, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.failed_at_send, 0) ELSE 0 END, 0), skipped =
        nullif(coalesce(excluded.skipped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.skipped, 0) ELSE 0 END, 0), cancelled = nullif(coalesce(excluded.cancelled, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.cancelled, 0) ELSE 0 END, 0),
        duplicates = nullif(coalesce(excluded.duplicates, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.duplicates, 0) ELSE 0 END, 0), claimed_elsewhere =
        nullif(coalesce(excluded.claimed_elsewhere, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.claimed_elsewhere, 0) ELSE 0 END, 0), sent = nullif(coalesce(excluded.sent, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, 0),
        delivered = nullif(coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.delivered, 0) ELSE 0 END, 0), delivered_implied =
        nullif(coalesce(excluded.delivered_implied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_implied, 0) ELSE 0 END, 0), delivered_late =
        nullif(coalesce(excluded.delivered_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_late, 0) ELSE 0 END, 0), read = nullif(coalesce(excluded.read, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, 0), read_late
        = nullif(coalesce(excluded.read_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.read_late, 0) ELSE 0 END, 0), failed_after_send =
        nullif(coalesce(excluded.failed_after_send, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed_after_send, 0) ELSE 0 END, 0), failed_then_delivered =
        nullif(coalesce(excluded.failed_then_delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.failed_then_delivered, 0) ELSE 0 END, 0), contacts_accepted =
        nullif(coalesce(excluded.contacts_accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts_accepted, 0) ELSE 0 END, 0), replied =
        nullif(coalesce(excluded.replied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied, 0) ELSE 0 END, 0), replied_last_touch =
        nullif(coalesce(excluded.replied_last_touch, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_last_touch, 0) ELSE 0 END, 0), replied_quoted =
        nullif(coalesce(excluded.replied_quoted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_quoted, 0) ELSE 0 END, 0), clicked = nullif(coalesce(excluded.clicked,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.clicked, 0) ELSE 0 END, 0),
        clicked_implied = nullif(coalesce(excluded.clicked_implied, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.clicked_implied, 0) ELSE 0 END, 0), requested =
        nullif(coalesce(excluded.requested, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.requested, 0) ELSE 0 END, 0), attempted = nullif(coalesce(excluded.attempted,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, 0),
        answered = nullif(coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.answered, 0) ELSE 0 END, 0), busy = nullif(coalesce(excluded.busy, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.busy, 0) ELSE 0 END, 0), no_answer
        = nullif(coalesce(excluded.no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.no_answer, 0) ELSE 0 END, 0), rejected = nullif(coalesce(excluded.rejected, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.rejected, 0) ELSE 0 END, 0),
        unreachable = nullif(coalesce(excluded.unreachable, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.unreachable, 0) ELSE 0 END, 0), congestion =
        nullif(coalesce(excluded.congestion, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.congestion, 0) ELSE 0 END, 0), call_cancelled =
        nullif(coalesce(excluded.call_cancelled, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_cancelled, 0) ELSE 0 END, 0), call_failed =
        nullif(coalesce(excluded.call_failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_failed, 0) ELSE 0 END, 0), ended_unknown =
        nullif(coalesce(excluded.ended_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ended_unknown, 0) ELSE 0 END, 0), answered_human =
        nullif(coalesce(excluded.answered_human, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_human, 0) ELSE 0 END, 0), answered_machine =
        nullif(coalesce(excluded.answered_machine, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_machine, 0) ELSE 0 END, 0), answered_unknown =
        nullif(coalesce(excluded.answered_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_unknown, 0) ELSE 0 END, 0), dropped =
        nullif(coalesce(excluded.dropped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.dropped, 0) ELSE 0 END, 0), connected_ms =
        nullif(coalesce(excluded.connected_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connected_ms, 0) ELSE 0 END, 0), talk_ms = nullif(coalesce(excluded.talk_ms,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.talk_ms, 0) ELSE 0 END, 0),
        hold_ms = nullif(coalesce(excluded.hold_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.hold_ms, 0) ELSE 0 END, 0), queue_wait_ms =
        nullif(coalesce(excluded.queue_wait_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_wait_ms, 0) ELSE 0 END, 0), queue_joins =
        nullif(coalesce(excluded.queue_joins, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_joins, 0) ELSE 0 END, 0), queue_abandoned =
        nullif(coalesce(excluded.queue_abandoned, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_abandoned, 0) ELSE 0 END, 0), queue_timeouts =
        nullif(coalesce(excluded.queue_timeouts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_timeouts, 0) ELSE 0 END, 0), queue_waiting =
        nullif(coalesce(excluded.queue_waiting, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_waiting, 0) ELSE 0 END, 0), connects =
        nullif(coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, 0), ring_no_answer =
        nullif(coalesce(excluded.ring_no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ring_no_answer, 0) ELSE 0 END, 0), epoch = excluded.epoch
), added_3 AS (
INSERT INTO tally.tenant_hours AS held (generation, partition, epoch, tenant, hour, contacts,
        attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer)
SELECT generation, partition, epoch, tenant, hour, nullif(contacts, 0), nullif(attempts, 0),
        nullif(queued, 0), nullif(accepted, 0), nullif(failed_at_send, 0), nullif(skipped, 0),
        nullif(cancelled, 0), nullif(duplicates, 0), nullif(claimed_elsewhere, 0), nullif(sent, 0),
        nullif(delivered, 0), nullif(delivered_implied, 0), nullif(delivered_late, 0), nullif(read,
        0), nullif(read_late, 0), nullif(failed_after_send, 0), nullif(failed_then_delivered, 0),
        nullif(contacts_accepted, 0), nullif(replied, 0), nullif(replied_last_touch, 0),
        nullif(replied_quoted, 0), nullif(clicked, 0), nullif(clicked_implied, 0), nullif(requested,
        0), nullif(attempted, 0), nullif(answered, 0), nullif(busy, 0), nullif(no_answer, 0),
        nullif(rejected, 0), nullif(unreachable, 0), nullif(congestion, 0), nullif(call_cancelled,
        0), nullif(call_failed, 0), nullif(ended_unknown, 0), nullif(answered_human, 0),
        nullif(answered_machine, 0), nullif(answered_unknown, 0), nullif(dropped, 0),
        nullif(connected_ms, 0), nullif(talk_ms, 0), nullif(hold_ms, 0), nullif(queue_wait_ms, 0),
        nullif(queue_joins, 0), nullif(queue_abandoned, 0), nullif(queue_timeouts, 0),
        nullif(queue_waiting, 0), nullif(connects, 0), nullif(ring_no_answer, 0)
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, to_timestamp(quarter / 4 * 3600) AS hour,
        sum(contacts)::bigint AS contacts, sum(attempts)::bigint AS attempts, sum(queued)::bigint AS
        queued, sum(accepted)::bigint AS accepted, sum(failed_at_send)::bigint AS failed_at_send,
        sum(skipped)::bigint AS skipped, sum(cancelled)::bigint AS cancelled,
        sum(duplicates)::bigint AS duplicates, sum(claimed_elsewhere)::bigint AS claimed_elsewhere,
        sum(sent)::bigint AS sent, sum(delivered)::bigint AS delivered,
        sum(delivered_implied)::bigint AS delivered_implied, sum(delivered_late)::bigint AS
        delivered_late, sum(read)::bigint AS read, sum(read_late)::bigint AS read_late,
        sum(failed_after_send)::bigint AS failed_after_send, sum(failed_then_delivered)::bigint AS
        failed_then_delivered, sum(contacts_accepted)::bigint AS contacts_accepted,
        sum(replied)::bigint AS replied, sum(replied_last_touch)::bigint AS replied_last_touch,
        sum(replied_quoted)::bigint AS replied_quoted, sum(clicked)::bigint AS clicked,
        sum(clicked_implied)::bigint AS clicked_implied, sum(requested)::bigint AS requested,
        sum(attempted)::bigint AS attempted, sum(answered)::bigint AS answered, sum(busy)::bigint AS
        busy, sum(no_answer)::bigint AS no_answer, sum(rejected)::bigint AS rejected,
        sum(unreachable)::bigint AS unreachable, sum(congestion)::bigint AS congestion,
        sum(call_cancelled)::bigint AS call_cancelled, sum(call_failed)::bigint AS call_failed,
        sum(ended_unknown)::bigint AS ended_unknown, sum(answered_human)::bigint AS answered_human,
        sum(answered_machine)::bigint AS answered_machine, sum(answered_unknown)::bigint AS
        answered_unknown, sum(dropped)::bigint AS dropped, sum(connected_ms)::bigint AS
        connected_ms, sum(talk_ms)::bigint AS talk_ms, sum(hold_ms)::bigint AS hold_ms,
        sum(queue_wait_ms)::bigint AS queue_wait_ms, sum(queue_joins)::bigint AS queue_joins,
        sum(queue_abandoned)::bigint AS queue_abandoned, sum(queue_timeouts)::bigint AS
        queue_timeouts, sum(queue_waiting)::bigint AS queue_waiting, sum(connects)::bigint AS
        connects, sum(ring_no_answer)::bigint AS ring_no_answer
    FROM moved GROUP BY 1, 2, 3, 4, 5
) AS added
WHERE (contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, hour
ON CONFLICT (generation, partition, tenant, hour) DO UPDATE
SET contacts = nullif(coalesce(excluded.contacts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts, 0) ELSE 0 END, 0), attempts = nullif(coalesce(excluded.attempts, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempts, 0) ELSE 0 END, 0),
        queued = nullif(coalesce(excluded.queued, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queued, 0) ELSE 0 END, 0), accepted = nullif(coalesce(excluded.accepted, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.accepted, 0) ELSE 0 END, 0),
        failed_at_send = nullif(coalesce(excluded.failed_at_send, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.failed_at_send, 0) ELSE 0 END, 0), skipped =
        nullif(coalesce(excluded.skipped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.skipped, 0) ELSE 0 END, 0), cancelled = nullif(coalesce(excluded.cancelled, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.cancelled, 0) ELSE 0 END, 0),
        duplicates = nullif(coalesce(excluded.duplicates, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.duplicates, 0) ELSE 0 END, 0), claimed_elsewhere =
        nullif(coalesce(excluded.claimed_elsewhere, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.claimed_elsewhere, 0) ELSE 0 END, 0), sent = nullif(coalesce(excluded.sent, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, 0),
        delivered = nullif(coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.delivered, 0) ELSE 0 END, 0), delivered_implied =
        nullif(coalesce(excluded.delivered_implied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_implied, 0) ELSE 0 END, 0), delivered_late =
        nullif(coalesce(excluded.delivered_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_late, 0) ELSE 0 END, 0), read = nullif(coalesce(excluded.read, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, 0), read_late
        = nullif(coalesce(excluded.read_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.read_late, 0) ELSE 0 END, 0), failed_after_send =
        nullif(coalesce(excluded.failed_after_send, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed_after_send, 0) ELSE 0 END, 0), failed_then_delivered =
        nullif(coalesce(excluded.failed_then_delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.failed_then_delivered, 0) ELSE 0 END, 0), contacts_accepted =
        nullif(coalesce(excluded.contacts_accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts_accepted, 0) ELSE 0 END, 0), replied =
        nullif(coalesce(excluded.replied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied, 0) ELSE 0 END, 0), replied_last_touch =
        nullif(coalesce(excluded.replied_last_touch, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_last_touch, 0) ELSE 0 END, 0), replied_quoted =
        nullif(coalesce(excluded.replied_quoted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_quoted, 0) ELSE 0 END, 0), clicked = nullif(coalesce(excluded.clicked,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.clicked, 0) ELSE 0 END, 0),
        clicked_implied = nullif(coalesce(excluded.clicked_implied, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.clicked_implied, 0) ELSE 0 END, 0), requested =
        nullif(coalesce(excluded.requested, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.requested, 0) ELSE 0 END, 0), attempted = nullif(coalesce(excluded.attempted,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, 0),
        answered = nullif(coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.answered, 0) ELSE 0 END, 0), busy = nullif(coalesce(excluded.busy, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.busy, 0) ELSE 0 END, 0), no_answer
        = nullif(coalesce(excluded.no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.no_answer, 0) ELSE 0 END, 0), rejected = nullif(coalesce(excluded.rejected, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.rejected, 0) ELSE 0 END, 0),
        unreachable = nullif(coalesce(excluded.unreachable, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.unreachable, 0) ELSE 0 END, 0), congestion =
        nullif(coalesce(excluded.congestion, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.congestion, 0) ELSE 0 END, 0), call_cancelled =
        nullif(coalesce(excluded.call_cancelled, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_cancelled, 0) ELSE 0 END, 0), call_failed =
        nullif(coalesce(excluded.call_failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_failed, 0) ELSE 0 END, 0), ended_unknown =
        nullif(coalesce(excluded.ended_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ended_unknown, 0) ELSE 0 END, 0), answered_human =
        nullif(coalesce(excluded.answered_human, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_human, 0) ELSE 0 END, 0), answered_machine =
        nullif(coalesce(excluded.answered_machine, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_machine, 0) ELSE 0 END, 0), answered_unknown =
        nullif(coalesce(excluded.answered_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_unknown, 0) ELSE 0 END, 0), dropped =
        nullif(coalesce(excluded.dropped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.dropped, 0) ELSE 0 END, 0), connected_ms =
        nullif(coalesce(excluded.connected_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connected_ms, 0) ELSE 0 END, 0), talk_ms = nullif(coalesce(excluded.talk_ms,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.talk_ms, 0) ELSE 0 END, 0),
        hold_ms = nullif(coalesce(excluded.hold_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.hold_ms, 0) ELSE 0 END, 0), queue_wait_ms =
        nullif(coalesce(excluded.queue_wait_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_wait_ms, 0) ELSE 0 END, 0), queue_joins =
        nullif(coalesce(excluded.queue_joins, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_joins, 0) ELSE 0 END, 0), queue_abandoned =
        nullif(coalesce(excluded.queue_abandoned, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_abandoned, 0) ELSE 0 END, 0), queue_timeouts =
        nullif(coalesce(excluded.queue_timeouts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_timeouts, 0) ELSE 0 END, 0), queue_waiting =
        nullif(coalesce(excluded.queue_waiting, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_waiting, 0) ELSE 0 END, 0), connects =
        nullif(coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, 0), ring_no_answer =
        nullif(coalesce(excluded.ring_no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ring_no_answer, 0) ELSE 0 END, 0), epoch = excluded.epoch
), added_4 AS (
INSERT INTO tally.cells_by_market AS held (generation, partition, epoch, tenant, campaign, number,
        market, contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled,
        duplicates, claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read,
        read_late, failed_after_send, failed_then_delivered, contacts_accepted, replied,
        replied_last_touch, replied_quoted, clicked, clicked_implied, requested, attempted,
        answered, busy, no_answer, rejected, unreachable, congestion, call_cancelled, call_failed,
        ended_unknown, answered_human, answered_machine, answered_unknown, dropped, connected_ms,
        talk_ms, hold_ms, queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts,
        queue_waiting, connects, ring_no_answer)
SELECT generation, partition, epoch, tenant, campaign, number, market, nullif(contacts, 0),
        nullif(attempts, 0), nullif(queued, 0), nullif(accepted, 0), nullif(failed_at_send, 0),
        nullif(skipped, 0), nullif(cancelled, 0), nullif(duplicates, 0), nullif(claimed_elsewhere,
        0), nullif(sent, 0), nullif(delivered, 0), nullif(delivered_implied, 0),
        nullif(delivered_late, 0), nullif(read, 0), nullif(read_late, 0), nullif(failed_after_send,
        0), nullif(failed_then_delivered, 0), nullif(contacts_accepted, 0), nullif(replied, 0),
        nullif(replied_last_touch, 0), nullif(replied_quoted, 0), nullif(clicked, 0),
        nullif(clicked_implied, 0), nullif(requested, 0), nullif(attempted, 0), nullif(answered, 0),
        nullif(busy, 0), nullif(no_answer, 0), nullif(rejected, 0), nullif(unreachable, 0),
        nullif(congestion, 0), nullif(call_cancelled, 0), nullif(call_failed, 0),
        nullif(ended_unknown, 0), nullif(answered_human, 0), nullif(answered_machine, 0),
        nullif(answered_unknown, 0), nullif(dropped, 0), nullif(connected_ms, 0), nullif(talk_ms,
        0), nullif(hold_ms, 0), nullif(queue_wait_ms, 0), nullif(queue_joins, 0),
        nullif(queue_abandoned, 0), nullif(queue_timeouts, 0), nullif(queue_waiting, 0),
        nullif(connects, 0), nullif(ring_no_answer, 0)
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, campaign AS campaign, number AS number,
        market AS market,
        sum(contacts)::bigint AS contacts, sum(attempts)::bigint AS attempts, sum(queued)::bigint AS
        queued, sum(accepted)::bigint AS accepted, sum(failed_at_send)::bigint AS failed_at_send,
        sum(skipped)::bigint AS skipped, sum(cancelled)::bigint AS cancelled,
        sum(duplicates)::bigint AS duplicates, sum(claimed_elsewhere)::bigint AS claimed_elsewhere,
        sum(sent)::bigint AS sent, sum(delivered)::bigint AS delivered,
        sum(delivered_implied)::bigint AS delivered_implied, sum(delivered_late)::bigint AS
        delivered_late, sum(read)::bigint AS read, sum(read_late)::bigint AS read_late,
        sum(failed_after_send)::bigint AS failed_after_send, sum(failed_then_delivered)::bigint AS
        failed_then_delivered, sum(contacts_accepted)::bigint AS contacts_accepted,
        sum(replied)::bigint AS replied, sum(replied_last_touch)::bigint AS replied_last_touch,
        sum(replied_quoted)::bigint AS replied_quoted, sum(clicked)::bigint AS clicked,
        sum(clicked_implied)::bigint AS clicked_implied, sum(requested)::bigint AS requested,
        sum(attempted)::bigint AS attempted, sum(answered)::bigint AS answered, sum(busy)::bigint AS
        busy, sum(no_answer)::bigint AS no_answer, sum(rejected)::bigint AS rejected,
        sum(unreachable)::bigint AS unreachable, sum(congestion)::bigint AS congestion,
        sum(call_cancelled)::bigint AS call_cancelled, sum(call_failed)::bigint AS call_failed,
        sum(ended_unknown)::bigint AS ended_unknown, sum(answered_human)::bigint AS answered_human,
        sum(answered_machine)::bigint AS answered_machine, sum(answered_unknown)::bigint AS
        answered_unknown, sum(dropped)::bigint AS dropped, sum(connected_ms)::bigint AS
        connected_ms, sum(talk_ms)::bigint AS talk_ms, sum(hold_ms)::bigint AS hold_ms,
        sum(queue_wait_ms)::bigint AS queue_wait_ms, sum(queue_joins)::bigint AS queue_joins,
        sum(queue_abandoned)::bigint AS queue_abandoned, sum(queue_timeouts)::bigint AS
        queue_timeouts, sum(queue_waiting)::bigint AS queue_waiting, sum(connects)::bigint AS
        connects, sum(ring_no_answer)::bigint AS ring_no_answer
    FROM moved GROUP BY 1, 2, 3, 4, 5, 6, 7
) AS added
WHERE (contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, campaign, number, market
ON CONFLICT (generation, partition, tenant, campaign, number, market) DO UPDATE
SET contacts = nullif(coalesce(excluded.contacts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts, 0) ELSE 0 END, 0), attempts = nullif(coalesce(excluded.attempts, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempts, 0) ELSE 0 END, 0),
        queued = nullif(coalesce(excluded.queued, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queued, 0) ELSE 0 END, 0), accepted = nullif(coalesce(excluded.accepted, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.accepted, 0) ELSE 0 END, 0),
        failed_at_send = nullif(coalesce(excluded.failed_at_send, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.failed_at_send, 0) ELSE 0 END, 0), skipped =
        nullif(coalesce(excluded.skipped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.skipped, 0) ELSE 0 END, 0), cancelled = nullif(coalesce(excluded.cancelled, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.cancelled, 0) ELSE 0 END, 0),
        duplicates = nullif(coalesce(excluded.duplicates, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.duplicates, 0) ELSE 0 END, 0), claimed_elsewhere =
        nullif(coalesce(excluded.claimed_elsewhere, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.claimed_elsewhere, 0) ELSE 0 END, 0), sent = nullif(coalesce(excluded.sent, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, 0),
        delivered = nullif(coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.delivered, 0) ELSE 0 END, 0), delivered_implied =
        nullif(coalesce(excluded.delivered_implied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_implied, 0) ELSE 0 END, 0), delivered_late =
        nullif(coalesce(excluded.delivered_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_late, 0) ELSE 0 END, 0), read = nullif(coalesce(excluded.read, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, 0), read_late
        = nullif(coalesce(excluded.read_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.read_late, 0) ELSE 0 END, 0), failed_after_send =
        nullif(coalesce(excluded.failed_after_send, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed_after_send, 0) ELSE 0 END, 0), failed_then_delivered =
        nullif(coalesce(excluded.failed_then_delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.failed_then_delivered, 0) ELSE 0 END, 0), contacts_accepted =
        nullif(coalesce(excluded.contacts_accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts_accepted, 0) ELSE 0 END, 0), replied =
        nullif(coalesce(excluded.replied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied, 0) ELSE 0 END, 0), replied_last_touch =
        nullif(coalesce(excluded.replied_last_touch, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_last_touch, 0) ELSE 0 END, 0), replied_quoted =
        nullif(coalesce(excluded.replied_quoted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_quoted, 0) ELSE 0 END, 0), clicked = nullif(coalesce(excluded.clicked,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.clicked, 0) ELSE 0 END, 0),
        clicked_implied = nullif(coalesce(excluded.clicked_implied, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.clicked_implied, 0) ELSE 0 END, 0), requested =
        nullif(coalesce(excluded.requested, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.requested, 0) ELSE 0 END, 0), attempted = nullif(coalesce(excluded.attempted,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, 0),
        answered = nullif(coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.answered, 0) ELSE 0 END, 0), busy = nullif(coalesce(excluded.busy, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.busy, 0) ELSE 0 END, 0), no_answer
        = nullif(coalesce(excluded.no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.no_answer, 0) ELSE 0 END, 0), rejected = nullif(coalesce(excluded.rejected, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.rejected, 0) ELSE 0 END, 0),
        unreachable = nullif(coalesce(excluded.unreachable, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.unreachable, 0) ELSE 0 END, 0), congestion =
        nullif(coalesce(excluded.congestion, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.congestion, 0) ELSE 0 END, 0), call_cancelled =
        nullif(coalesce(excluded.call_cancelled, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_cancelled, 0) ELSE 0 END, 0), call_failed =
        nullif(coalesce(excluded.call_failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_failed, 0) ELSE 0 END, 0), ended_unknown =
        nullif(coalesce(excluded.ended_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ended_unknown, 0) ELSE 0 END, 0), answered_human =
        nullif(coalesce(excluded.answered_human, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_human, 0) ELSE 0 END, 0), answered_machine =
        nullif(coalesce(excluded.answered_machine, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_machine, 0) ELSE 0 END, 0), answered_unknown =
        nullif(coalesce(excluded.answered_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_unknown, 0) ELSE 0 END, 0), dropped =
        nullif(coalesce(excluded.dropped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.dropped, 0) ELSE 0 END, 0), connected_ms =
        nullif(coalesce(excluded.connected_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connected_ms, 0) ELSE 0 END, 0), talk_ms = nullif(coalesce(excluded.talk_ms,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.talk_ms, 0) ELSE 0 END, 0),
        hold_ms = nullif(coalesce(excluded.hold_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.hold_ms, 0) ELSE 0 END, 0), queue_wait_ms =
        nullif(coalesce(excluded.queue_wait_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_wait_ms, 0) ELSE 0 END, 0), queue_joins =
        nullif(coalesce(excluded.queue_joins, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_joins, 0) ELSE 0 END, 0), queue_abandoned =
        nullif(coalesce(excluded.queue_abandoned, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_abandoned, 0) ELSE 0 END, 0), queue_timeouts =
        nullif(coalesce(excluded.queue_timeouts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_timeouts, 0) ELSE 0 END, 0), queue_waiting =
        nullif(coalesce(excluded.queue_waiting, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_waiting, 0) ELSE 0 END, 0), connects =
        nullif(coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, 0), ring_no_answer =
        nullif(coalesce(excluded.ring_no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ring_no_answer, 0) ELSE 0 END, 0), epoch = excluded.epoch
)
INSERT INTO tally.cells_by_hour AS held (generation, partition, epoch, tenant, campaign, month,
        slot, contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer)
SELECT generation, partition, epoch, tenant, campaign, month, slot, nullif(contacts, 0),
        nullif(attempts, 0), nullif(queued, 0), nullif(accepted, 0), nullif(failed_at_send, 0),
        nullif(skipped, 0), nullif(cancelled, 0), nullif(duplicates, 0), nullif(claimed_elsewhere,
        0), nullif(sent, 0), nullif(delivered, 0), nullif(delivered_implied, 0),
        nullif(delivered_late, 0), nullif(read, 0), nullif(read_late, 0), nullif(failed_after_send,
        0), nullif(failed_then_delivered, 0), nullif(contacts_accepted, 0), nullif(replied, 0),
        nullif(replied_last_touch, 0), nullif(replied_quoted, 0), nullif(clicked, 0),
        nullif(clicked_implied, 0), nullif(requested, 0), nullif(attempted, 0), nullif(answered, 0),
        nullif(busy, 0), nullif(no_answer, 0), nullif(rejected, 0), nullif(unreachable, 0),
        nullif(congestion, 0), nullif(call_cancelled, 0), nullif(call_failed, 0),
        nullif(ended_unknown, 0), nullif(answered_human, 0), nullif(answered_machine, 0),
        nullif(answered_unknown, 0), nullif(dropped, 0), nullif(connected_ms, 0), nullif(talk_ms,
        0), nullif(hold_ms, 0), nullif(queue_wait_ms, 0), nullif(queue_joins, 0),
        nullif(queue_abandoned, 0), nullif(queue_timeouts, 0), nullif(queue_waiting, 0),
        nullif(connects, 0), nullif(ring_no_answer, 0)
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, campaign AS campaign, date_trunc('month',
        to_timestamp(quarter * 900) AT TIME ZONE 'UTC')::date AS month, (quarter % 96)::smallint AS
        slot,
        sum(contacts)::bigint AS contacts, sum(attempts)::bigint AS attempts, sum(queued)::bigint AS
        queued, sum(accepted)::bigint AS accepted, sum(failed_at_send)::bigint AS failed_at_send,
        sum(skipped)::bigint AS skipped, sum(cancelled)::bigint AS cancelled,
        sum(duplicates)::bigint AS duplicates, sum(claimed_elsewhere)::bigint AS claimed_elsewhere,
        sum(sent)::bigint AS sent, sum(delivered)::bigint AS delivered,
        sum(delivered_implied)::bigint AS delivered_implied, sum(delivered_late)::bigint AS
        delivered_late, sum(read)::bigint AS read, sum(read_late)::bigint AS read_late,
        sum(failed_after_send)::bigint AS failed_after_send, sum(failed_then_delivered)::bigint AS
        failed_then_delivered, sum(contacts_accepted)::bigint AS contacts_accepted,
        sum(replied)::bigint AS replied, sum(replied_last_touch)::bigint AS replied_last_touch,
        sum(replied_quoted)::bigint AS replied_quoted, sum(clicked)::bigint AS clicked,
        sum(clicked_implied)::bigint AS clicked_implied, sum(requested)::bigint AS requested,
        sum(attempted)::bigint AS attempted, sum(answered)::bigint AS answered, sum(busy)::bigint AS
        busy, sum(no_answer)::bigint AS no_answer, sum(rejected)::bigint AS rejected,
        sum(unreachable)::bigint AS unreachable, sum(congestion)::bigint AS congestion,
        sum(call_cancelled)::bigint AS call_cancelled, sum(call_failed)::bigint AS call_failed,
        sum(ended_unknown)::bigint AS ended_unknown, sum(answered_human)::bigint AS answered_human,
        sum(answered_machine)::bigint AS answered_machine, sum(answered_unknown)::bigint AS
        answered_unknown, sum(dropped)::bigint AS dropped, sum(connected_ms)::bigint AS
        connected_ms, sum(talk_ms)::bigint AS talk_ms, sum(hold_ms)::bigint AS hold_ms,
        sum(queue_wait_ms)::bigint AS queue_wait_ms, sum(queue_joins)::bigint AS queue_joins,
        sum(queue_abandoned)::bigint AS queue_abandoned, sum(queue_timeouts)::bigint AS
        queue_timeouts, sum(queue_waiting)::bigint AS queue_waiting, sum(connects)::bigint AS
        connects, sum(ring_no_answer)::bigint AS ring_no_answer
    FROM moved GROUP BY 1, 2, 3, 4, 5, 6, 7
) AS added
WHERE (contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, campaign, month, slot
ON CONFLICT (generation, partition, tenant, campaign, month, slot) DO UPDATE
SET contacts = nullif(coalesce(excluded.contacts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts, 0) ELSE 0 END, 0), attempts = nullif(coalesce(excluded.attempts, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempts, 0) ELSE 0 END, 0),
        queued = nullif(coalesce(excluded.queued, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queued, 0) ELSE 0 END, 0), accepted = nullif(coalesce(excluded.accepted, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.accepted, 0) ELSE 0 END, 0),
        failed_at_send = nullif(coalesce(excluded.failed_at_send, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.failed_at_send, 0) ELSE 0 END, 0), skipped =
        nullif(coalesce(excluded.skipped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.skipped, 0) ELSE 0 END, 0), cancelled = nullif(coalesce(excluded.cancelled, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.cancelled, 0) ELSE 0 END, 0),
        duplicates = nullif(coalesce(excluded.duplicates, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.duplicates, 0) ELSE 0 END, 0), claimed_elsewhere =
        nullif(coalesce(excluded.claimed_elsewhere, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.claimed_elsewhere, 0) ELSE 0 END, 0), sent = nullif(coalesce(excluded.sent, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, 0),
        delivered = nullif(coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.delivered, 0) ELSE 0 END, 0), delivered_implied =
        nullif(coalesce(excluded.delivered_implied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_implied, 0) ELSE 0 END, 0), delivered_late =
        nullif(coalesce(excluded.delivered_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered_late, 0) ELSE 0 END, 0), read = nullif(coalesce(excluded.read, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, 0), read_late
        = nullif(coalesce(excluded.read_late, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.read_late, 0) ELSE 0 END, 0), failed_after_send =
        nullif(coalesce(excluded.failed_after_send, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed_after_send, 0) ELSE 0 END, 0), failed_then_delivered =
        nullif(coalesce(excluded.failed_then_delivered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.failed_then_delivered, 0) ELSE 0 END, 0), contacts_accepted =
        nullif(coalesce(excluded.contacts_accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.contacts_accepted, 0) ELSE 0 END, 0), replied =
        nullif(coalesce(excluded.replied, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied, 0) ELSE 0 END, 0), replied_last_touch =
        nullif(coalesce(excluded.replied_last_touch, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_last_touch, 0) ELSE 0 END, 0), replied_quoted =
        nullif(coalesce(excluded.replied_quoted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.replied_quoted, 0) ELSE 0 END, 0), clicked = nullif(coalesce(excluded.clicked,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.clicked, 0) ELSE 0 END, 0),
        clicked_implied = nullif(coalesce(excluded.clicked_implied, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.clicked_implied, 0) ELSE 0 END, 0), requested =
        nullif(coalesce(excluded.requested, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.requested, 0) ELSE 0 END, 0), attempted = nullif(coalesce(excluded.attempted,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, 0),
        answered = nullif(coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch
        THEN coalesce(held.answered, 0) ELSE 0 END, 0), busy = nullif(coalesce(excluded.busy, 0) +
        CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.busy, 0) ELSE 0 END, 0), no_answer
        = nullif(coalesce(excluded.no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.no_answer, 0) ELSE 0 END, 0), rejected = nullif(coalesce(excluded.rejected, 0)
        + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.rejected, 0) ELSE 0 END, 0),
        unreachable = nullif(coalesce(excluded.unreachable, 0) + CASE WHEN held.epoch =
        excluded.epoch THEN coalesce(held.unreachable, 0) ELSE 0 END, 0), congestion =
        nullif(coalesce(excluded.congestion, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.congestion, 0) ELSE 0 END, 0), call_cancelled =
        nullif(coalesce(excluded.call_cancelled, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_cancelled, 0) ELSE 0 END, 0), call_failed =
        nullif(coalesce(excluded.call_failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.call_failed, 0) ELSE 0 END, 0), ended_unknown =
        nullif(coalesce(excluded.ended_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ended_unknown, 0) ELSE 0 END, 0), answered_human =
        nullif(coalesce(excluded.answered_human, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_human, 0) ELSE 0 END, 0), answered_machine =
        nullif(coalesce(excluded.answered_machine, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_machine, 0) ELSE 0 END, 0), answered_unknown =
        nullif(coalesce(excluded.answered_unknown, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered_unknown, 0) ELSE 0 END, 0), dropped =
        nullif(coalesce(excluded.dropped, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.dropped, 0) ELSE 0 END, 0), connected_ms =
        nullif(coalesce(excluded.connected_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connected_ms, 0) ELSE 0 END, 0), talk_ms = nullif(coalesce(excluded.talk_ms,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.talk_ms, 0) ELSE 0 END, 0),
        hold_ms = nullif(coalesce(excluded.hold_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.hold_ms, 0) ELSE 0 END, 0), queue_wait_ms =
        nullif(coalesce(excluded.queue_wait_ms, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_wait_ms, 0) ELSE 0 END, 0), queue_joins =
        nullif(coalesce(excluded.queue_joins, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_joins, 0) ELSE 0 END, 0), queue_abandoned =
        nullif(coalesce(excluded.queue_abandoned, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_abandoned, 0) ELSE 0 END, 0), queue_timeouts =
        nullif(coalesce(excluded.queue_timeouts, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_timeouts, 0) ELSE 0 END, 0), queue_waiting =
        nullif(coalesce(excluded.queue_waiting, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.queue_waiting, 0) ELSE 0 END, 0), connects =
        nullif(coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, 0), ring_no_answer =
        nullif(coalesce(excluded.ring_no_answer, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.ring_no_answer, 0) ELSE 0 END, 0), epoch = excluded.epoch;
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS cells_came ON tally.cells;
CREATE TRIGGER cells_came AFTER INSERT ON tally.cells
REFERENCING NEW TABLE AS came_now
FOR EACH STATEMENT EXECUTE FUNCTION tally.add_up_cells();
DROP TRIGGER IF EXISTS cells_changed ON tally.cells;
CREATE TRIGGER cells_changed AFTER UPDATE ON tally.cells
REFERENCING OLD TABLE AS gone_now NEW TABLE AS came_now
FOR EACH STATEMENT EXECUTE FUNCTION tally.add_up_cells();
DROP TRIGGER IF EXISTS cells_went ON tally.cells;
CREATE TRIGGER cells_went AFTER DELETE ON tally.cells
REFERENCING OLD TABLE AS gone_now
FOR EACH STATEMENT EXECUTE FUNCTION tally.add_up_cells();

-- What changes in tally.activity is added to its sums, by a plan that a connection makes once.
-- What is not of its partition's epoch counts for nothing, there as here.
CREATE OR REPLACE FUNCTION tally.add_up_activity() RETURNS trigger LANGUAGE plpgsql
AS $$
DECLARE
    came tally.activity[];
    gone tally.activity[];
BEGIN
    IF TG_OP <> 'DELETE' THEN
        came := ARRAY(
            SELECT ROW(changed.*)::tally.activity FROM came_now AS changed
            JOIN tally.sink_progress USING (generation, partition, epoch)
            WHERE campaign <> ''
        );
    END IF;
    IF TG_OP <> 'INSERT' THEN
        gone := ARRAY(
            SELECT ROW(changed.*)::tally.activity FROM gone_now AS changed
            JOIN tally.sink_progress USING (generation, partition, epoch)
            WHERE campaign <> ''
        );
    END IF;
    IF cardinality(came) > 0 OR cardinality(gone) > 0 THEN
        WITH changed AS (
    SELECT generation, partition, epoch, tenant, campaign, (extract(epoch FROM quarter)::bigint /
        900) AS quarter, accepted, sent, delivered, read, failed, replied, clicked, attempted,
        answered, dropped, connects, queue_abandoned FROM unnest(came)
    UNION ALL
    SELECT generation, partition, epoch, tenant, campaign, (extract(epoch FROM quarter)::bigint /
        900) AS quarter, -accepted AS accepted, -sent AS sent, -delivered AS delivered, -read AS
        read, -failed AS failed, -replied AS replied, -clicked AS clicked, -attempted AS attempted,
        -answered AS answered, -dropped AS dropped, -connects AS connects, -queue_abandoned AS
        queue_abandoned FROM unnest(gone)
), moved AS MATERIALIZED (
    SELECT generation, partition, epoch, tenant, campaign, quarter, coalesce(sum(accepted),
        0)::bigint AS accepted, coalesce(sum(sent), 0)::bigint AS sent, coalesce(sum(delivered),
        0)::bigint AS delivered, coalesce(sum(read), 0)::bigint AS read, coalesce(sum(failed),
        0)::bigint AS failed, coalesce(sum(replied), 0)::bigint AS replied, coalesce(sum(clicked),
        0)::bigint AS clicked, coalesce(sum(attempted), 0)::bigint AS attempted,
        coalesce(sum(answered), 0)::bigint AS answered, coalesce(sum(dropped), 0)::bigint AS
        dropped, coalesce(sum(connects), 0)::bigint AS connects, coalesce(sum(queue_abandoned),
        0)::bigint AS queue_abandoned
    FROM changed GROUP BY generation, partition, epoch, tenant, campaign, quarter
), added_0 AS (
INSERT INTO tally.activity_sums AS held (generation, partition, epoch, tenant, campaign, quarter,
        accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped,
        connects, queue_abandoned)
SELECT generation, partition, epoch, tenant, campaign, quarter, accepted, sent, delivered, read,
        failed, replied, clicked, attempted, answered, dropped, connects, queue_abandoned
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, campaign AS campaign,
        to_timestamp(quarter * 900) AS quarter,
        sum(accepted)::bigint AS accepted, sum(sent)::bigint AS sent, sum(delivered)::bigint AS
        delivered, sum(read)::bigint AS read, sum(failed)::bigint AS failed, sum(replied)::bigint AS
        replied, sum(clicked)::bigint AS clicked, sum(attempted)::bigint AS attempted,
        sum(answered)::bigint AS answered, sum(dropped)::bigint AS dropped, sum(connects)::bigint AS
        connects, sum(queue_abandoned)::bigint AS queue_abandoned
    FROM moved GROUP BY 1, 2, 3, 4, 5, 6
) AS added
WHERE (accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped,
        connects, queue_abandoned) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, campaign, quarter
ON CONFLICT (generation, partition, tenant, campaign, quarter) DO UPDATE
SET accepted = coalesce(excluded.accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.accepted, 0) ELSE 0 END, sent = coalesce(excluded.sent, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, delivered =
        coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered, 0) ELSE 0 END, read = coalesce(excluded.read, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, failed =
        coalesce(excluded.failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed, 0) ELSE 0 END, replied = coalesce(excluded.replied, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.replied, 0) ELSE 0 END, clicked =
        coalesce(excluded.clicked, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.clicked, 0) ELSE 0 END, attempted = coalesce(excluded.attempted, 0) + CASE
        WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, answered =
        coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered, 0) ELSE 0 END, dropped = coalesce(excluded.dropped, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.dropped, 0) ELSE 0 END, connects =
        coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, queue_abandoned = coalesce(excluded.queue_abandoned,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.queue_abandoned, 0) ELSE 0
        END, epoch = excluded.epoch
), added_1 AS (
INSERT INTO tally.tenant_activity_sums AS held (generation, partition, epoch, tenant, quarter,
        accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped,
        connects, queue_abandoned)
SELECT generation, partition, epoch, tenant, quarter, accepted, sent, delivered, read, failed,
        replied, clicked, attempted, answered, dropped, connects, queue_abandoned
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, to_timestamp(quarter * 900) AS quarter,
        sum(accepted)::bigint AS accepted, sum(sent)::bigint AS sent, sum(delivered)::bigint AS
        delivered, sum(read)::bigint AS read, sum(failed)::bigint AS failed, sum(replied)::bigint AS
        replied, sum(clicked)::bigint AS clicked, sum(attempted)::bigint AS attempted,
        sum(answered)::bigint AS answered, sum(dropped)::bigint AS dropped, sum(connects)::bigint AS
        connects, sum(queue_abandoned)::bigint AS queue_abandoned
    FROM moved GROUP BY 1, 2, 3, 4, 5
) AS added
WHERE (accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped,
        connects, queue_abandoned) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, quarter
ON CONFLICT (generation, partition, tenant, quarter) DO UPDATE
SET accepted = coalesce(excluded.accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.accepted, 0) ELSE 0 END, sent = coalesce(excluded.sent, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, delivered =
        coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered, 0) ELSE 0 END, read = coalesce(excluded.read, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, failed =
        coalesce(excluded.failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed, 0) ELSE 0 END, replied = coalesce(excluded.replied, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.replied, 0) ELSE 0 END, clicked =
        coalesce(excluded.clicked, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.clicked, 0) ELSE 0 END, attempted = coalesce(excluded.attempted, 0) + CASE
        WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, answered =
        coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered, 0) ELSE 0 END, dropped = coalesce(excluded.dropped, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.dropped, 0) ELSE 0 END, connects =
        coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, queue_abandoned = coalesce(excluded.queue_abandoned,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.queue_abandoned, 0) ELSE 0
        END, epoch = excluded.epoch
), added_2 AS (
INSERT INTO tally.activity_hours AS held (generation, partition, epoch, tenant, campaign, hour,
        accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped,
        connects, queue_abandoned)
SELECT generation, partition, epoch, tenant, campaign, hour, accepted, sent, delivered, read,
        failed, replied, clicked, attempted, answered, dropped, connects, queue_abandoned
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, campaign AS campaign,
        to_timestamp(quarter / 4 * 3600) AS hour,
        sum(accepted)::bigint AS accepted, sum(sent)::bigint AS sent, sum(delivered)::bigint AS
        delivered, sum(read)::bigint AS read, sum(failed)::bigint AS failed, sum(replied)::bigint AS
        replied, sum(clicked)::bigint AS clicked, sum(attempted)::bigint AS attempted,
        sum(answered)::bigint AS answered, sum(dropped)::bigint AS dropped, sum(connects)::bigint AS
        connects, sum(queue_abandoned)::bigint AS queue_abandoned
    FROM moved GROUP BY 1, 2, 3, 4, 5, 6
) AS added
WHERE (accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped,
        connects, queue_abandoned) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, campaign, hour
ON CONFLICT (generation, partition, tenant, campaign, hour) DO UPDATE
SET accepted = coalesce(excluded.accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.accepted, 0) ELSE 0 END, sent = coalesce(excluded.sent, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, delivered =
        coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered, 0) ELSE 0 END, read = coalesce(excluded.read, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, failed =
        coalesce(excluded.failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed, 0) ELSE 0 END, replied = coalesce(excluded.replied, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.replied, 0) ELSE 0 END, clicked =
        coalesce(excluded.clicked, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.clicked, 0) ELSE 0 END, attempted = coalesce(excluded.attempted, 0) + CASE
        WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, answered =
        coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered, 0) ELSE 0 END, dropped = coalesce(excluded.dropped, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.dropped, 0) ELSE 0 END, connects =
        coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, queue_abandoned = coalesce(excluded.queue_abandoned,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.queue_abandoned, 0) ELSE 0
        END, epoch = excluded.epoch
)
INSERT INTO tally.tenant_activity_hours AS held (generation, partition, epoch, tenant, hour,
        accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped,
        connects, queue_abandoned)
SELECT generation, partition, epoch, tenant, hour, accepted, sent, delivered, read, failed, replied,
        clicked, attempted, answered, dropped, connects, queue_abandoned
FROM (
    SELECT generation, partition, epoch, tenant AS tenant, to_timestamp(quarter / 4 * 3600) AS hour,
        sum(accepted)::bigint AS accepted, sum(sent)::bigint AS sent, sum(delivered)::bigint AS
        delivered, sum(read)::bigint AS read, sum(failed)::bigint AS failed, sum(replied)::bigint AS
        replied, sum(clicked)::bigint AS clicked, sum(attempted)::bigint AS attempted,
        sum(answered)::bigint AS answered, sum(dropped)::bigint AS dropped, sum(connects)::bigint AS
        connects, sum(queue_abandoned)::bigint AS queue_abandoned
    FROM moved GROUP BY 1, 2, 3, 4, 5
) AS added
WHERE (accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped,
        connects, queue_abandoned) IS DISTINCT FROM (0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint)
ORDER BY tenant, hour
ON CONFLICT (generation, partition, tenant, hour) DO UPDATE
SET accepted = coalesce(excluded.accepted, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.accepted, 0) ELSE 0 END, sent = coalesce(excluded.sent, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.sent, 0) ELSE 0 END, delivered =
        coalesce(excluded.delivered, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.delivered, 0) ELSE 0 END, read = coalesce(excluded.read, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.read, 0) ELSE 0 END, failed =
        coalesce(excluded.failed, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.failed, 0) ELSE 0 END, replied = coalesce(excluded.replied, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.replied, 0) ELSE 0 END, clicked =
        coalesce(excluded.clicked, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.clicked, 0) ELSE 0 END, attempted = coalesce(excluded.attempted, 0) + CASE
        WHEN held.epoch = excluded.epoch THEN coalesce(held.attempted, 0) ELSE 0 END, answered =
        coalesce(excluded.answered, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.answered, 0) ELSE 0 END, dropped = coalesce(excluded.dropped, 0) + CASE WHEN
        held.epoch = excluded.epoch THEN coalesce(held.dropped, 0) ELSE 0 END, connects =
        coalesce(excluded.connects, 0) + CASE WHEN held.epoch = excluded.epoch THEN
        coalesce(held.connects, 0) ELSE 0 END, queue_abandoned = coalesce(excluded.queue_abandoned,
        0) + CASE WHEN held.epoch = excluded.epoch THEN coalesce(held.queue_abandoned, 0) ELSE 0
        END, epoch = excluded.epoch;
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER IF EXISTS activity_came ON tally.activity;
CREATE TRIGGER activity_came AFTER INSERT ON tally.activity
REFERENCING NEW TABLE AS came_now
FOR EACH STATEMENT EXECUTE FUNCTION tally.add_up_activity();
DROP TRIGGER IF EXISTS activity_changed ON tally.activity;
CREATE TRIGGER activity_changed AFTER UPDATE ON tally.activity
REFERENCING OLD TABLE AS gone_now NEW TABLE AS came_now
FOR EACH STATEMENT EXECUTE FUNCTION tally.add_up_activity();
DROP TRIGGER IF EXISTS activity_went ON tally.activity;
CREATE TRIGGER activity_went AFTER DELETE ON tally.activity
REFERENCING OLD TABLE AS gone_now
FOR EACH STATEMENT EXECUTE FUNCTION tally.add_up_activity();

DROP FUNCTION IF EXISTS tally.campaign_days(text, text, text, date, date);
DROP FUNCTION IF EXISTS tally.campaign_activity_days(text, text, text, date, date);
DROP FUNCTION IF EXISTS tally.tenant_days(text, text, date, date);
DROP FUNCTION IF EXISTS tally.tenant_activity_days(text, text, date, date);
DROP FUNCTION IF EXISTS tally.operator_days(text, text, text, text, date, date);
DROP FUNCTION IF EXISTS tally.queue_days(text, text, text, date, date);
DROP VIEW IF EXISTS tally.operator_stats;
DROP VIEW IF EXISTS tally.campaign_stats;
DROP VIEW IF EXISTS tally.campaign_template_stats;
DROP VIEW IF EXISTS tally.cuts;

-- Each row is of a partition: which moment of the fold it shows. One that is not read yet has no moment.
CREATE VIEW tally.cuts AS
SELECT
    generation,
    partition,
    coalesce(seq, 0) AS seq,
    to_timestamp(cut_at_ms / 1000.0) AS cut_at,
    NOT coalesce(is_cut AND is_pruned, is_empty) AS catching_up,
    (
        SELECT count(*) FROM tally.withheld
        WHERE withheld.generation = known.generation AND withheld.partition = known.partition
    ) AS withheld
FROM (SELECT * FROM tally.partitions FULL JOIN tally.sink_progress USING (generation, partition)) AS known
WHERE generation = (SELECT generation FROM tally.current_generation);

-- Each row is of a template of a campaign, or the script of a voice campaign.
-- Those that came to zeros do not show.
CREATE VIEW tally.campaign_template_stats AS
SELECT
    tenant,
    campaign,
    template_name,
    template_language,
    CASE
        WHEN bool_or('voice' = ANY (channels)) AND NOT bool_or('whatsapp' = ANY (channels)) THEN 'voice'
        ELSE 'whatsapp'
    END AS channel,
    tally.smallest_of(jsonb_agg(to_jsonb(labels)), 8) AS template_ids,
    sum(contacts)::bigint AS contacts,
    sum(attempts)::bigint AS attempts,
    sum(queued)::bigint AS queued,
    sum(accepted)::bigint AS accepted,
    sum(failed_at_send)::bigint AS failed_at_send,
    sum(skipped)::bigint AS skipped,
    sum(cancelled)::bigint AS cancelled,
    sum(duplicates)::bigint AS duplicates,
    sum(claimed_elsewhere)::bigint AS claimed_elsewhere,
    sum(sent)::bigint AS sent,
    sum(delivered)::bigint AS delivered,
    sum(delivered_implied)::bigint AS delivered_implied,
    sum(delivered_late)::bigint AS delivered_late,
    sum(read)::bigint AS read,
    sum(read_late)::bigint AS read_late,
    sum(failed_after_send)::bigint AS failed_after_send,
    sum(failed_then_delivered)::bigint AS failed_then_delivered,
    sum(failed_at_send + failed_after_send)::bigint AS failed,
    sum(accepted - delivered - failed_after_send)::bigint AS in_flight,
    sum(contacts_accepted)::bigint AS contacts_accepted,
    sum(replied)::bigint AS replied,
    sum(replied_last_touch)::bigint AS replied_last_touch,
    sum(replied_quoted)::bigint AS replied_quoted,
    sum(clicked)::bigint AS clicked,
    sum(clicked_implied)::bigint AS clicked_implied,
    sum(requested)::bigint AS requested,
    sum(attempted)::bigint AS attempted,
    sum(answered)::bigint AS answered,
    sum(busy)::bigint AS busy,
    sum(no_answer)::bigint AS no_answer,
    sum(rejected)::bigint AS rejected,
    sum(unreachable)::bigint AS unreachable,
    sum(congestion)::bigint AS congestion,
    sum(call_cancelled)::bigint AS call_cancelled,
    sum(call_failed)::bigint AS call_failed,
    sum(ended_unknown)::bigint AS ended_unknown,
    sum(answered_human)::bigint AS answered_human,
    sum(answered_machine)::bigint AS answered_machine,
    sum(answered_unknown)::bigint AS answered_unknown,
    sum(dropped)::bigint AS dropped,
    sum(connected_ms)::bigint AS connected_ms,
    sum(talk_ms)::bigint AS talk_ms,
    sum(hold_ms)::bigint AS hold_ms,
    sum(queue_wait_ms)::bigint AS queue_wait_ms,
    sum(queue_joins)::bigint AS queue_joins,
    sum(queue_abandoned)::bigint AS queue_abandoned,
    sum(queue_timeouts)::bigint AS queue_timeouts,
    sum(queue_waiting)::bigint AS queue_waiting,
    sum(connects)::bigint AS connects,
    sum(ring_no_answer)::bigint AS ring_no_answer,
    tally.sum_entries(jsonb_agg(errors)) AS errors,
    tally.sum_entries(jsonb_agg(pricing)) AS pricing,
    tally.sum_entries(jsonb_agg(pricing_delivered)) AS pricing_delivered,
    tally.sum_entries(jsonb_agg(hangup_causes)) AS hangup_causes,
    tally.sum_entries(jsonb_agg(queues)) AS queues,
    tally.sum_entries(jsonb_agg(queue_waits)) AS queue_waits,
    tally.summarise_seconds(jsonb_agg(time_to_deliver)) AS time_to_deliver,
    tally.summarise_seconds(jsonb_agg(time_to_read)) AS time_to_read,
    sum(delivered)::bigint::double precision
        / nullif(sum(accepted)::bigint, 0) AS delivery_rate,
    sum(read)::bigint::double precision
        / nullif(sum(delivered)::bigint, 0) AS read_rate,
    sum(replied)::bigint::double precision
        / nullif(sum(contacts_accepted)::bigint, 0) AS reply_rate,
    sum(failed_at_send + failed_after_send)::bigint::double precision
        / nullif(sum(attempts)::bigint, 0) AS failure_rate,
    sum(answered)::bigint::double precision
        / nullif(sum(attempted)::bigint, 0) AS answer_rate,
    sum(dropped)::bigint::double precision
        / nullif(sum(answered_human)::bigint, 0) AS drop_rate,
    sum(queue_abandoned)::bigint::double precision
        / nullif(sum(queue_joins)::bigint, 0) AS abandon_rate,
    sum(clicked)::bigint::double precision
        / nullif(sum(delivered)::bigint, 0) AS click_rate,
    to_timestamp(min(first_ms) / 1000.0) AS first_activity,
    to_timestamp(max(last_ms) / 1000.0) AS last_activity,
    max(updated_at) AS updated_at,
    (SELECT coalesce(bool_or(catching_up), true) FROM tally.cuts) AS catching_up,
    (
        SELECT count(*) FROM tally.withheld
        WHERE generation = (SELECT generation FROM tally.current_generation)
            AND tenant = convert_to(counters.tenant, 'UTF8')
            AND campaign = convert_to(counters.campaign, 'UTF8')
    ) AS withheld
FROM tally.counters
WHERE generation = (SELECT generation FROM tally.current_generation)
    AND grain = 'template'
GROUP BY tenant, campaign, template_name, template_language
HAVING bool_or(
    greatest(
        contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer
    ) > 0
    OR errors <> '{}' OR pricing <> '{}' OR pricing_delivered <> '{}' OR hangup_causes <> '{}' OR
    queues <> '{}' OR queue_waits <> '{}' OR time_to_deliver <> '{}' OR time_to_read <> '{}'
);

-- Each row is of a campaign.
-- Those that came to zeros do not show.
CREATE VIEW tally.campaign_stats AS
SELECT
    tenant,
    campaign,
    CASE
        WHEN bool_or('voice' = ANY (channels)) AND NOT bool_or('whatsapp' = ANY (channels)) THEN 'voice'
        ELSE 'whatsapp'
    END AS channel,
    (tally.entries_of(tally.sum_entries(jsonb_agg(description)), 'name='))[1] AS name,
    (tally.entries_of(tally.sum_entries(jsonb_agg(description)), 'status='))[1] AS status,
    to_jsonb(tally.entries_of(tally.sum_entries(jsonb_agg(description)), 'tag=')) AS tags,
    (tally.entries_of(tally.sum_entries(jsonb_agg(description)), 'planned='))[1]::bigint AS planned,
    jsonb_strip_nulls(jsonb_build_object(
        'per_day', (tally.entries_of(tally.sum_entries(jsonb_agg(description)), 'limit.per_day='))[1]::bigint,
        'per_second', (tally.entries_of(tally.sum_entries(jsonb_agg(description)), 'limit.per_second='))[1]::bigint
    )) AS limits,
    tally.smallest_of(jsonb_agg(to_jsonb(labels)), NULL) AS template_ids,
    coalesce(sum(contacts) FILTER (WHERE grain = 'template'), 0)::bigint AS contacts,
    coalesce(sum(attempts) FILTER (WHERE grain = 'template'), 0)::bigint AS attempts,
    coalesce(sum(queued) FILTER (WHERE grain = 'template'), 0)::bigint AS queued,
    coalesce(sum(accepted) FILTER (WHERE grain = 'template'), 0)::bigint AS accepted,
    coalesce(sum(failed_at_send) FILTER (WHERE grain = 'template'), 0)::bigint AS failed_at_send,
    coalesce(sum(skipped) FILTER (WHERE grain = 'template'), 0)::bigint AS skipped,
    coalesce(sum(cancelled) FILTER (WHERE grain = 'template'), 0)::bigint AS cancelled,
    coalesce(sum(duplicates) FILTER (WHERE grain = 'template'), 0)::bigint AS duplicates,
    coalesce(sum(claimed_elsewhere) FILTER (WHERE grain = 'template'), 0)::bigint AS claimed_elsewhere,
    coalesce(sum(sent) FILTER (WHERE grain = 'template'), 0)::bigint AS sent,
    coalesce(sum(delivered) FILTER (WHERE grain = 'template'), 0)::bigint AS delivered,
    coalesce(sum(delivered_implied) FILTER (WHERE grain = 'template'), 0)::bigint AS delivered_implied,
    coalesce(sum(delivered_late) FILTER (WHERE grain = 'template'), 0)::bigint AS delivered_late,
    coalesce(sum(read) FILTER (WHERE grain = 'template'), 0)::bigint AS read,
    coalesce(sum(read_late) FILTER (WHERE grain = 'template'), 0)::bigint AS read_late,
    coalesce(sum(failed_after_send) FILTER (WHERE grain = 'template'), 0)::bigint AS failed_after_send,
    coalesce(sum(failed_then_delivered) FILTER (WHERE grain = 'template'), 0)::bigint AS failed_then_delivered,
    coalesce(sum(failed_at_send + failed_after_send) FILTER (WHERE grain = 'template'), 0)::bigint AS failed,
    coalesce(sum(accepted - delivered - failed_after_send) FILTER (WHERE grain = 'template'), 0)::bigint AS in_flight,
    coalesce(sum(contacts_accepted) FILTER (WHERE grain = 'campaign'), 0)::bigint AS contacts_accepted,
    coalesce(sum(replied) FILTER (WHERE grain = 'campaign'), 0)::bigint AS replied,
    coalesce(sum(replied_last_touch) FILTER (WHERE grain = 'campaign'), 0)::bigint AS replied_last_touch,
    coalesce(sum(replied_quoted) FILTER (WHERE grain = 'template'), 0)::bigint AS replied_quoted,
    coalesce(sum(clicked) FILTER (WHERE grain = 'template'), 0)::bigint AS clicked,
    coalesce(sum(clicked_implied) FILTER (WHERE grain = 'template'), 0)::bigint AS clicked_implied,
    coalesce(sum(requested) FILTER (WHERE grain = 'template'), 0)::bigint AS requested,
    coalesce(sum(attempted) FILTER (WHERE grain = 'template'), 0)::bigint AS attempted,
    coalesce(sum(answered) FILTER (WHERE grain = 'template'), 0)::bigint AS answered,
    coalesce(sum(busy) FILTER (WHERE grain = 'template'), 0)::bigint AS busy,
    coalesce(sum(no_answer) FILTER (WHERE grain = 'template'), 0)::bigint AS no_answer,
    coalesce(sum(rejected) FILTER (WHERE grain = 'template'), 0)::bigint AS rejected,
    coalesce(sum(unreachable) FILTER (WHERE grain = 'template'), 0)::bigint AS unreachable,
    coalesce(sum(congestion) FILTER (WHERE grain = 'template'), 0)::bigint AS congestion,
    coalesce(sum(call_cancelled) FILTER (WHERE grain = 'template'), 0)::bigint AS call_cancelled,
    coalesce(sum(call_failed) FILTER (WHERE grain = 'template'), 0)::bigint AS call_failed,
    coalesce(sum(ended_unknown) FILTER (WHERE grain = 'template'), 0)::bigint AS ended_unknown,
    coalesce(sum(answered_human) FILTER (WHERE grain = 'template'), 0)::bigint AS answered_human,
    coalesce(sum(answered_machine) FILTER (WHERE grain = 'template'), 0)::bigint AS answered_machine,
    coalesce(sum(answered_unknown) FILTER (WHERE grain = 'template'), 0)::bigint AS answered_unknown,
    coalesce(sum(dropped) FILTER (WHERE grain = 'template'), 0)::bigint AS dropped,
    coalesce(sum(connected_ms) FILTER (WHERE grain = 'template'), 0)::bigint AS connected_ms,
    coalesce(sum(talk_ms) FILTER (WHERE grain = 'template'), 0)::bigint AS talk_ms,
    coalesce(sum(hold_ms) FILTER (WHERE grain = 'template'), 0)::bigint AS hold_ms,
    coalesce(sum(queue_wait_ms) FILTER (WHERE grain = 'template'), 0)::bigint AS queue_wait_ms,
    coalesce(sum(queue_joins) FILTER (WHERE grain = 'template'), 0)::bigint AS queue_joins,
    coalesce(sum(queue_abandoned) FILTER (WHERE grain = 'template'), 0)::bigint AS queue_abandoned,
    coalesce(sum(queue_timeouts) FILTER (WHERE grain = 'template'), 0)::bigint AS queue_timeouts,
    coalesce(sum(queue_waiting) FILTER (WHERE grain = 'template'), 0)::bigint AS queue_waiting,
    coalesce(sum(connects) FILTER (WHERE grain = 'template'), 0)::bigint AS connects,
    coalesce(sum(ring_no_answer) FILTER (WHERE grain = 'template'), 0)::bigint AS ring_no_answer,
    tally.sum_entries(jsonb_agg(errors) FILTER (WHERE grain = 'template')) AS errors,
    tally.sum_entries(jsonb_agg(pricing) FILTER (WHERE grain = 'template')) AS pricing,
    tally.sum_entries(jsonb_agg(pricing_delivered) FILTER (WHERE grain = 'template')) AS pricing_delivered,
    tally.sum_entries(jsonb_agg(hangup_causes) FILTER (WHERE grain = 'template')) AS hangup_causes,
    tally.sum_entries(jsonb_agg(queues) FILTER (WHERE grain = 'template')) AS queues,
    tally.sum_entries(jsonb_agg(queue_waits) FILTER (WHERE grain = 'template')) AS queue_waits,
    tally.summarise_seconds(jsonb_agg(time_to_deliver) FILTER (WHERE grain = 'template')) AS time_to_deliver,
    tally.summarise_seconds(jsonb_agg(time_to_read) FILTER (WHERE grain = 'template')) AS time_to_read,
    coalesce(sum(delivered) FILTER (WHERE grain = 'template'), 0)::bigint::double precision
        / nullif(coalesce(sum(accepted) FILTER (WHERE grain = 'template'), 0)::bigint, 0) AS delivery_rate,
    coalesce(sum(read) FILTER (WHERE grain = 'template'), 0)::bigint::double precision
        / nullif(coalesce(sum(delivered) FILTER (WHERE grain = 'template'), 0)::bigint, 0) AS read_rate,
    coalesce(sum(replied) FILTER (WHERE grain = 'campaign'), 0)::bigint::double precision
        / nullif(coalesce(sum(contacts_accepted) FILTER (WHERE grain = 'campaign'), 0)::bigint, 0) AS reply_rate,
    coalesce(sum(failed_at_send + failed_after_send) FILTER (WHERE grain = 'template'), 0)::bigint::double precision
        / nullif(coalesce(sum(attempts) FILTER (WHERE grain = 'template'), 0)::bigint, 0) AS failure_rate,
    coalesce(sum(answered) FILTER (WHERE grain = 'template'), 0)::bigint::double precision
        / nullif(coalesce(sum(attempted) FILTER (WHERE grain = 'template'), 0)::bigint, 0) AS answer_rate,
    coalesce(sum(dropped) FILTER (WHERE grain = 'template'), 0)::bigint::double precision
        / nullif(coalesce(sum(answered_human) FILTER (WHERE grain = 'template'), 0)::bigint, 0) AS drop_rate,
    coalesce(sum(queue_abandoned) FILTER (WHERE grain = 'template'), 0)::bigint::double precision
        / nullif(coalesce(sum(queue_joins) FILTER (WHERE grain = 'template'), 0)::bigint, 0) AS abandon_rate,
    coalesce(sum(clicked) FILTER (WHERE grain = 'template'), 0)::bigint::double precision
        / nullif(coalesce(sum(delivered) FILTER (WHERE grain = 'template'), 0)::bigint, 0) AS click_rate,
    to_timestamp(min(first_ms) / 1000.0) AS first_activity,
    to_timestamp(max(last_ms) / 1000.0) AS last_activity,
    max(updated_at) AS updated_at,
    (SELECT coalesce(bool_or(catching_up), true) FROM tally.cuts) AS catching_up,
    (
        SELECT count(*) FROM tally.withheld
        WHERE generation = (SELECT generation FROM tally.current_generation)
            AND tenant = convert_to(counters.tenant, 'UTF8')
            AND campaign = convert_to(counters.campaign, 'UTF8')
    ) AS withheld
FROM tally.counters
WHERE generation = (SELECT generation FROM tally.current_generation)
    AND grain IN ('campaign', 'template')
GROUP BY tenant, campaign
HAVING bool_or(
    greatest(
        contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
        claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late,
        failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch,
        replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer,
        rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
        answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms,
        queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects,
        ring_no_answer
    ) > 0
    OR errors <> '{}' OR pricing <> '{}' OR pricing_delivered <> '{}' OR hangup_causes <> '{}' OR
    queues <> '{}' OR queue_waits <> '{}' OR description <> '{}' OR time_to_deliver <> '{}' OR
    time_to_read <> '{}'
);

-- Each row is of an operator at one PBX; the tenant is empty where nobody said whose PBX it is.
-- Those that came to zeros do not show.
CREATE VIEW tally.operator_stats AS
SELECT
    tenant,
    template_name AS pbx,
    template_language AS operator,
    sum(talk_ms)::bigint AS talk_ms,
    sum(connects)::bigint AS connects,
    sum(ring_no_answer)::bigint AS ring_no_answer,
    to_timestamp(min(first_ms) / 1000.0) AS first_activity,
    to_timestamp(max(last_ms) / 1000.0) AS last_activity,
    max(updated_at) AS updated_at,
    (SELECT coalesce(bool_or(catching_up), true) FROM tally.cuts) AS catching_up,
    (
        SELECT count(*) FROM tally.withheld
        WHERE generation = (SELECT generation FROM tally.current_generation)
            AND tenant = convert_to(counters.tenant, 'UTF8')
            AND campaign = convert_to('', 'UTF8')
    ) AS withheld
FROM tally.counters
WHERE generation = (SELECT generation FROM tally.current_generation)
    AND grain = 'operator'
GROUP BY tenant, template_name, template_language
HAVING bool_or(
    greatest(
        talk_ms, connects, ring_no_answer
    ) > 0
    OR memberships <> '{}' OR legs <> '{}'
);

-- Numbers by day of a campaign's sends.
CREATE FUNCTION tally.campaign_days(tenant text, campaign text, timezone text, from_day date, to_day date)
RETURNS TABLE (
    day date,
    begins timestamptz,
    ends timestamptz,
    contacts bigint,
    attempts bigint,
    queued bigint,
    accepted bigint,
    failed_at_send bigint,
    skipped bigint,
    cancelled bigint,
    duplicates bigint,
    claimed_elsewhere bigint,
    sent bigint,
    delivered bigint,
    delivered_implied bigint,
    delivered_late bigint,
    read bigint,
    read_late bigint,
    failed_after_send bigint,
    failed_then_delivered bigint,
    contacts_accepted bigint,
    replied bigint,
    replied_last_touch bigint,
    replied_quoted bigint,
    clicked bigint,
    clicked_implied bigint,
    requested bigint,
    attempted bigint,
    answered bigint,
    busy bigint,
    no_answer bigint,
    rejected bigint,
    unreachable bigint,
    congestion bigint,
    call_cancelled bigint,
    call_failed bigint,
    ended_unknown bigint,
    answered_human bigint,
    answered_machine bigint,
    answered_unknown bigint,
    dropped bigint,
    connected_ms bigint,
    talk_ms bigint,
    hold_ms bigint,
    queue_wait_ms bigint,
    queue_joins bigint,
    queue_abandoned bigint,
    queue_timeouts bigint,
    queue_waiting bigint,
    connects bigint,
    ring_no_answer bigint,
    failed bigint,
    in_flight bigint,
    catching_up boolean,
    withheld bigint
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 366
AS $$
    WITH days AS MATERIALIZED (
        SELECT * FROM tally.days($3, $4, $5)
    ), span AS MATERIALIZED (
        SELECT array_agg(days.begins ORDER BY days.begins) AS begins, max(days.ends) AS ends FROM days
    ), split AS MATERIALIZED (
        SELECT DISTINCT date_trunc('hour', edge, 'UTC') AS at
        FROM days, unnest(ARRAY[days.begins, days.ends]) AS edge
        WHERE edge <> date_trunc('hour', edge, 'UTC')
    ), counted AS (
        SELECT
            width_bucket(held.quarter, (SELECT span.begins FROM span)) AS nth,
            tally.total(contacts) AS contacts,
            tally.total(attempts) AS attempts,
            tally.total(queued) AS queued,
            tally.total(accepted) AS accepted,
            tally.total(failed_at_send) AS failed_at_send,
            tally.total(skipped) AS skipped,
            tally.total(cancelled) AS cancelled,
            tally.total(duplicates) AS duplicates,
            tally.total(claimed_elsewhere) AS claimed_elsewhere,
            tally.total(sent) AS sent,
            tally.total(delivered) AS delivered,
            tally.total(delivered_implied) AS delivered_implied,
            tally.total(delivered_late) AS delivered_late,
            tally.total(read) AS read,
            tally.total(read_late) AS read_late,
            tally.total(failed_after_send) AS failed_after_send,
            tally.total(failed_then_delivered) AS failed_then_delivered,
            tally.total(contacts_accepted) AS contacts_accepted,
            tally.total(replied) AS replied,
            tally.total(replied_last_touch) AS replied_last_touch,
            tally.total(replied_quoted) AS replied_quoted,
            tally.total(clicked) AS clicked,
            tally.total(clicked_implied) AS clicked_implied,
            tally.total(requested) AS requested,
            tally.total(attempted) AS attempted,
            tally.total(answered) AS answered,
            tally.total(busy) AS busy,
            tally.total(no_answer) AS no_answer,
            tally.total(rejected) AS rejected,
            tally.total(unreachable) AS unreachable,
            tally.total(congestion) AS congestion,
            tally.total(call_cancelled) AS call_cancelled,
            tally.total(call_failed) AS call_failed,
            tally.total(ended_unknown) AS ended_unknown,
            tally.total(answered_human) AS answered_human,
            tally.total(answered_machine) AS answered_machine,
            tally.total(answered_unknown) AS answered_unknown,
            tally.total(dropped) AS dropped,
            tally.total(connected_ms) AS connected_ms,
            tally.total(talk_ms) AS talk_ms,
            tally.total(hold_ms) AS hold_ms,
            tally.total(queue_wait_ms) AS queue_wait_ms,
            tally.total(queue_joins) AS queue_joins,
            tally.total(queue_abandoned) AS queue_abandoned,
            tally.total(queue_timeouts) AS queue_timeouts,
            tally.total(queue_waiting) AS queue_waiting,
            tally.total(connects) AS connects,
            tally.total(ring_no_answer) AS ring_no_answer,
            tally.total(failed_at_send) + tally.total(failed_after_send) AS failed,
            tally.total(accepted) - tally.total(delivered) - tally.total(failed_after_send) AS in_flight
        FROM (
    SELECT hour AS quarter, contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates, claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late, failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch, replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer, rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown, answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms, queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects, ring_no_answer FROM tally.cell_hours
    WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND campaign = $2 AND hour >= (SELECT span.begins[1] FROM span) AND hour < (SELECT span.ends FROM span)
        AND NOT EXISTS (SELECT FROM (SELECT split.at FROM split) AS split (at) WHERE at = hour)
    UNION ALL
    SELECT quarter, contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates, claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late, failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch, replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer, rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown, answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms, queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects, ring_no_answer
    FROM (SELECT split.at FROM split) AS split (at) JOIN tally.cell_sums ON quarter >= at AND quarter < at + interval '1 hour'
    WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND campaign = $2 AND quarter >= (SELECT span.begins[1] FROM span) AND quarter < (SELECT span.ends FROM span)
) AS held
        GROUP BY 1
    )
    SELECT
        known.day, known.begins, known.ends,
        coalesce(counted.contacts, 0),
        coalesce(counted.attempts, 0),
        coalesce(counted.queued, 0),
        coalesce(counted.accepted, 0),
        coalesce(counted.failed_at_send, 0),
        coalesce(counted.skipped, 0),
        coalesce(counted.cancelled, 0),
        coalesce(counted.duplicates, 0),
        coalesce(counted.claimed_elsewhere, 0),
        coalesce(counted.sent, 0),
        coalesce(counted.delivered, 0),
        coalesce(counted.delivered_implied, 0),
        coalesce(counted.delivered_late, 0),
        coalesce(counted.read, 0),
        coalesce(counted.read_late, 0),
        coalesce(counted.failed_after_send, 0),
        coalesce(counted.failed_then_delivered, 0),
        coalesce(counted.contacts_accepted, 0),
        coalesce(counted.replied, 0),
        coalesce(counted.replied_last_touch, 0),
        coalesce(counted.replied_quoted, 0),
        coalesce(counted.clicked, 0),
        coalesce(counted.clicked_implied, 0),
        coalesce(counted.requested, 0),
        coalesce(counted.attempted, 0),
        coalesce(counted.answered, 0),
        coalesce(counted.busy, 0),
        coalesce(counted.no_answer, 0),
        coalesce(counted.rejected, 0),
        coalesce(counted.unreachable, 0),
        coalesce(counted.congestion, 0),
        coalesce(counted.call_cancelled, 0),
        coalesce(counted.call_failed, 0),
        coalesce(counted.ended_unknown, 0),
        coalesce(counted.answered_human, 0),
        coalesce(counted.answered_machine, 0),
        coalesce(counted.answered_unknown, 0),
        coalesce(counted.dropped, 0),
        coalesce(counted.connected_ms, 0),
        coalesce(counted.talk_ms, 0),
        coalesce(counted.hold_ms, 0),
        coalesce(counted.queue_wait_ms, 0),
        coalesce(counted.queue_joins, 0),
        coalesce(counted.queue_abandoned, 0),
        coalesce(counted.queue_timeouts, 0),
        coalesce(counted.queue_waiting, 0),
        coalesce(counted.connects, 0),
        coalesce(counted.ring_no_answer, 0),
        coalesce(counted.failed, 0),
        coalesce(counted.in_flight, 0),
        (SELECT coalesce(bool_or(cuts.catching_up), true) FROM tally.cuts),
        (SELECT tally.withheld_of($1, $2))
    FROM (SELECT *, row_number() OVER (ORDER BY days.begins) AS nth FROM days) AS known
    LEFT JOIN counted USING (nth)
    ORDER BY known.day
$$;

-- Numbers by day of what happened to a campaign's sends, whenever they were sent.
CREATE FUNCTION tally.campaign_activity_days(tenant text, campaign text, timezone text, from_day date, to_day date)
RETURNS TABLE (
    day date,
    begins timestamptz,
    ends timestamptz,
    accepted bigint,
    sent bigint,
    delivered bigint,
    read bigint,
    failed bigint,
    replied bigint,
    clicked bigint,
    attempted bigint,
    answered bigint,
    dropped bigint,
    connects bigint,
    queue_abandoned bigint,
    catching_up boolean,
    withheld bigint
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 366
AS $$
    WITH days AS MATERIALIZED (
        SELECT * FROM tally.days($3, $4, $5)
    ), span AS MATERIALIZED (
        SELECT array_agg(days.begins ORDER BY days.begins) AS begins, max(days.ends) AS ends FROM days
    ), split AS MATERIALIZED (
        SELECT DISTINCT date_trunc('hour', edge, 'UTC') AS at
        FROM days, unnest(ARRAY[days.begins, days.ends]) AS edge
        WHERE edge <> date_trunc('hour', edge, 'UTC')
    ), counted AS (
        SELECT
            width_bucket(held.quarter, (SELECT span.begins FROM span)) AS nth,
            tally.total(accepted) AS accepted,
            tally.total(sent) AS sent,
            tally.total(delivered) AS delivered,
            tally.total(read) AS read,
            tally.total(failed) AS failed,
            tally.total(replied) AS replied,
            tally.total(clicked) AS clicked,
            tally.total(attempted) AS attempted,
            tally.total(answered) AS answered,
            tally.total(dropped) AS dropped,
            tally.total(connects) AS connects,
            tally.total(queue_abandoned) AS queue_abandoned
        FROM (
    SELECT hour AS quarter, accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped, connects, queue_abandoned FROM tally.activity_hours
    WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND campaign = $2 AND hour >= (SELECT span.begins[1] FROM span) AND hour < (SELECT span.ends FROM span)
        AND NOT EXISTS (SELECT FROM (SELECT split.at FROM split) AS split (at) WHERE at = hour)
    UNION ALL
    SELECT quarter, accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped, connects, queue_abandoned
    FROM (SELECT split.at FROM split) AS split (at) JOIN tally.activity_sums ON quarter >= at AND quarter < at + interval '1 hour'
    WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND campaign = $2 AND quarter >= (SELECT span.begins[1] FROM span) AND quarter < (SELECT span.ends FROM span)
) AS held
        GROUP BY 1
    )
    SELECT
        known.day, known.begins, known.ends,
        coalesce(counted.accepted, 0),
        coalesce(counted.sent, 0),
        coalesce(counted.delivered, 0),
        coalesce(counted.read, 0),
        coalesce(counted.failed, 0),
        coalesce(counted.replied, 0),
        coalesce(counted.clicked, 0),
        coalesce(counted.attempted, 0),
        coalesce(counted.answered, 0),
        coalesce(counted.dropped, 0),
        coalesce(counted.connects, 0),
        coalesce(counted.queue_abandoned, 0),
        (SELECT coalesce(bool_or(cuts.catching_up), true) FROM tally.cuts),
        (SELECT tally.withheld_of($1, $2))
    FROM (SELECT *, row_number() OVER (ORDER BY days.begins) AS nth FROM days) AS known
    LEFT JOIN counted USING (nth)
    ORDER BY known.day
$$;

-- Numbers by day of the sends of all campaigns.
CREATE FUNCTION tally.tenant_days(tenant text, timezone text, from_day date, to_day date)
RETURNS TABLE (
    day date,
    begins timestamptz,
    ends timestamptz,
    contacts bigint,
    attempts bigint,
    queued bigint,
    accepted bigint,
    failed_at_send bigint,
    skipped bigint,
    cancelled bigint,
    duplicates bigint,
    claimed_elsewhere bigint,
    sent bigint,
    delivered bigint,
    delivered_implied bigint,
    delivered_late bigint,
    read bigint,
    read_late bigint,
    failed_after_send bigint,
    failed_then_delivered bigint,
    contacts_accepted bigint,
    replied bigint,
    replied_last_touch bigint,
    replied_quoted bigint,
    clicked bigint,
    clicked_implied bigint,
    requested bigint,
    attempted bigint,
    answered bigint,
    busy bigint,
    no_answer bigint,
    rejected bigint,
    unreachable bigint,
    congestion bigint,
    call_cancelled bigint,
    call_failed bigint,
    ended_unknown bigint,
    answered_human bigint,
    answered_machine bigint,
    answered_unknown bigint,
    dropped bigint,
    connected_ms bigint,
    talk_ms bigint,
    hold_ms bigint,
    queue_wait_ms bigint,
    queue_joins bigint,
    queue_abandoned bigint,
    queue_timeouts bigint,
    queue_waiting bigint,
    connects bigint,
    ring_no_answer bigint,
    failed bigint,
    in_flight bigint,
    catching_up boolean,
    withheld bigint
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 366
AS $$
    WITH days AS MATERIALIZED (
        SELECT * FROM tally.days($2, $3, $4)
    ), span AS MATERIALIZED (
        SELECT array_agg(days.begins ORDER BY days.begins) AS begins, max(days.ends) AS ends FROM days
    ), split AS MATERIALIZED (
        SELECT DISTINCT date_trunc('hour', edge, 'UTC') AS at
        FROM days, unnest(ARRAY[days.begins, days.ends]) AS edge
        WHERE edge <> date_trunc('hour', edge, 'UTC')
    ), counted AS (
        SELECT
            width_bucket(held.quarter, (SELECT span.begins FROM span)) AS nth,
            tally.total(contacts) AS contacts,
            tally.total(attempts) AS attempts,
            tally.total(queued) AS queued,
            tally.total(accepted) AS accepted,
            tally.total(failed_at_send) AS failed_at_send,
            tally.total(skipped) AS skipped,
            tally.total(cancelled) AS cancelled,
            tally.total(duplicates) AS duplicates,
            tally.total(claimed_elsewhere) AS claimed_elsewhere,
            tally.total(sent) AS sent,
            tally.total(delivered) AS delivered,
            tally.total(delivered_implied) AS delivered_implied,
            tally.total(delivered_late) AS delivered_late,
            tally.total(read) AS read,
            tally.total(read_late) AS read_late,
            tally.total(failed_after_send) AS failed_after_send,
            tally.total(failed_then_delivered) AS failed_then_delivered,
            tally.total(contacts_accepted) AS contacts_accepted,
            tally.total(replied) AS replied,
            tally.total(replied_last_touch) AS replied_last_touch,
            tally.total(replied_quoted) AS replied_quoted,
            tally.total(clicked) AS clicked,
            tally.total(clicked_implied) AS clicked_implied,
            tally.total(requested) AS requested,
            tally.total(attempted) AS attempted,
            tally.total(answered) AS answered,
            tally.total(busy) AS busy,
            tally.total(no_answer) AS no_answer,
            tally.total(rejected) AS rejected,
            tally.total(unreachable) AS unreachable,
            tally.total(congestion) AS congestion,
            tally.total(call_cancelled) AS call_cancelled,
            tally.total(call_failed) AS call_failed,
            tally.total(ended_unknown) AS ended_unknown,
            tally.total(answered_human) AS answered_human,
            tally.total(answered_machine) AS answered_machine,
            tally.total(answered_unknown) AS answered_unknown,
            tally.total(dropped) AS dropped,
            tally.total(connected_ms) AS connected_ms,
            tally.total(talk_ms) AS talk_ms,
            tally.total(hold_ms) AS hold_ms,
            tally.total(queue_wait_ms) AS queue_wait_ms,
            tally.total(queue_joins) AS queue_joins,
            tally.total(queue_abandoned) AS queue_abandoned,
            tally.total(queue_timeouts) AS queue_timeouts,
            tally.total(queue_waiting) AS queue_waiting,
            tally.total(connects) AS connects,
            tally.total(ring_no_answer) AS ring_no_answer,
            tally.total(failed_at_send) + tally.total(failed_after_send) AS failed,
            tally.total(accepted) - tally.total(delivered) - tally.total(failed_after_send) AS in_flight
        FROM (
    SELECT hour AS quarter, contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates, claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late, failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch, replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer, rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown, answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms, queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects, ring_no_answer FROM tally.tenant_hours
    WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND hour >= (SELECT span.begins[1] FROM span) AND hour < (SELECT span.ends FROM span)
        AND NOT EXISTS (SELECT FROM (SELECT split.at FROM split) AS split (at) WHERE at = hour)
    UNION ALL
    SELECT quarter, contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates, claimed_elsewhere, sent, delivered, delivered_implied, delivered_late, read, read_late, failed_after_send, failed_then_delivered, contacts_accepted, replied, replied_last_touch, replied_quoted, clicked, clicked_implied, requested, attempted, answered, busy, no_answer, rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown, answered_human, answered_machine, answered_unknown, dropped, connected_ms, talk_ms, hold_ms, queue_wait_ms, queue_joins, queue_abandoned, queue_timeouts, queue_waiting, connects, ring_no_answer
    FROM (SELECT split.at FROM split) AS split (at) JOIN tally.tenant_sums ON quarter >= at AND quarter < at + interval '1 hour'
    WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND quarter >= (SELECT span.begins[1] FROM span) AND quarter < (SELECT span.ends FROM span)
) AS held
        GROUP BY 1
    )
    SELECT
        known.day, known.begins, known.ends,
        coalesce(counted.contacts, 0),
        coalesce(counted.attempts, 0),
        coalesce(counted.queued, 0),
        coalesce(counted.accepted, 0),
        coalesce(counted.failed_at_send, 0),
        coalesce(counted.skipped, 0),
        coalesce(counted.cancelled, 0),
        coalesce(counted.duplicates, 0),
        coalesce(counted.claimed_elsewhere, 0),
        coalesce(counted.sent, 0),
        coalesce(counted.delivered, 0),
        coalesce(counted.delivered_implied, 0),
        coalesce(counted.delivered_late, 0),
        coalesce(counted.read, 0),
        coalesce(counted.read_late, 0),
        coalesce(counted.failed_after_send, 0),
        coalesce(counted.failed_then_delivered, 0),
        coalesce(counted.contacts_accepted, 0),
        coalesce(counted.replied, 0),
        coalesce(counted.replied_last_touch, 0),
        coalesce(counted.replied_quoted, 0),
        coalesce(counted.clicked, 0),
        coalesce(counted.clicked_implied, 0),
        coalesce(counted.requested, 0),
        coalesce(counted.attempted, 0),
        coalesce(counted.answered, 0),
        coalesce(counted.busy, 0),
        coalesce(counted.no_answer, 0),
        coalesce(counted.rejected, 0),
        coalesce(counted.unreachable, 0),
        coalesce(counted.congestion, 0),
        coalesce(counted.call_cancelled, 0),
        coalesce(counted.call_failed, 0),
        coalesce(counted.ended_unknown, 0),
        coalesce(counted.answered_human, 0),
        coalesce(counted.answered_machine, 0),
        coalesce(counted.answered_unknown, 0),
        coalesce(counted.dropped, 0),
        coalesce(counted.connected_ms, 0),
        coalesce(counted.talk_ms, 0),
        coalesce(counted.hold_ms, 0),
        coalesce(counted.queue_wait_ms, 0),
        coalesce(counted.queue_joins, 0),
        coalesce(counted.queue_abandoned, 0),
        coalesce(counted.queue_timeouts, 0),
        coalesce(counted.queue_waiting, 0),
        coalesce(counted.connects, 0),
        coalesce(counted.ring_no_answer, 0),
        coalesce(counted.failed, 0),
        coalesce(counted.in_flight, 0),
        (SELECT coalesce(bool_or(cuts.catching_up), true) FROM tally.cuts),
        (SELECT tally.withheld_of($1, ''))
    FROM (SELECT *, row_number() OVER (ORDER BY days.begins) AS nth FROM days) AS known
    LEFT JOIN counted USING (nth)
    ORDER BY known.day
$$;

-- Numbers by day of what happened to the sends of all campaigns.
CREATE FUNCTION tally.tenant_activity_days(tenant text, timezone text, from_day date, to_day date)
RETURNS TABLE (
    day date,
    begins timestamptz,
    ends timestamptz,
    accepted bigint,
    sent bigint,
    delivered bigint,
    read bigint,
    failed bigint,
    replied bigint,
    clicked bigint,
    attempted bigint,
    answered bigint,
    dropped bigint,
    connects bigint,
    queue_abandoned bigint,
    catching_up boolean,
    withheld bigint
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 366
AS $$
    WITH days AS MATERIALIZED (
        SELECT * FROM tally.days($2, $3, $4)
    ), span AS MATERIALIZED (
        SELECT array_agg(days.begins ORDER BY days.begins) AS begins, max(days.ends) AS ends FROM days
    ), split AS MATERIALIZED (
        SELECT DISTINCT date_trunc('hour', edge, 'UTC') AS at
        FROM days, unnest(ARRAY[days.begins, days.ends]) AS edge
        WHERE edge <> date_trunc('hour', edge, 'UTC')
    ), counted AS (
        SELECT
            width_bucket(held.quarter, (SELECT span.begins FROM span)) AS nth,
            tally.total(accepted) AS accepted,
            tally.total(sent) AS sent,
            tally.total(delivered) AS delivered,
            tally.total(read) AS read,
            tally.total(failed) AS failed,
            tally.total(replied) AS replied,
            tally.total(clicked) AS clicked,
            tally.total(attempted) AS attempted,
            tally.total(answered) AS answered,
            tally.total(dropped) AS dropped,
            tally.total(connects) AS connects,
            tally.total(queue_abandoned) AS queue_abandoned
        FROM (
    SELECT hour AS quarter, accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped, connects, queue_abandoned FROM tally.tenant_activity_hours
    WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND hour >= (SELECT span.begins[1] FROM span) AND hour < (SELECT span.ends FROM span)
        AND NOT EXISTS (SELECT FROM (SELECT split.at FROM split) AS split (at) WHERE at = hour)
    UNION ALL
    SELECT quarter, accepted, sent, delivered, read, failed, replied, clicked, attempted, answered, dropped, connects, queue_abandoned
    FROM (SELECT split.at FROM split) AS split (at) JOIN tally.tenant_activity_sums ON quarter >= at AND quarter < at + interval '1 hour'
    WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND quarter >= (SELECT span.begins[1] FROM span) AND quarter < (SELECT span.ends FROM span)
) AS held
        GROUP BY 1
    )
    SELECT
        known.day, known.begins, known.ends,
        coalesce(counted.accepted, 0),
        coalesce(counted.sent, 0),
        coalesce(counted.delivered, 0),
        coalesce(counted.read, 0),
        coalesce(counted.failed, 0),
        coalesce(counted.replied, 0),
        coalesce(counted.clicked, 0),
        coalesce(counted.attempted, 0),
        coalesce(counted.answered, 0),
        coalesce(counted.dropped, 0),
        coalesce(counted.connects, 0),
        coalesce(counted.queue_abandoned, 0),
        (SELECT coalesce(bool_or(cuts.catching_up), true) FROM tally.cuts),
        (SELECT tally.withheld_of($1, ''))
    FROM (SELECT *, row_number() OVER (ORDER BY days.begins) AS nth FROM days) AS known
    LEFT JOIN counted USING (nth)
    ORDER BY known.day
$$;

-- Numbers by day of an operator's legs at one PBX.
CREATE FUNCTION tally.operator_days(tenant text, pbx text, operator text, timezone text, from_day date, to_day date)
RETURNS TABLE (
    day date,
    begins timestamptz,
    ends timestamptz,
    talk_ms bigint,
    connects bigint,
    ring_no_answer bigint,
    catching_up boolean,
    withheld bigint
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 366
AS $$
    WITH days AS MATERIALIZED (
        SELECT * FROM tally.days($4, $5, $6)
    ), span AS MATERIALIZED (
        SELECT array_agg(days.begins ORDER BY days.begins) AS begins, max(days.ends) AS ends FROM days
    ), split AS MATERIALIZED (
        SELECT DISTINCT date_trunc('hour', edge, 'UTC') AS at
        FROM days, unnest(ARRAY[days.begins, days.ends]) AS edge
        WHERE edge <> date_trunc('hour', edge, 'UTC')
    ), counted AS (
        SELECT
            width_bucket(held.quarter, (SELECT span.begins FROM span)) AS nth,
            tally.total(talk_ms) FILTER (WHERE grain = 'operator') AS talk_ms,
            tally.total(connects) FILTER (WHERE grain = 'operator') AS connects,
            tally.total(ring_no_answer) FILTER (WHERE grain = 'operator') AS ring_no_answer
        FROM tally.cells AS held WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND template_name = $2 AND template_language = $3 AND grain = 'operator' AND quarter >= (SELECT span.begins[1] FROM span) AND quarter < (SELECT span.ends FROM span)
        GROUP BY 1
    )
    SELECT
        known.day, known.begins, known.ends,
        coalesce(counted.talk_ms, 0),
        coalesce(counted.connects, 0),
        coalesce(counted.ring_no_answer, 0),
        (SELECT coalesce(bool_or(cuts.catching_up), true) FROM tally.cuts),
        (SELECT tally.withheld_of($1, ''))
    FROM (SELECT *, row_number() OVER (ORDER BY days.begins) AS nth FROM days) AS known
    LEFT JOIN counted USING (nth)
    ORDER BY known.day
$$;

-- Numbers by day of a queue's connects and abandoned callers.
CREATE FUNCTION tally.queue_days(tenant text, queue text, timezone text, from_day date, to_day date)
RETURNS TABLE (
    day date,
    begins timestamptz,
    ends timestamptz,
    connects bigint,
    queue_abandoned bigint,
    catching_up boolean,
    withheld bigint
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 366
AS $$
    WITH days AS MATERIALIZED (
        SELECT * FROM tally.days($3, $4, $5)
    ), span AS MATERIALIZED (
        SELECT array_agg(days.begins ORDER BY days.begins) AS begins, max(days.ends) AS ends FROM days
    ), split AS MATERIALIZED (
        SELECT DISTINCT date_trunc('hour', edge, 'UTC') AS at
        FROM days, unnest(ARRAY[days.begins, days.ends]) AS edge
        WHERE edge <> date_trunc('hour', edge, 'UTC')
    ), counted AS (
        SELECT
            width_bucket(held.quarter, (SELECT span.begins FROM span)) AS nth,
            tally.total(connects) AS connects,
            tally.total(queue_abandoned) AS queue_abandoned
        FROM tally.activity AS held WHERE generation = (SELECT generation FROM tally.current_generation) AND tenant = $1 AND queue = $2 AND queue <> '' AND campaign <> '' AND quarter >= (SELECT span.begins[1] FROM span) AND quarter < (SELECT span.ends FROM span)
        GROUP BY 1
    )
    SELECT
        known.day, known.begins, known.ends,
        coalesce(counted.connects, 0),
        coalesce(counted.queue_abandoned, 0),
        (SELECT coalesce(bool_or(cuts.catching_up), true) FROM tally.cuts),
        (SELECT tally.withheld_of($1, ''))
    FROM (SELECT *, row_number() OVER (ORDER BY days.begins) AS nth FROM days) AS known
    LEFT JOIN counted USING (nth)
    ORDER BY known.day
$$;

-- What decides on the list price of a message on a day of the account's own zone: a country's own
-- rate, even one that says that there is none, else that of its area, else Other. No row where the
-- cards say nothing of it.
CREATE OR REPLACE FUNCTION tally.rate(currency text, market text, category text, day date)
RETURNS TABLE (effective_from date, micros bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
AS $$
    SELECT held.effective_from, held.micros
    FROM (
        VALUES (1, $2), (3, 'Other'), (2, CASE
            WHEN $2 IN (
                'CA', 'US'
            ) THEN 'North America'
            WHEN $2 IN (
                'AO', 'BF', 'BI', 'BJ', 'BW', 'CG', 'CI', 'CM', 'DZ', 'ER', 'ET', 'GA', 'GH', 'GM',
                'GW', 'KE', 'LR', 'LS', 'LY', 'MA', 'MG', 'ML', 'MR', 'MW', 'MZ', 'NA', 'NE', 'RW',
                'SD', 'SL', 'SN', 'SO', 'SS', 'SZ', 'TD', 'TG', 'TN', 'TZ', 'UG', 'ZM'
            ) THEN 'Rest of Africa'
            WHEN $2 IN (
                'AF', 'AU', 'BD', 'CN', 'HK', 'JP', 'KH', 'LA', 'LK', 'MN', 'NP', 'NZ', 'PG', 'PH',
                'SG', 'TH', 'TJ', 'TM', 'TW', 'UZ', 'VN'
            ) THEN 'Rest of Asia Pacific'
            WHEN $2 IN (
                'AL', 'AM', 'AZ', 'BG', 'BY', 'CZ', 'GE', 'GR', 'HR', 'HU', 'LT', 'LV', 'MD', 'MK',
                'PL', 'RO', 'RS', 'SI', 'SK', 'UA'
            ) THEN 'Rest of Central & Eastern Europe'
            WHEN $2 IN (
                'BO', 'CR', 'DO', 'EC', 'GT', 'HN', 'HT', 'JM', 'NI', 'PA', 'PR', 'PY', 'SV', 'UY',
                'VE'
            ) THEN 'Rest of Latin America'
            WHEN $2 IN (
                'BH', 'IQ', 'JO', 'KW', 'LB', 'OM', 'QA', 'YE'
            ) THEN 'Rest of Middle East'
            WHEN $2 IN (
                'AT', 'BE', 'CH', 'DK', 'FI', 'IE', 'NO', 'PT', 'SE'
            ) THEN 'Rest of Western Europe'
        END)
    ) AS named (place, market)
    CROSS JOIN LATERAL (
        -- A rate holds until the next of its market and category begins, also where that one ends by itself.
        SELECT DISTINCT ON (rates.category)
            rates.category, rates.effective_from, rates.effective_until, rates.micros
        FROM tally.rates
        WHERE rates.currency = $1 AND rates.market = named.market AND rates.effective_from <= $4
            AND rates.category IN ($3, CASE $3 WHEN 'authentication-international' THEN 'authentication_international' WHEN 'marketing_lite' THEN 'marketing' END)
        ORDER BY rates.category, rates.effective_from DESC
    ) AS held
    WHERE $2 <> '' AND coalesce(held.effective_until > $4, true)
    ORDER BY named.place, held.category = $3 DESC
    LIMIT 1
$$;
-- [[[end]]]
