-- The recount of calls: every call counter, directly from the raw packets, in plain SQL.
--
-- It shares no code with the pipeline. If the two disagree, one of them reads the definitions (docs/calls.md)
-- wrongly. It is written to be checked by eye, not to be fast.
--
-- Execute recount.sql first, whose functions this file uses. The column headers of recount.raw is a jsonb object
-- (name -> text). Results: recount.call_template_stats, recount.call_stats, recount.operator_stats; by cell:
-- recount_call_cells.sql.
-- Times are microseconds since 1970. All names here begin with call_, except operator_stats.

DO $$
DECLARE
    relation record;
    routine record;
BEGIN
    FOR relation IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'recount'::regnamespace AND relkind = 'r'
            AND (starts_with(relname, 'call_') OR relname = 'operator_stats')
    LOOP
        EXECUTE format('DROP TABLE recount.%I', relation.relname);
    END LOOP;
    FOR routine IN
        SELECT oid::regprocedure AS name FROM pg_proc
        WHERE pronamespace = 'recount'::regnamespace AND starts_with(proname, 'call_')
    LOOP
        EXECUTE format('DROP FUNCTION %s', routine.name);
    END LOOP;
END $$;


-- ------------------------------------------------------------------------------- published lists

CREATE TABLE recount.call_outcome_rank AS
SELECT outcome, rank
FROM (
    VALUES ('queued', 1), ('requested', 2), ('skipped', 3), ('cancelled', 4), ('failed', 5), ('accepted', 6)
) AS ranked (outcome, rank);

CREATE TABLE recount.call_outcome_of_cause AS
SELECT cause, outcome
FROM (
    VALUES
        (17, 'busy'), (21, 'rejected'), (1, 'unreachable'), (3, 'unreachable'), (20, 'unreachable'),
        (22, 'unreachable'), (28, 'unreachable'), (34, 'congestion'), (38, 'congestion'),
        (42, 'congestion'), (18, 'no_answer'), (19, 'no_answer')
) AS listed (cause, outcome);

CREATE TABLE recount.call_outcome_of_dial_status AS
SELECT dial_status, outcome
FROM (
    VALUES
        ('BUSY', 'busy'), ('NOANSWER', 'no_answer'), ('CANCEL', 'call_cancelled'), ('ABORT', 'call_cancelled'),
        ('CONGESTION', 'congestion'), ('CHANUNAVAIL', 'unreachable')
) AS listed (dial_status, outcome);

CREATE TABLE recount.call_variable_name AS
SELECT name
FROM (
    VALUES
        ('CAMPAIGN_ID'), ('CONTACT_ID'), ('ATTEMPT_ID'), ('TENANT_ID'), ('SCRIPT_ID'), ('AMDSTATUS')
) AS configured (name);

-- Events that show channels. All others say nothing about calls, so it does not matter which of them a PBX sends.
CREATE TABLE recount.call_showing AS
SELECT event
FROM (
    VALUES
        ('Newchannel'), ('Newstate'), ('LocalBridge'), ('Pickup'), ('BlindTransfer'), ('AttendedTransfer'),
        ('CoreShowChannel'), ('HangupRequest'), ('Hangup'), ('DialBegin'), ('DialState'), ('DialEnd'),
        ('BridgeEnter'), ('BridgeLeave'), ('Hold'), ('Unhold'), ('QueueCallerJoin'), ('QueueCallerLeave'),
        ('QueueCallerAbandon'), ('AgentCalled'), ('AgentConnect'), ('AgentComplete'), ('AgentDump'),
        ('AgentRingNoAnswer')
) AS listed (event);

-- The prefixes of the fields of channels that an event shows whole: its own channel, its Dest, and others.
CREATE TABLE recount.call_prefix AS
SELECT prefix
FROM (
    VALUES
        (''), ('dest'), ('localone'), ('localtwo'), ('target'), ('transferer'), ('transferee'), ('transfertarget'),
        ('origtransferer'), ('secondtransferer'), ('parkee'), ('parker')
) AS listed (prefix);

-- Scripts whose calls are meant for an operator even without a queue; none by default.
CREATE TABLE recount.call_operator_script (name text);

-- Whether answered calls without a verdict of machine detection were answered by a person; not by default.
CREATE TABLE recount.call_unknown_is_human AS SELECT false AS is_set;


-- ----------------------------------------------------------------------------- packets and fields

-- The text of a packet. Bytes that are not UTF-8 are read as Latin-1, so a name never loses an event. Null if it
-- holds a NUL byte.
CREATE FUNCTION recount.call_text(body bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN coalesce(recount.as_text(body), convert_from(body, 'LATIN1'));
EXCEPTION WHEN character_not_in_repertoire THEN
    RETURN NULL;
END $$;

-- One record is one packet, as text or as a JSON object. Any other record is a dead letter.
CREATE UNLOGGED TABLE recount.call_record AS
SELECT row_number() OVER () AS record, kafka_ms, headers, doc, CASE WHEN doc IS NULL THEN body END AS body
FROM (
    SELECT kafka_ms, headers, body, CASE WHEN body ~ '^\s*\{' THEN recount.as_json(convert_to(body, 'UTF8')) END AS doc
    FROM (
        SELECT CASE WHEN kafka_ms > 0 THEN kafka_ms END AS kafka_ms, coalesce(headers, '{}') AS headers,
            recount.call_text(body) AS body
        FROM recount.raw
        WHERE topic = 'ami-events' AND octet_length(body) <= recount.most('record')
    ) AS text_record
    WHERE body IS NOT NULL
) AS read_record
WHERE body !~ '^\s*\{' OR jsonb_typeof(doc) = 'object';

ANALYZE recount.call_record;

-- Every line of a packet. Keys differ in case between events and repeat within one.
CREATE UNLOGGED TABLE recount.call_line AS
SELECT record, lower(left(line, strpos(line, ':') - 1)) COLLATE "C" AS key, place,
    regexp_replace(rtrim(substr(line, strpos(line, ':') + 1), E'\r'), '^ ', '') COLLATE "C" AS value
FROM recount.call_record
    CROSS JOIN string_to_table(body, E'\n') WITH ORDINALITY AS lines (line, place)
WHERE strpos(line, ':') > 1
UNION ALL
SELECT record, lower(key) COLLATE "C", place, (item #>> '{}') COLLATE "C"
FROM recount.call_record
    CROSS JOIN jsonb_each(doc) AS field (key, value)
    CROSS JOIN jsonb_array_elements(
        CASE WHEN jsonb_typeof(value) = 'array' THEN value ELSE jsonb_build_array(value) END
    ) WITH ORDINALITY AS items (item, place)
WHERE doc IS NOT NULL;

ANALYZE recount.call_line;

-- Bad packets: those with a value that is not a string or holds a NUL, and those with too many lines.
CREATE UNLOGGED TABLE recount.call_bad_record AS
SELECT record
FROM recount.call_line
GROUP BY record
HAVING count(*) > recount.most('packet_lines')
UNION
SELECT record
FROM recount.call_record CROSS JOIN jsonb_each(doc) AS field (key, value)
WHERE NOT (key = 'received_at' AND jsonb_typeof(value) = 'number' AND recount.id(value) IS NOT NULL)
    AND CASE jsonb_typeof(value)
        WHEN 'string' THEN strpos(value #>> '{}', U&'\FDD0') > 0
        WHEN 'array' THEN EXISTS (
            SELECT FROM jsonb_array_elements(value) AS items (item)
            WHERE jsonb_typeof(item) <> 'string' OR strpos(item #>> '{}', U&'\FDD0') > 0)
        ELSE true END;

ANALYZE recount.call_bad_record;

-- The fields of a packet, {key: [values]}, and its record's metadata, from headers or JSON fields.
CREATE UNLOGGED TABLE recount.call_content AS
SELECT
    record,
    coalesce(headers ->> 'pbx', said.pbx) AS pbx,
    coalesce(headers ->> 'tenant', said.tenant) AS tenant,
    coalesce(headers ->> 'tenants', said.tenants, '') AS tenants,
    kafka_ms,
    coalesce(headers ->> 'received_at', said.received_at) AS received_at,
    fields
FROM recount.call_record
    JOIN (
        SELECT record, jsonb_object_agg(key, to_jsonb(list)) AS fields
        FROM (
            SELECT record, key, array_agg(value ORDER BY place) AS list
            FROM recount.call_line JOIN recount.call_record USING (record)
            WHERE doc IS NULL OR key NOT IN ('pbx', 'tenant', 'tenants', 'received_at')
            GROUP BY record, key
        ) AS lists
        GROUP BY record
    ) AS grouped USING (record)
    LEFT JOIN (
        SELECT record,
            (array_agg(value ORDER BY place) FILTER (WHERE key = 'pbx'))[1] AS pbx,
            (array_agg(value ORDER BY place) FILTER (WHERE key = 'tenant'))[1] AS tenant,
            (array_agg(value ORDER BY place) FILTER (WHERE key = 'tenants'))[1] AS tenants,
            (array_agg(value ORDER BY place) FILTER (WHERE key = 'received_at'))[1] AS received_at
        FROM recount.call_line JOIN recount.call_record USING (record)
        WHERE doc IS NOT NULL
        GROUP BY record
    ) AS said USING (record)
WHERE NOT EXISTS (SELECT FROM recount.call_bad_record AS bad WHERE bad.record = call_record.record);

CREATE FUNCTION recount.call_first(fields jsonb, key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT (fields -> key) ->> 0
$$;

-- The id of a channel; null if there is none.
CREATE FUNCTION recount.call_known(fields jsonb, key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT nullif(nullif(recount.call_first(fields, key), ''), '<unknown>')
$$;

-- A whole number, with or without blanks around it; null if it is not one.
CREATE FUNCTION recount.call_number(fields jsonb, key text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN written ~ '^[0-9]{1,15}$' THEN written::bigint END
    FROM (SELECT btrim(recount.call_first(fields, key), E' \t\n\r\f\x0b') AS written) AS given
$$;

-- The name of a queue; a name that is too long is replaced by its digest.
CREATE FUNCTION recount.call_queue(fields jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN octet_length(name) > recount.most('queue_name')
        THEN 'sha256:' || left(encode(sha256(convert_to(name, 'UTF8')), 'hex'), 32) ELSE name END
    FROM (SELECT recount.call_first(fields, 'queue') AS name) AS given
$$;

-- Where a channel is in a bridge. Bridges of technology holding_bridge (parking lots, BridgeWait, hold queues) connect
-- nobody: whoever waits in one is in a place of its own.
CREATE FUNCTION recount.call_place(fields jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT recount.call_first(fields, 'bridgeuniqueid') || CASE recount.call_first(fields, 'bridgetechnology')
        WHEN 'holding_bridge' THEN E'\n' || recount.call_first(fields, 'uniqueid') ELSE '' END
$$;

CREATE FUNCTION recount.call_stamp_us(written text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN written ~ '^[0-9]{1,12}(\.[0-9]{1,9})?$' AND written::numeric < 253402300800
        THEN trunc(written::numeric * 1000000)::bigint END
$$;

-- Whether a time lies between 2009 and a day after Kafka's time of the record, if that is known.
CREATE FUNCTION recount.call_is_possible(at_us bigint, kafka_ms bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT at_us / 1000 BETWEEN 1230768000000 AND least(kafka_ms + 86400000, 253402300799999)
$$;

-- Copies with the same content are one packet, received when the first copy was. A PBX is bound to the tenant of
-- its record, unless the record allows any.
CREATE UNLOGGED TABLE recount.call_packet AS
SELECT
    row_number() OVER () AS packet, pbx, fields, at_us, kafka_ms, is_stamped, tenant, bound,
    recount.call_first(fields, 'event') AS event,
    CASE WHEN fields ? 'channel' OR recount.call_first(fields, 'event') = 'OriginateResponse'
        THEN recount.call_known(fields, 'uniqueid') END COLLATE "C" AS uniqueid,
    CASE WHEN fields ? 'destchannel' THEN recount.call_known(fields, 'destuniqueid') END COLLATE "C" AS dest
FROM (
    SELECT
        pbx COLLATE "C" AS pbx, fields,
        coalesce(recount.call_stamp_us(stamp), 1000 * min(received_ms)) AS at_us,
        stamp IS NOT NULL AS is_stamped,
        min(recount.id(to_jsonb(tenant)) COLLATE "C") AS tenant,
        min(recount.id(to_jsonb(tenant)) COLLATE "C") FILTER (WHERE tenants = '') AS bound,
        CASE WHEN bool_and(kafka_ms IS NOT NULL) THEN max(kafka_ms) END AS kafka_ms
    FROM recount.call_content
        CROSS JOIN LATERAL (
            SELECT nullif(recount.call_first(fields, 'timestamp'), '') AS stamp,
                CASE WHEN received_at ~ '^[0-9]{1,15}$' THEN received_at::bigint END AS received_ms
        ) AS times
    WHERE char_length(pbx) BETWEEN 1 AND 128 AND strpos(pbx, U&'\FDD0') = 0
        AND (coalesce(tenant, '') = '' OR recount.id(to_jsonb(tenant)) IS NOT NULL)
        AND (stamp IS NULL OR recount.call_stamp_us(stamp) IS NOT NULL)
        AND tenants IN ('', 'any')
        AND recount.call_is_possible(coalesce(recount.call_stamp_us(stamp), 1000 * received_ms), kafka_ms)
    GROUP BY pbx, fields, stamp
) AS distinct_content
WHERE at_us IS NOT NULL
    AND fields ? 'event'
    AND NOT EXISTS (
        SELECT FROM recount.call_prefix
        WHERE recount.call_first(fields, prefix || 'channel') = 'OutgoingSpoolFailed'
            AND recount.call_first(fields, prefix || 'uniqueid') NOT IN ('', '<unknown>')
            AND recount.call_first(fields, 'event') <> 'OriginateResponse')
    -- An id has at most 512 characters; else the packet is a dead letter.
    AND NOT EXISTS (
        SELECT FROM recount.call_prefix
        WHERE fields ? (prefix || 'channel') AND char_length(recount.call_first(fields, prefix || 'uniqueid')) > 512
            AND recount.call_first(fields, 'event') <> 'OriginateResponse')
    -- An event about a bridge or a queue names it; else it is a dead letter as well.
    AND (recount.call_first(fields, 'event') NOT IN ('BridgeEnter', 'BridgeLeave')
        OR char_length(recount.call_first(fields, 'bridgeuniqueid')) BETWEEN 1 AND 512)
    AND (recount.call_first(fields, 'event') NOT IN (
            'QueueCallerJoin', 'QueueCallerLeave', 'QueueCallerAbandon', 'AgentCalled', 'AgentConnect',
            'AgentComplete', 'AgentDump', 'AgentRingNoAnswer')
        OR char_length(recount.call_first(fields, 'queue')) BETWEEN 1 AND 512);

CREATE INDEX ON recount.call_packet (event);
ANALYZE recount.call_packet;


-- ---------------------------------------------------------------------------------------- channels

-- Every snapshot of a channel, under any prefix (Dest, LocalOne, Transferee ...).
CREATE UNLOGGED TABLE recount.call_snapshot AS
SELECT
    packet, pbx, at_us, tenant, bound,
    recount.call_first(fields, prefix || 'uniqueid') COLLATE "C" AS uniqueid,
    recount.call_first(fields, prefix || 'channel') COLLATE "C" AS name,
    recount.call_first(fields, prefix || 'channelstate') AS state,
    nullif(recount.call_first(fields, prefix || 'linkedid'), '') COLLATE "C" AS linkedid,
    recount.id(to_jsonb(btrim(recount.call_first(fields, prefix || 'tenantid'), E' \t\n\r\f\x0b'))) COLLATE "C"
        AS tenantid,
    fields -> (prefix || 'chanvariable') AS variables
FROM recount.call_packet
    CROSS JOIN recount.call_prefix
WHERE fields ? (prefix || 'channel')
    AND recount.call_first(fields, prefix || 'uniqueid') NOT IN ('', '<unknown>')
    AND (event IN (SELECT listed.event FROM recount.call_showing AS listed)
        OR event = 'VarSet' AND recount.call_first(fields, 'value') <> ''
            AND ltrim(recount.call_first(fields, 'variable'), '_') IN (SELECT name FROM recount.call_variable_name));

CREATE INDEX ON recount.call_snapshot (pbx, uniqueid);
ANALYZE recount.call_snapshot;

-- A variable of a snapshot without Asterisk's C escapes.
CREATE FUNCTION recount.call_unescaped(written text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN strpos(written, '\') = 0 THEN written ELSE (
        SELECT string_agg(coalesce(translate(part[1], 'abfnrtv', E'\x07\b\f\n\r\t\x0b'), part[2]), '' ORDER BY place)
        FROM regexp_matches(written, '\\(.)|([^\\]+|\\$)', 'g') WITH ORDINALITY AS parts (part, place)) END
$$;

-- Every configured variable of a channel in every event, trimmed; one that is too long is ignored.
CREATE UNLOGGED TABLE recount.call_shown AS
SELECT packet, pbx, uniqueid, name, at_us,
    CASE WHEN name = 'SCRIPT_ID' THEN recount.short_name(value) ELSE value END COLLATE "C" AS value
FROM (
    SELECT packet, pbx, uniqueid, at_us,
        ltrim(split_part(entry, '=', 1), '_') AS name,
        recount.call_unescaped(substr(entry, strpos(entry, '=') + 1)) AS given
    FROM recount.call_snapshot CROSS JOIN jsonb_array_elements_text(variables) AS entries (entry)
    WHERE strpos(entry, '=') > 0
    UNION ALL
    SELECT packet, pbx, uniqueid, at_us, ltrim(recount.call_first(fields, 'variable'), '_'),
        recount.call_first(fields, 'value')
    FROM recount.call_packet
    WHERE event = 'VarSet' AND uniqueid IS NOT NULL
) AS entry
    JOIN recount.call_variable_name USING (name)
    CROSS JOIN LATERAL (SELECT btrim(given, E' \t\n\r\f\x0b') COLLATE "C" AS value) AS trimmed
WHERE char_length(value) BETWEEN 1 AND CASE WHEN name = 'SCRIPT_ID' THEN 512 ELSE 128 END;

CREATE INDEX ON recount.call_shown (packet, pbx, uniqueid);
ANALYZE recount.call_shown;

-- The earliest value of each configured variable of a channel.
CREATE UNLOGGED TABLE recount.call_variable AS
SELECT DISTINCT ON (pbx, uniqueid, name) pbx, uniqueid, name, at_us, value
FROM recount.call_shown
ORDER BY pbx, uniqueid, name, at_us, value;

CREATE INDEX ON recount.call_variable (pbx, uniqueid);

-- Campaign and contact of a channel: both from the first event that shows both, else the first of each.
CREATE UNLOGGED TABLE recount.call_whom AS
SELECT DISTINCT ON (pbx, uniqueid) pbx, uniqueid, campaign, contact
FROM (
    SELECT pbx, uniqueid, 1 AS rank, campaign.at_us, campaign.value AS campaign, contact.value AS contact
    FROM recount.call_shown AS campaign JOIN recount.call_shown AS contact USING (packet, pbx, uniqueid)
    WHERE campaign.name = 'CAMPAIGN_ID' AND contact.name = 'CONTACT_ID'
    UNION ALL
    SELECT pbx, uniqueid, 2, 0, campaign.value, contact.value
    FROM recount.call_variable AS campaign JOIN recount.call_variable AS contact USING (pbx, uniqueid)
    WHERE campaign.name = 'CAMPAIGN_ID' AND contact.name = 'CONTACT_ID'
) AS shown
ORDER BY pbx, uniqueid, rank, at_us, campaign, contact;

CREATE UNLOGGED TABLE recount.call_hangup AS
SELECT DISTINCT ON (pbx, uniqueid) pbx, uniqueid, at_us,
    recount.call_number(fields, 'cause') AS cause
FROM recount.call_packet
WHERE event = 'Hangup' AND uniqueid IS NOT NULL
ORDER BY pbx, uniqueid, at_us, recount.call_number(fields, 'cause') NULLS FIRST;

CREATE UNLOGGED TABLE recount.call_dial AS
SELECT pbx, event, at_us, uniqueid, dest, recount.call_first(fields, 'dialstatus') AS dial_status
FROM recount.call_packet
WHERE event IN ('DialBegin', 'DialState', 'DialEnd') AND dest IS NOT NULL;

-- The latest resync of a PBX: channels that were last seen before it have vanished. A resync is never later than
-- Kafka's time of its record.
CREATE UNLOGGED TABLE recount.call_resync AS
SELECT pbx, max(least(at_us, 1000 * kafka_ms + 999) - 1000000 * (uptime_s + 1)) AS at_us
FROM (
    SELECT pbx, at_us, kafka_ms, recount.call_number(fields, 'uptime') AS uptime_s
    FROM recount.call_packet
    WHERE event = 'FullyBooted'
    UNION ALL
    SELECT pbx, at_us, kafka_ms, 0 FROM recount.call_packet WHERE event = 'CoreShowChannelsComplete'
) AS resynced
GROUP BY pbx;

-- Events that show that a channel still exists: lists, bridges, holds, queues, and the first offer to an operator.
-- Its first sight, its coming up, its first hang-up request and its first end of a dial show it as well.
CREATE UNLOGGED TABLE recount.call_telling AS
SELECT pbx, uniqueid, at_us FROM recount.call_packet
WHERE uniqueid IS NOT NULL AND event IN (
    'CoreShowChannel', 'BridgeEnter', 'BridgeLeave', 'Hold', 'Unhold',
    'QueueCallerJoin', 'QueueCallerLeave', 'QueueCallerAbandon')
UNION ALL
SELECT pbx, dest, min(at_us) FROM recount.call_packet
WHERE dest IS NOT NULL
    AND event IN ('AgentCalled', 'AgentConnect', 'AgentComplete', 'AgentDump', 'AgentRingNoAnswer')
GROUP BY pbx, dest;

CREATE UNLOGGED TABLE recount.call_channel AS
SELECT
    pbx, uniqueid, name, starts_with(name, 'Local/') AS is_local,
    first_us,
    least(up_us, answered_us) AS up_us,
    coalesce(was_ringing, false) OR coalesce(was_rung, false) AS rang,
    call_hangup.at_us AS hangup_us, cause,
    coalesce(call_hangup.at_us IS NULL AND heard_us < call_resync.at_us, false) AS has_vanished,
    call_hangup.at_us IS NOT NULL OR coalesce(heard_us < call_resync.at_us, false) AS is_over,
    request_us, is_far_request, dial_end_us, dial_status
FROM (
    SELECT pbx, uniqueid,
        (array_agg(name ORDER BY at_us, name))[1] AS name,
        min(at_us) AS first_us,
        min(at_us) FILTER (WHERE state = '6') AS up_us,
        bool_or(state = '5') AS was_ringing
    FROM recount.call_snapshot
    GROUP BY pbx, uniqueid
) AS seen
    LEFT JOIN (
        SELECT pbx, dest AS uniqueid,
            min(at_us) FILTER (WHERE event = 'DialEnd' AND dial_status = 'ANSWER') AS answered_us,
            bool_or(event <> 'DialBegin' AND dial_status = 'RINGING') AS was_rung,
            min(at_us) FILTER (WHERE event = 'DialEnd' AND dial_status <> '') AS dial_end_us,
            (array_agg(dial_status ORDER BY at_us, dial_status)
                FILTER (WHERE event = 'DialEnd' AND dial_status <> ''))[1] AS dial_status
        FROM recount.call_dial
        GROUP BY pbx, dest
    ) AS dialled USING (pbx, uniqueid)
    LEFT JOIN recount.call_hangup USING (pbx, uniqueid)
    LEFT JOIN (
        SELECT DISTINCT ON (pbx, uniqueid) pbx, uniqueid, at_us AS request_us,
            coalesce(recount.call_number(fields, 'cause') > 0, false) AS is_far_request
        FROM recount.call_packet WHERE event = 'HangupRequest'
        ORDER BY pbx, uniqueid, at_us, is_far_request
    ) AS request USING (pbx, uniqueid)
    LEFT JOIN (
        SELECT pbx, uniqueid, max(at_us) AS told_us FROM recount.call_telling GROUP BY pbx, uniqueid
    ) AS identified USING (pbx, uniqueid)
    CROSS JOIN LATERAL (
        SELECT greatest(first_us, up_us, answered_us, request_us, dial_end_us, told_us) AS heard_us
    ) AS heard
    LEFT JOIN recount.call_resync USING (pbx);

CREATE UNIQUE INDEX ON recount.call_channel (pbx, uniqueid);

ANALYZE recount.call_variable, recount.call_channel;


-- ---------------------------------------------------------------------------------------- attempts

-- Voice send results of campaigns that name a PBX and an id; others say nothing about calls. A result that breaks
-- any row of the contract's table is a dead letter.
CREATE UNLOGGED TABLE recount.call_send AS
WITH field AS MATERIALIZED (
    SELECT
        body ->> 'outcome' AS outcome,
        recount.id(body -> 'tenant') COLLATE "C" AS tenant,
        recount.id(body -> 'campaign') COLLATE "C" AS campaign,
        recount.id(body #> '{contact,id}') COLLATE "C" AS contact,
        CASE WHEN recount.is_absent(body -> 'attempt') THEN '1' ELSE recount.id(body -> 'attempt') END
            COLLATE "C" AS attempt,
        recount.short_name(coalesce(body #>> '{template,name}', '')) COLLATE "C" AS template_name,
        recount.short_name(replace(coalesce(body #>> '{template,language}', ''), '-', '_')) COLLATE "C"
            AS template_language,
        recount.name(body -> 'pbx') COLLATE "C" AS pbx,
        recount.phone(recount.name(body #> '{contact,phone}')) AS phone,
        recount.phone(recount.name(body #> '{contact,wa_id}')) AS wa_id,
        recount.user_id(recount.name(body #> '{contact,user_id}')) AS user_id,
        recount.name(body #> '{call,action_id}') COLLATE "C" AS action_id,
        recount.name(body #> '{call,channel_id}') COLLATE "C" AS channel_id,
        recount.name(body #> '{call,unique_id}') COLLATE "C" AS unique_id,
        recount.name(body #> '{call,linked_id}') COLLATE "C" AS linked_id,
        body #>> '{call,customer_leg}' AS customer_leg,
        recount.words(body -> 'reason') AS reason,
        recount.unix_ms(body -> 'time', latest_ms) AS at_ms,
        -- Required of attempts that reached a PBX, and optional for others.
        body ->> 'outcome' IN ('requested', 'accepted')
            OR (recount.name(body -> 'pbx') IS NOT NULL
                AND coalesce(body -> 'call', 'null') NOT IN ('null', '{}')) AS has_call,
        body
    FROM recount.event
    WHERE topic = 'send-results' AND jsonb_typeof(body) = 'object' AND body -> 'channel' = '"voice"'
)
SELECT
    tenant, campaign, contact, attempt, outcome, template_name, template_language, at_ms, pbx,
    phone, wa_id, user_id, action_id, channel_id, unique_id, linked_id, (customer_leg = 'second') IS TRUE AS is_second
FROM field
WHERE has_call
    AND coalesce((body -> 'v')::text, 'null') IN ('null', '1')
    AND tenant IS NOT NULL AND campaign IS NOT NULL AND contact IS NOT NULL AND at_ms IS NOT NULL
    AND body -> 'outcome' IN ('"queued"', '"requested"', '"accepted"', '"failed"', '"skipped"', '"cancelled"')
    AND recount.is_fine(body #> '{contact,phone}')
    AND recount.is_fine(body #> '{contact,wa_id}')
    AND recount.is_fine(body #> '{contact,user_id}')
    AND (outcome NOT IN ('requested', 'accepted') OR coalesce(
        recount.name(body #> '{contact,phone}'), recount.name(body #> '{contact,wa_id}'),
        recount.name(body #> '{contact,user_id}')) IS NOT NULL)
    AND recount.is_fine(body -> 'message_id')
    AND recount.is_fine(body -> 'retry_of')
    AND attempt IS NOT NULL AND (recount.is_absent(body -> 'attempt')
        OR jsonb_typeof(body -> 'attempt') = 'string' OR attempt ~ '^[1-9]')
    AND (recount.is_absent(body -> 'template') OR (
        recount.name(body #> '{template,name}') IS NOT NULL
        AND recount.is_fine(body #> '{template,language}')
        AND (recount.is_absent(body #> '{template,id}') OR recount.id(body #> '{template,id}') IS NOT NULL)))
    AND CASE WHEN recount.is_absent(body -> 'error') THEN outcome <> 'failed' ELSE
        body #> '{error,source}' IN ('"meta"', '"platform"', '"pbx"')
        AND recount.id(body #> '{error,code}') IS NOT NULL END
    AND CASE WHEN recount.is_absent(body -> 'reason') THEN outcome NOT IN ('skipped', 'cancelled')
        ELSE char_length(reason) <= 64 END
    AND char_length(pbx) <= 128
    AND recount.is_fine(body #> '{call,action_id}')
    AND recount.is_fine(body #> '{call,channel_id}')
    AND recount.is_fine(body #> '{call,unique_id}')
    AND recount.is_fine(body #> '{call,linked_id}')
    AND coalesce(action_id, channel_id, unique_id, linked_id) IS NOT NULL
    AND (recount.is_absent(body #> '{call,customer_leg}')
        OR body #> '{call,customer_leg}' IN ('"first"', '"second"'));

-- Attempts of send results, and the ids of their calls. An attempt whose results name several PBXs is a separate
-- attempt at each PBX, with the results that name this PBX.
CREATE UNLOGGED TABLE recount.call_sent AS
SELECT row_number() OVER (ORDER BY tenant, campaign, contact, attempt, pbx) AS id, *
FROM (
    SELECT
        tenant, campaign, contact, attempt, pbx, 1000 * min(at_ms) AS asked_us,
        (array_agg(template_name ORDER BY rank DESC, template_name, template_language))[1] AS template_name,
        (array_agg(template_language ORDER BY rank DESC, template_name, template_language))[1] AS template_language,
        bool_or(is_second) AS is_second
    FROM recount.call_send JOIN recount.call_outcome_rank USING (outcome)
    GROUP BY tenant, campaign, contact, attempt, pbx
) AS attempts;

CREATE UNLOGGED TABLE recount.call_sent_id AS
SELECT DISTINCT id, pbx, kind, value
FROM recount.call_send
    JOIN recount.call_sent USING (tenant, campaign, contact, attempt, pbx)
    CROSS JOIN LATERAL (
        VALUES (1, channel_id), (2, unique_id), (3, linked_id), (5, action_id)
    ) AS ids (kind, value)
WHERE value IS NOT NULL;

CREATE UNLOGGED TABLE recount.call_response AS
SELECT packet, pbx, at_us, bound,
    nullif(uniqueid, '<unknown>') AS uniqueid,
    nullif(recount.call_first(fields, 'actionid'), '') COLLATE "C" AS action_id,
    recount.call_number(fields, 'reason') AS reason
FROM recount.call_packet
WHERE event = 'OriginateResponse';

-- -------------------------------------------------------------------------------- what is one call

-- Campaign and contact of a channel in one event.
CREATE UNLOGGED TABLE recount.call_whom_shown AS
SELECT packet, pbx, uniqueid,
    recount.id(to_jsonb(min(value) FILTER (WHERE name = 'CAMPAIGN_ID'))) COLLATE "C" AS campaign,
    recount.id(to_jsonb(min(value) FILTER (WHERE name = 'CONTACT_ID'))) COLLATE "C" AS contact
FROM recount.call_shown
WHERE name IN ('CAMPAIGN_ID', 'CONTACT_ID') AND (packet, pbx, uniqueid) IN (
    SELECT packet, pbx, uniqueid FROM recount.call_snapshot)
GROUP BY packet, pbx, uniqueid;

CREATE FUNCTION recount.call_contact(campaign text, contact text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'contact ' || jsonb_build_array(campaign, contact)::text
$$;

-- Clues: names of a call that one event, one channel's variables, or one attempt's send results show together.
CREATE UNLOGGED TABLE recount.call_clue AS
SELECT pbx, 'event ' || packet AS clue, 'channel ' || uniqueid AS name FROM recount.call_snapshot
UNION
SELECT pbx, 'event ' || packet, 'channel ' || linkedid FROM recount.call_snapshot WHERE linkedid IS NOT NULL
UNION
SELECT pbx, 'event ' || packet, recount.call_contact(campaign, contact)
FROM recount.call_whom_shown WHERE campaign IS NOT NULL AND contact IS NOT NULL
UNION
SELECT pbx, 'event ' || packet, 'channel ' || uniqueid FROM recount.call_response WHERE uniqueid IS NOT NULL
UNION
SELECT pbx, 'event ' || packet, 'action ' || action_id FROM recount.call_response WHERE action_id IS NOT NULL
UNION
-- Campaigns and contacts that came in separate events: all pairs, since a late event may change which were first.
SELECT pbx, 'variables ' || uniqueid, unnest(ARRAY[
    'channel ' || uniqueid, recount.call_contact(one.campaign, other.contact)])
FROM recount.call_whom_shown AS one JOIN recount.call_whom_shown AS other USING (pbx, uniqueid)
WHERE one.contact IS NULL AND other.campaign IS NULL
UNION
SELECT pbx, 'attempt ' || id, recount.call_contact(campaign, contact) FROM recount.call_sent
UNION
SELECT pbx, 'attempt ' || id, CASE kind WHEN 5 THEN 'action ' ELSE 'channel ' END || value
FROM recount.call_sent_id;

-- Connected components of names. Each name starts as a separate call, and takes the smallest call that a clue leads
-- to, until nothing changes.
CREATE UNLOGGED TABLE recount.call_name AS
SELECT node, pbx, name, node AS call
FROM (
    SELECT row_number() OVER () AS node, pbx, name
    FROM (SELECT DISTINCT pbx, name FROM recount.call_clue) AS distinct_names
) AS numbered;

CREATE UNIQUE INDEX ON recount.call_name (node);
CREATE UNIQUE INDEX ON recount.call_name (pbx, name);
CREATE INDEX ON recount.call_name (call);
ANALYZE recount.call_clue, recount.call_name;

CREATE UNLOGGED TABLE recount.call_link AS
WITH star AS (
    SELECT node, min(node) OVER (PARTITION BY pbx, clue) AS first_node
    FROM recount.call_clue JOIN recount.call_name USING (pbx, name)
)
SELECT node AS one, first_node AS other FROM star WHERE node <> first_node
UNION
SELECT first_node, node FROM star WHERE node <> first_node;

ANALYZE recount.call_link;

DO $$
DECLARE
    relabelled bigint;
BEGIN
    LOOP
        UPDATE recount.call_name
        SET call = lowest.call
        FROM (
            SELECT mine.call AS old_call, min(theirs.call) AS call
            FROM recount.call_link
                JOIN recount.call_name AS mine ON mine.node = one
                JOIN recount.call_name AS theirs ON theirs.node = other
            WHERE theirs.call < mine.call
            GROUP BY mine.call
        ) AS lowest
        WHERE call_name.call = lowest.old_call;
        GET DIAGNOSTICS relabelled = ROW_COUNT;
        EXIT WHEN relabelled = 0;
    END LOOP;
END $$;

CREATE UNLOGGED TABLE recount.call_of_channel AS
SELECT pbx, uniqueid, call
FROM recount.call_channel JOIN recount.call_name USING (pbx)
WHERE call_name.name = 'channel ' || uniqueid;

CREATE UNIQUE INDEX ON recount.call_of_channel (pbx, uniqueid);
ANALYZE recount.call_of_channel;

-- The two halves of a Local channel, each with the other. Both are in one call, since a restarted PBX reuses names.
CREATE UNLOGGED TABLE recount.call_half AS
SELECT one.pbx, one.uniqueid, other.uniqueid AS other
FROM recount.call_channel AS one
    JOIN recount.call_of_channel AS call_of_one USING (pbx, uniqueid)
    JOIN recount.call_channel AS other ON other.pbx = one.pbx
        AND other.name = left(one.name, -1) || CASE right(one.name, 2) WHEN ';1' THEN '2' ELSE '1' END
    JOIN recount.call_of_channel AS call_of_other ON (call_of_other.pbx, call_of_other.uniqueid, call_of_other.call)
        = (other.pbx, other.uniqueid, call_of_one.call)
WHERE one.is_local AND right(one.name, 2) IN (';1', ';2');

CREATE UNLOGGED TABLE recount.call_dialled AS
SELECT DISTINCT pbx, uniqueid, dest AS leg
FROM recount.call_dial
WHERE uniqueid IS NOT NULL;

CREATE INDEX ON recount.call_half (pbx, uniqueid);
CREATE INDEX ON recount.call_dialled (pbx, uniqueid);
CREATE INDEX ON recount.call_dialled (pbx, leg);
ANALYZE recount.call_half, recount.call_dialled;

-- One step through a Local channel: to the channels that its other half dialled.
CREATE UNLOGGED TABLE recount.call_behind AS
SELECT call_half.pbx, call_half.uniqueid, leg
FROM recount.call_half
    JOIN recount.call_dialled ON call_dialled.pbx = call_half.pbx AND call_dialled.uniqueid = other;

CREATE UNLOGGED TABLE recount.call_walk AS
WITH RECURSIVE walk (pbx, start, uniqueid) AS (
    SELECT pbx, uniqueid, uniqueid FROM recount.call_channel
    UNION
    SELECT walk.pbx, walk.start, leg FROM walk JOIN recount.call_behind USING (pbx, uniqueid)
)
SELECT pbx, start, uniqueid, is_local, is_over,
    (pbx, uniqueid) IN (SELECT pbx, uniqueid FROM recount.call_behind) AS leads_on
FROM walk JOIN recount.call_channel USING (pbx, uniqueid);

CREATE INDEX ON recount.call_walk (pbx, start);

-- The channels that a channel leads to. An ordinary channel leads to itself, and a Local channel to the ends of its
-- steps. A Local channel without dials is an end once it is over: until then its dialplan may still dial.
CREATE UNLOGGED TABLE recount.call_lead AS
SELECT pbx, start, uniqueid
FROM recount.call_walk
WHERE NOT leads_on AND (is_over OR NOT is_local);

CREATE INDEX ON recount.call_lead (pbx, start);

-- The channels on that way: the channel, its other half, the ends, and both halves of the Local channels between.
CREATE UNLOGGED TABLE recount.call_way AS
WITH local AS (
    SELECT pbx, start, uniqueid FROM recount.call_walk WHERE leads_on OR uniqueid = start
)
SELECT pbx, start, uniqueid FROM local
UNION SELECT pbx, start, other FROM local JOIN recount.call_half USING (pbx, uniqueid)
UNION SELECT pbx, start, uniqueid FROM recount.call_lead;

CREATE INDEX ON recount.call_way (pbx, start);
CREATE INDEX ON recount.call_way (pbx, uniqueid);
ANALYZE recount.call_walk, recount.call_lead, recount.call_way;

-- The tenant that a whole call is bound to, by the first event that binds it.
CREATE UNLOGGED TABLE recount.call_bound AS
SELECT DISTINCT ON (call) call, bound
FROM (
    SELECT pbx, 'event ' || packet AS clue, at_us, bound FROM recount.call_snapshot
    UNION ALL SELECT pbx, 'event ' || packet, at_us, bound FROM recount.call_response
) AS said
    JOIN recount.call_clue USING (pbx, clue)
    JOIN recount.call_name USING (pbx, name)
WHERE bound IS NOT NULL
ORDER BY call, at_us, bound;

-- The owner of a channel, in order of precedence: its call's bound tenant, its variable, its field, its record.
CREATE UNLOGGED TABLE recount.call_owner AS
SELECT pbx, uniqueid, coalesce(
    min(bound),
    recount.id(to_jsonb(min(named.value))) COLLATE "C",
    (array_agg(tenantid ORDER BY at_us, tenantid) FILTER (WHERE tenantid IS NOT NULL))[1],
    (array_agg(tenant ORDER BY at_us, tenant) FILTER (WHERE tenant IS NOT NULL))[1]) AS owner
FROM (SELECT pbx, uniqueid, at_us, tenantid, tenant FROM recount.call_snapshot) AS snapshot
    JOIN recount.call_of_channel USING (pbx, uniqueid)
    LEFT JOIN recount.call_bound USING (call)
    LEFT JOIN (
        SELECT pbx, uniqueid, value FROM recount.call_variable WHERE name = 'TENANT_ID'
    ) AS named USING (pbx, uniqueid)
GROUP BY pbx, uniqueid;

-- The channels whose variables name an attempt.
CREATE UNLOGGED TABLE recount.call_naming AS
SELECT
    pbx, uniqueid, first_us,
    recount.id(to_jsonb(whom.campaign)) COLLATE "C" AS campaign,
    recount.id(to_jsonb(whom.contact)) COLLATE "C" AS contact,
    recount.id(to_jsonb(attempt.value)) COLLATE "C" AS attempt,
    bound, coalesce(bound, recount.id(to_jsonb(tenant.value)) COLLATE "C") AS tenant
FROM recount.call_channel
    JOIN recount.call_whom AS whom USING (pbx, uniqueid)
    JOIN recount.call_of_channel USING (pbx, uniqueid)
    LEFT JOIN recount.call_bound USING (call)
    LEFT JOIN (SELECT * FROM recount.call_variable WHERE name = 'ATTEMPT_ID') AS attempt USING (pbx, uniqueid)
    LEFT JOIN (SELECT * FROM recount.call_variable WHERE name = 'TENANT_ID') AS tenant USING (pbx, uniqueid);

-- Channels that entered or left a bridge, and when. Without Timestamp, copies with the same content are one move.
CREATE UNLOGGED TABLE recount.call_move AS
SELECT DISTINCT pbx, call, uniqueid, event, at_us, CASE WHEN NOT is_stamped THEN packet END AS unstamped,
    recount.call_place(fields) COLLATE "C" AS bridge
FROM recount.call_packet JOIN recount.call_of_channel USING (pbx, uniqueid)
WHERE event IN ('BridgeEnter', 'BridgeLeave');

-- Crowds: bridges that the halves of a Local channel were in are one crowd, transitively.
CREATE UNLOGGED TABLE recount.call_crowd AS
WITH RECURSIVE through AS (
    SELECT DISTINCT call, bridge, left(name, -2) AS local
    FROM recount.call_move JOIN recount.call_channel USING (pbx, uniqueid)
    WHERE is_local AND right(name, 2) IN (';1', ';2')
), reach (call, bridge, other) AS (
    SELECT DISTINCT call, bridge, bridge FROM recount.call_move
    UNION
    SELECT reach.call, reach.bridge, theirs.bridge
    FROM reach
        JOIN through AS mine ON (mine.call, mine.bridge) = (reach.call, reach.other)
        JOIN through AS theirs ON (theirs.call, theirs.local) = (mine.call, mine.local)
)
SELECT call, bridge, min(other) AS crowd
FROM reach
GROUP BY call, bridge;

-- Calls beyond a bound, which count nothing: their crowds are too large, or too much is known of them.
CREATE UNLOGGED TABLE recount.call_beyond AS
SELECT call
FROM (
    SELECT call, count(*) * count(DISTINCT uniqueid) ^ 2 AS size
    FROM recount.call_move JOIN recount.call_crowd USING (call, bridge)
    GROUP BY call, crowd
) AS crowds
GROUP BY call
HAVING sum(size) > recount.most('crowd')
UNION
SELECT call
FROM (
    SELECT call FROM recount.call_name
    UNION ALL
    SELECT call FROM recount.call_of_channel
    UNION ALL
    SELECT call FROM recount.call_dialled JOIN recount.call_of_channel AS dialled
        ON (dialled.pbx, dialled.uniqueid) = (call_dialled.pbx, leg)
    UNION ALL
    -- Operators' legs, with each caller that they let ring.
    SELECT call FROM (
        SELECT DISTINCT pbx, uniqueid AS caller, dest AS uniqueid FROM recount.call_packet
        WHERE event = 'AgentRingNoAnswer' AND uniqueid IS NOT NULL
    ) AS missed JOIN recount.call_of_channel USING (pbx, uniqueid)
    UNION ALL
    -- Campaigns and contacts that came in separate events, without the first of each.
    SELECT call FROM (
        SELECT DISTINCT pbx, uniqueid, kind, value,
            dense_rank() OVER (PARTITION BY pbx, uniqueid, kind ORDER BY value) AS place
        FROM recount.call_whom_shown
            CROSS JOIN LATERAL (VALUES ('campaign', campaign), ('contact', contact)) AS shown (kind, value)
        WHERE (campaign IS NULL) <> (contact IS NULL) AND value IS NOT NULL
    ) AS apart JOIN recount.call_of_channel USING (pbx, uniqueid)
    WHERE place > 1
    UNION ALL
    -- Moments.
    SELECT call FROM recount.call_move
    UNION ALL
    SELECT call FROM (
        SELECT DISTINCT pbx, uniqueid, event, at_us, CASE WHEN NOT is_stamped THEN packet END,
            CASE WHEN event LIKE 'Queue%' THEN recount.call_queue(fields) END
        FROM recount.call_packet
        WHERE event IN ('Hold', 'Unhold', 'QueueCallerJoin', 'QueueCallerLeave', 'QueueCallerAbandon')
    ) AS moment JOIN recount.call_of_channel USING (pbx, uniqueid)
    UNION ALL
    SELECT call FROM (
        SELECT DISTINCT pbx, campaign, contact, tenant, attempt, outcome FROM recount.call_send
    ) AS result JOIN recount.call_name USING (pbx)
    WHERE name = recount.call_contact(campaign, contact)
    UNION ALL
    SELECT call FROM recount.call_sent_id JOIN recount.call_name USING (pbx)
    WHERE name = CASE kind WHEN 5 THEN 'action ' ELSE 'channel ' END || value
    UNION ALL
    SELECT call FROM (
        SELECT DISTINCT pbx, coalesce('action ' || action_id, 'channel ' || uniqueid) AS name, reason IS NULL
        FROM recount.call_response
    ) AS response JOIN recount.call_name USING (pbx, name)
) AS known
GROUP BY call
HAVING count(*) > recount.most('call');


-- ----------------------------------------------------------------------- where attempts begin

-- The channel that an attempt's ids name. If several attempts name one channel, the attempt asked first takes it. A
-- channel that is bound to a tenant belongs to no other.
CREATE UNLOGGED TABLE recount.call_id_root AS
SELECT DISTINCT ON (pbx, uniqueid) id, pbx, kind, uniqueid
FROM (
    SELECT DISTINCT ON (id) id, pbx, kind, uniqueid
    FROM (
        SELECT id, pbx, kind, value AS uniqueid, NULL::bigint AS at_us
        FROM recount.call_sent_id WHERE kind < 5
        UNION ALL
        SELECT id, pbx, kind, uniqueid, at_us
        FROM recount.call_sent_id JOIN recount.call_response USING (pbx)
        WHERE kind = 5 AND action_id = value
    ) AS named
        JOIN recount.call_channel USING (pbx, uniqueid)
        JOIN recount.call_of_channel USING (pbx, uniqueid)
        LEFT JOIN recount.call_bound USING (call)
        JOIN (SELECT id, tenant FROM recount.call_sent) AS asking USING (id)
    WHERE tenant = coalesce(bound, tenant)
    ORDER BY id, kind, coalesce(at_us, first_us), uniqueid, pbx
) AS best
    JOIN recount.call_sent USING (id, pbx)
ORDER BY pbx, uniqueid, asked_us, id;

-- The channels above a channel whose variables name a contact: its callers, the other halves of Local channels, and
-- so on.
CREATE UNLOGGED TABLE recount.call_above AS
WITH RECURSIVE above (pbx, start, uniqueid, way) AS (
    SELECT pbx, uniqueid, uniqueid, ARRAY[uniqueid] FROM recount.call_naming
    UNION ALL
    SELECT above.pbx, above.start, next.uniqueid, way || next.uniqueid
    FROM above
        JOIN (
            SELECT pbx, uniqueid AS below, other AS uniqueid FROM recount.call_half
            UNION ALL
            SELECT pbx, leg, uniqueid FROM recount.call_dialled
        ) AS next ON (next.pbx, next.below) = (above.pbx, above.uniqueid)
    WHERE next.uniqueid <> ALL (way)
)
SELECT pbx, start, uniqueid, min(cardinality(way)) AS distance
FROM above
GROUP BY pbx, start, uniqueid;

CREATE INDEX ON recount.call_above (pbx, start);

-- The channels whose attempt is known, from their variables or from an id.
CREATE UNLOGGED TABLE recount.call_identified AS
SELECT pbx, uniqueid, campaign, contact, attempt FROM recount.call_naming WHERE attempt IS NOT NULL
UNION ALL
SELECT root.pbx, root.uniqueid, sent.campaign, sent.contact, sent.attempt
FROM recount.call_id_root AS root
    JOIN recount.call_sent AS sent USING (id)
    LEFT JOIN recount.call_naming AS naming ON (naming.pbx, naming.uniqueid) = (root.pbx, root.uniqueid)
WHERE naming.attempt IS NULL;

ANALYZE recount.call_naming, recount.call_above, recount.call_identified;

-- Any other channel takes the attempt of the nearest identified channel above. Without one it takes the contact's
-- attempt that was asked for closest in time to the contact's first channel above it, and without any, attempt 1.
CREATE UNLOGGED TABLE recount.call_named AS
SELECT naming.pbx, naming.uniqueid, naming.campaign, naming.contact, naming.tenant, naming.bound, naming.first_us,
    (array_agg(identified.attempt ORDER BY distance, above.uniqueid) FILTER (WHERE identified.attempt IS NOT NULL))[1] AS attempt,
    min(also.first_us) AS begun_us
FROM recount.call_naming AS naming
    JOIN recount.call_above AS above ON (above.pbx, above.start) = (naming.pbx, naming.uniqueid)
    LEFT JOIN recount.call_identified AS identified ON (identified.pbx, identified.uniqueid, identified.campaign, identified.contact)
        = (above.pbx, above.uniqueid, naming.campaign, naming.contact)
    LEFT JOIN recount.call_naming AS also ON (also.pbx, also.uniqueid, also.campaign, also.contact)
        = (above.pbx, above.uniqueid, naming.campaign, naming.contact)
GROUP BY naming.pbx, naming.uniqueid, naming.campaign, naming.contact, naming.tenant, naming.bound, naming.first_us;

CREATE UNLOGGED TABLE recount.call_named_send AS
SELECT DISTINCT ON (named.pbx, named.uniqueid) named.pbx, named.uniqueid, sent.id
FROM recount.call_named AS named
    JOIN recount.call_sent AS sent ON sent.pbx = named.pbx AND sent.campaign = named.campaign AND sent.contact = named.contact
        AND sent.attempt = coalesce(named.attempt, sent.attempt)
        AND sent.tenant = coalesce(named.bound, sent.tenant)
    JOIN recount.call_owner AS owned ON (owned.pbx, owned.uniqueid) = (named.pbx, named.uniqueid)
ORDER BY named.pbx, named.uniqueid, (sent.tenant = owner) IS TRUE DESC,
    CASE WHEN named.attempt IS NULL THEN abs(sent.asked_us - named.begun_us) END, sent.attempt, sent.tenant;

-- The first channel of an attempt, in order of precedence: by an id of the channel, by variables that name the
-- attempt, by its ActionID, by other variables. A channel that one attempt's id names or leads to belongs to no other
-- attempt. Of a Local channel it is the half that was dialled.
CREATE FUNCTION recount.call_dialled_half(of_pbx text, channel text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(min(other), channel) COLLATE "C"
    FROM recount.call_half JOIN recount.call_channel USING (pbx, uniqueid)
    WHERE (pbx, uniqueid) = (of_pbx, channel) AND right(name, 2) = ';2'
$$;

CREATE UNLOGGED TABLE recount.call_led AS
SELECT DISTINCT root.id, way.pbx, way.uniqueid
FROM recount.call_id_root AS root
    JOIN recount.call_way AS way
        ON (way.pbx, way.start) = (root.pbx, recount.call_dialled_half(root.pbx, root.uniqueid));

CREATE UNLOGGED TABLE recount.call_sent_root AS
SELECT DISTINCT ON (id) id, pbx, recount.call_dialled_half(pbx, uniqueid) AS uniqueid
FROM (
    SELECT id, pbx, kind, uniqueid FROM recount.call_id_root
    UNION ALL
    SELECT named.id, pbx, CASE WHEN naming.attempt IS NULL THEN 6 ELSE 4 END, uniqueid
    FROM recount.call_named_send AS named
        JOIN recount.call_naming AS naming USING (pbx, uniqueid)
    WHERE NOT EXISTS (
        SELECT FROM recount.call_led AS led
        WHERE (led.pbx, led.uniqueid) = (named.pbx, named.uniqueid) AND led.id <> named.id)
) AS candidate
    JOIN recount.call_channel USING (pbx, uniqueid)
ORDER BY id, kind, first_us, uniqueid, pbx;

-- Channels that name an attempt without send results. Those that a send result's attempt leads to are left out:
-- Asterisk drops quotes from variables, so the same name may be written differently.
CREATE UNLOGGED TABLE recount.call_named_only AS
SELECT named.pbx, uniqueid, campaign, contact, coalesce(attempt, '1') COLLATE "C" AS attempt, tenant
FROM recount.call_named AS named LEFT JOIN recount.call_named_send AS sent USING (pbx, uniqueid)
WHERE sent.id IS NULL AND NOT EXISTS (
    SELECT
    FROM recount.call_above AS above
        JOIN recount.call_way AS way USING (pbx, uniqueid)
        JOIN recount.call_sent_root AS root ON (root.pbx, root.uniqueid) = (way.pbx, way.start)
    WHERE (above.pbx, above.start) = (named.pbx, named.uniqueid));

-- Attempts that no send result names. An attempt needs a tenant.
CREATE UNLOGGED TABLE recount.call_only AS
SELECT *
FROM (
    SELECT
        coalesce(
            (array_agg(named.tenant ORDER BY tenant_variable.at_us, named.tenant)
                FILTER (WHERE named.tenant IS NOT NULL))[1],
            (array_agg(snapshot.tenantid ORDER BY snapshot.at_us, snapshot.tenantid)
                FILTER (WHERE snapshot.tenantid IS NOT NULL))[1],
            (array_agg(snapshot.tenant ORDER BY snapshot.at_us, snapshot.tenant)
                FILTER (WHERE snapshot.tenant IS NOT NULL))[1]) AS tenant,
        named.campaign, named.contact, named.attempt, named.pbx,
        coalesce((array_agg(recount.short_name(script.value) ORDER BY script.at_us, script.value)
            FILTER (WHERE script.value IS NOT NULL))[1], '') AS template_name
    FROM recount.call_named_only AS named
        JOIN recount.call_snapshot AS snapshot USING (pbx, uniqueid)
        LEFT JOIN recount.call_variable AS script
            ON (script.pbx, script.uniqueid, script.name) = (named.pbx, named.uniqueid, 'SCRIPT_ID')
        LEFT JOIN recount.call_variable AS tenant_variable
            ON (tenant_variable.pbx, tenant_variable.uniqueid, tenant_variable.name)
                = (named.pbx, named.uniqueid, 'TENANT_ID')
    GROUP BY named.campaign, named.contact, named.attempt, named.pbx
) AS only_named
WHERE tenant IS NOT NULL;

-- All attempts of campaigns. A bound call has only its tenant's attempts, and a call beyond a bound has none.
CREATE UNLOGGED TABLE recount.call_campaign_attempt AS
SELECT made.*, call
FROM (
    SELECT tenant, campaign, contact, attempt, pbx, template_name, template_language, is_second, id AS sent
    FROM recount.call_sent
    UNION ALL
    SELECT tenant, campaign, contact, attempt, pbx, template_name, '', false, NULL
    FROM recount.call_only
) AS made
    JOIN recount.call_name ON call_name.pbx = made.pbx AND name = recount.call_contact(campaign, contact)
    LEFT JOIN recount.call_bound USING (call)
WHERE tenant = coalesce(bound, tenant)
    AND NOT EXISTS (SELECT FROM recount.call_beyond AS beyond WHERE beyond.call = call_name.call);

-- The callers of queues in calls without such an attempt: each channel that joined a queue is a separate caller.
CREATE UNLOGGED TABLE recount.call_caller AS
SELECT pbx, uniqueid, owner AS tenant
FROM recount.call_of_channel
    JOIN (
        SELECT DISTINCT pbx, uniqueid FROM recount.call_packet WHERE event = 'QueueCallerJoin'
    ) AS joined USING (pbx, uniqueid)
    JOIN recount.call_owner USING (pbx, uniqueid)
WHERE NOT EXISTS (SELECT FROM recount.call_campaign_attempt AS made WHERE made.call = call_of_channel.call)
    AND NOT EXISTS (SELECT FROM recount.call_beyond AS beyond WHERE beyond.call = call_of_channel.call);

-- All subjects of the counters: attempts of campaigns, and callers without a campaign.
CREATE UNLOGGED TABLE recount.call_attempt AS
SELECT row_number() OVER () AS id, *
FROM (
    SELECT tenant, campaign, contact, attempt, pbx AS at_pbx, template_name, template_language, is_second, sent,
        NULL AS caller
    FROM recount.call_campaign_attempt
    UNION ALL
    SELECT tenant, NULL, NULL, NULL, pbx, '', '', false, NULL, uniqueid
    FROM recount.call_caller
    WHERE tenant IS NOT NULL
) AS counted;

CREATE UNLOGGED TABLE recount.call_root AS
SELECT id, channel.pbx, channel.uniqueid, is_local
FROM (
    SELECT attempt.id, root.pbx, root.uniqueid
    FROM recount.call_sent_root AS root JOIN recount.call_attempt AS attempt ON sent = root.id
    UNION ALL
    (
        SELECT DISTINCT ON (id) id, pbx, recount.call_dialled_half(pbx, uniqueid)
        FROM recount.call_named_only AS named
            JOIN recount.call_attempt AS made ON (made.at_pbx, made.campaign, made.contact, made.attempt)
                = (named.pbx, named.campaign, named.contact, named.attempt)
            JOIN recount.call_channel USING (pbx, uniqueid)
        WHERE sent IS NULL
        ORDER BY id, first_us, uniqueid
    )
    UNION ALL
    SELECT id, at_pbx, caller FROM recount.call_attempt WHERE caller IS NOT NULL
) AS begun
    JOIN recount.call_channel AS channel USING (pbx, uniqueid);

-- A response without a Reason says nothing of an outcome.
CREATE UNLOGGED TABLE recount.call_reason AS
SELECT DISTINCT ON (id) id, at_us, reason
FROM (
    SELECT attempt.id, at_us, reason
    FROM recount.call_sent_id AS named
        JOIN recount.call_response USING (pbx)
        JOIN recount.call_attempt AS attempt ON sent = named.id
    WHERE kind = 5 AND action_id = value
    UNION ALL
    SELECT id, at_us, reason FROM recount.call_root JOIN recount.call_response USING (pbx, uniqueid)
) AS response
WHERE reason IS NOT NULL
ORDER BY id, at_us, reason;


-- ----------------------------------------------------------------------------- whose leg is which

-- The legs of the party that was called first.
CREATE UNLOGGED TABLE recount.call_first_leg AS
SELECT id, pbx, lead.uniqueid
FROM recount.call_root AS root JOIN recount.call_lead AS lead USING (pbx)
WHERE lead.start = root.uniqueid;

-- The channels that the first party dialled, if the customer is the second party.
CREATE UNLOGGED TABLE recount.call_second_dialled AS
SELECT DISTINCT id, operator.pbx, leg
FROM (
    SELECT id, pbx, uniqueid FROM recount.call_root
    UNION SELECT id, pbx, uniqueid FROM recount.call_first_leg
) AS operator
    JOIN recount.call_dialled USING (pbx, uniqueid)
    JOIN recount.call_attempt USING (id)
WHERE is_second;

-- The legs of the customer. A leg that is first seen after one of them came up belongs to another party.
CREATE UNLOGGED TABLE recount.call_customer_leg AS
SELECT id, pbx, uniqueid
FROM (
    SELECT id, pbx, uniqueid, first_us, min(up_us) OVER (PARTITION BY id) AS any_up_us
    FROM (
        SELECT id, pbx, uniqueid
        FROM recount.call_first_leg JOIN recount.call_attempt USING (id)
        WHERE NOT is_second
        UNION
        SELECT id, pbx, lead.uniqueid
        FROM recount.call_second_dialled JOIN recount.call_lead AS lead USING (pbx)
        WHERE lead.start = leg
        EXCEPT
        SELECT id, pbx, uniqueid
        FROM recount.call_first_leg JOIN recount.call_attempt USING (id)
        WHERE is_second
    ) AS dialled
        JOIN recount.call_channel USING (pbx, uniqueid)
) AS shown
WHERE coalesce(first_us <= any_up_us, true);

CREATE INDEX ON recount.call_customer_leg (id);
ANALYZE recount.call_customer_leg;

-- The customer's leg: the one that came up first; if none did, the last one.
CREATE UNLOGGED TABLE recount.call_customer AS
SELECT id, channel.*
FROM (
    SELECT id, pbx, uniqueid,
        row_number() OVER (PARTITION BY id ORDER BY up_us, first_us, uniqueid) AS from_first,
        row_number() OVER (PARTITION BY id ORDER BY first_us DESC, uniqueid DESC) AS from_last,
        bool_or(up_us IS NOT NULL) OVER (PARTITION BY id) AS is_up
    FROM recount.call_customer_leg JOIN recount.call_channel USING (pbx, uniqueid)
) AS ranked
    JOIN recount.call_channel AS channel USING (pbx, uniqueid)
WHERE CASE WHEN is_up THEN from_first ELSE from_last END = 1;

-- The attempt's own channels: the first one, the customer's legs, and the Local channels between.
CREATE UNLOGGED TABLE recount.call_own AS
SELECT id, pbx, way.uniqueid
FROM recount.call_root AS root
    JOIN recount.call_way AS way USING (pbx)
WHERE way.start = root.uniqueid
UNION
SELECT id, pbx, way.uniqueid
FROM recount.call_second_dialled JOIN recount.call_way AS way USING (pbx)
WHERE way.start = leg;

CREATE INDEX ON recount.call_own (pbx, uniqueid);
ANALYZE recount.call_customer, recount.call_own;


-- ------------------------------------------------------------------------------ who was connected

-- The stays of a channel in bridges; an open stay has no end.
CREATE UNLOGGED TABLE recount.call_bridge_event AS
SELECT DISTINCT pbx, uniqueid, at_us, event, recount.call_place(fields) COLLATE "C" AS bridge
FROM recount.call_packet
WHERE event IN ('BridgeEnter', 'BridgeLeave') AND uniqueid IS NOT NULL;

CREATE INDEX ON recount.call_bridge_event (pbx, uniqueid);
ANALYZE recount.call_bridge_event;

CREATE UNLOGGED TABLE recount.call_stay AS
SELECT pbx, uniqueid, call, bridge, int8range(at_us, until_us) AS time
FROM (
    SELECT pbx, uniqueid, call, bridge, enter.at_us, least(
        (SELECT min(later.at_us) FROM recount.call_bridge_event AS later
            WHERE (later.pbx, later.uniqueid) = (enter.pbx, enter.uniqueid)
                AND CASE later.event
                    WHEN 'BridgeLeave' THEN later.bridge = enter.bridge AND later.at_us >= enter.at_us
                    ELSE later.bridge <> enter.bridge AND later.at_us > enter.at_us END),
        hangup_us
    ) AS until_us
    FROM recount.call_bridge_event AS enter
        JOIN recount.call_channel USING (pbx, uniqueid)
        JOIN recount.call_of_channel USING (pbx, uniqueid)
    WHERE enter.event = 'BridgeEnter'
) AS entered
WHERE coalesce(at_us < until_us, true);

CREATE INDEX ON recount.call_stay (pbx, uniqueid);
CREATE INDEX ON recount.call_stay (pbx, bridge);
ANALYZE recount.call_stay;

-- The channels that are connected with the customer, and when: in one bridge, and in bridges joined by the halves of
-- Local channels. Channels of other calls do not count, such as those in the same ConfBridge.
CREATE UNLOGGED TABLE recount.call_connected AS
WITH RECURSIVE reach (id, pbx, uniqueid, goes_on, time) AS (
    SELECT id, pbx, uniqueid, true, int8range(NULL, hangup_us)
    FROM recount.call_customer
    WHERE up_us IS NOT NULL
    UNION
    SELECT id, reach.pbx, next.uniqueid, starts_with(name, 'Local/'), reach.time * next.time
    FROM reach
        CROSS JOIN LATERAL (
            SELECT theirs.uniqueid, mine.time * theirs.time AS time
            FROM recount.call_stay AS mine JOIN recount.call_stay AS theirs USING (pbx, call, bridge)
            WHERE (mine.pbx, mine.uniqueid) = (reach.pbx, reach.uniqueid) AND theirs.uniqueid <> mine.uniqueid
            UNION ALL
            SELECT other, reach.time FROM recount.call_half AS half
            WHERE (half.pbx, half.uniqueid) = (reach.pbx, reach.uniqueid)
        ) AS next
        JOIN recount.call_channel AS channel ON (channel.pbx, channel.uniqueid) = (reach.pbx, next.uniqueid)
    WHERE goes_on AND NOT isempty(reach.time * next.time)
)
SELECT id, pbx, uniqueid, range_agg(time) AS times
FROM reach
GROUP BY id, pbx, uniqueid;

-- The channels that queues called, from the earliest Agent* event of each.
CREATE UNLOGGED TABLE recount.call_offer AS
SELECT DISTINCT ON (pbx, start) pbx, start, queue, interface
FROM (
    SELECT pbx, at_us, dest AS start,
        recount.call_queue(fields) COLLATE "C" AS queue,
        nullif(recount.call_first(fields, 'interface'), '') COLLATE "C" AS interface
    FROM recount.call_packet
    WHERE dest IS NOT NULL
        AND event IN ('AgentCalled', 'AgentConnect', 'AgentComplete', 'AgentDump', 'AgentRingNoAnswer')
) AS agent
ORDER BY pbx, start, at_us, queue, interface;

-- The channels that a called channel led to, and through how many Local channels.
CREATE UNLOGGED TABLE recount.call_offered AS
WITH RECURSIVE offered (pbx, start, uniqueid, way) AS (
    SELECT pbx, start, start, ARRAY[start] FROM recount.call_offer
    UNION ALL
    SELECT offered.pbx, start, leg, way || leg
    FROM offered JOIN recount.call_behind USING (pbx, uniqueid)
    WHERE leg <> ALL (way)
)
SELECT pbx, start, uniqueid, min(cardinality(way)) AS distance
FROM offered
GROUP BY pbx, start, uniqueid;

-- When one of these, no Local channel itself, first entered a bridge. An operator's leg ends with its own channel:
-- whatever the called Local channel dials after that is somebody else's.
CREATE UNLOGGED TABLE recount.call_taken AS
SELECT pbx, start, min(at_us) AS taken_us
FROM recount.call_offered
    JOIN recount.call_channel USING (pbx, uniqueid)
    JOIN recount.call_packet AS entered USING (pbx, uniqueid)
WHERE NOT is_local AND event = 'BridgeEnter' AND coalesce(at_us < hangup_us, true)
GROUP BY pbx, start;

-- The queue and interface of a leg: those that it was called for itself, else those of the nearest Local channel that
-- led to it.
CREATE UNLOGGED TABLE recount.call_member AS
SELECT DISTINCT ON (pbx, uniqueid) pbx, uniqueid, queue, interface
FROM recount.call_offered
    JOIN recount.call_offer USING (pbx, start)
    JOIN recount.call_channel USING (pbx, uniqueid)
    LEFT JOIN recount.call_taken USING (pbx, start)
WHERE start = uniqueid OR coalesce(first_us <= taken_us, true)
ORDER BY pbx, uniqueid, distance, start;

CREATE UNLOGGED TABLE recount.call_operator AS
SELECT pbx, uniqueid, queue, coalesce(interface, regexp_replace(name, '-[^-]*$', '')) AS operator
FROM recount.call_channel LEFT JOIN recount.call_member USING (pbx, uniqueid);

-- The spans of hold of a leg; a hold that has not ended does not count.
CREATE UNLOGGED TABLE recount.call_hold AS
SELECT pbx, uniqueid, range_agg(int8range(at_us, until_us)) AS times
FROM (
    SELECT pbx, uniqueid, hold.at_us, least(
        (SELECT min(later.at_us) FROM recount.call_packet AS later
            WHERE later.event = 'Unhold' AND (later.pbx, later.uniqueid) = (hold.pbx, hold.uniqueid)
                AND later.at_us >= hold.at_us),
        hangup_us
    ) AS until_us
    FROM recount.call_packet AS hold JOIN recount.call_channel USING (pbx, uniqueid)
    WHERE event = 'Hold'
) AS held
WHERE at_us < until_us
GROUP BY pbx, uniqueid;

CREATE FUNCTION recount.call_whole_ms(times int8multirange) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(sum(upper(span) - lower(span)), 0)::bigint / 1000
    FROM unnest(times) AS spans (span)
    WHERE NOT upper_inf(span)
$$;

-- Holds that begin while connected: an operator's leg may serve several customers.
CREATE FUNCTION recount.call_begun_within(holds int8multirange, times int8multirange)
RETURNS int8multirange LANGUAGE sql IMMUTABLE AS $$
    SELECT range_agg(span) FROM unnest(holds) AS spans (span) WHERE times @> lower(span)
$$;

-- The operators' legs, each one connect. A connection counts as talk once it has ended.
CREATE UNLOGGED TABLE recount.call_connect AS
SELECT id, connected.pbx, connected.uniqueid, queue, operator,
    lower(connected.times) AS begin_us,
    recount.call_whole_ms(connected.times) AS talk_ms,
    recount.call_whole_ms(recount.call_begun_within(hold.times, connected.times)) AS hold_ms
FROM recount.call_connected AS connected
    JOIN recount.call_channel USING (pbx, uniqueid)
    JOIN recount.call_operator USING (pbx, uniqueid)
    LEFT JOIN recount.call_hold AS hold USING (pbx, uniqueid)
WHERE NOT is_local
    AND NOT EXISTS (
        SELECT FROM recount.call_customer_leg AS leg
        WHERE (leg.pbx, leg.uniqueid) = (connected.pbx, connected.uniqueid));

-- The operators who let one of the attempt's own channels ring.
CREATE UNLOGGED TABLE recount.call_ring_no_answer AS
SELECT DISTINCT id, pbx, dest, operator.queue
FROM recount.call_packet AS packet
    JOIN recount.call_own USING (pbx, uniqueid)
    JOIN recount.call_operator AS operator USING (pbx)
WHERE event = 'AgentRingNoAnswer' AND operator.uniqueid = dest;


-- ------------------------------------------------------------------------------------------ queues

-- The queue events of a channel; its joins without Timestamp to one queue are one.
CREATE UNLOGGED TABLE recount.call_queue_event AS
SELECT pbx, event, uniqueid, recount.call_queue(fields) COLLATE "C" AS queue, at_us
FROM recount.call_packet
WHERE event IN ('QueueCallerJoin', 'QueueCallerLeave', 'QueueCallerAbandon') AND uniqueid IS NOT NULL
GROUP BY pbx, event, uniqueid, queue, at_us, is_stamped
HAVING is_stamped OR event <> 'QueueCallerJoin'
UNION
SELECT pbx, event, uniqueid, recount.call_queue(fields) COLLATE "C" AS queue, min(at_us)
FROM recount.call_packet
WHERE event = 'QueueCallerJoin' AND uniqueid IS NOT NULL AND NOT is_stamped
GROUP BY pbx, event, uniqueid, queue;

CREATE INDEX ON recount.call_queue_event (pbx, uniqueid);
ANALYZE recount.call_queue_event;

CREATE UNLOGGED TABLE recount.call_join AS
SELECT id, queue, greatest(0, coalesce(
    (SELECT min(later.at_us) FROM recount.call_queue_event AS later
        WHERE later.event <> 'QueueCallerJoin' AND later.at_us >= joined.at_us
            AND (later.pbx, later.uniqueid, later.queue) = (joined.pbx, joined.uniqueid, joined.queue)),
    hangup_us
) - joined.at_us) / 1000 AS wait_ms
FROM recount.call_queue_event AS joined
    JOIN recount.call_own USING (pbx, uniqueid)
    LEFT JOIN recount.call_channel USING (pbx, uniqueid)
WHERE event = 'QueueCallerJoin';

-- Asterisk also sends the event when the queue times out, so the customer must have requested the hang-up.
CREATE UNLOGGED TABLE recount.call_abandon AS
SELECT own.id, queue, at_us
FROM recount.call_queue_event AS abandoned
    JOIN recount.call_own AS own USING (pbx, uniqueid)
    JOIN recount.call_customer AS customer ON customer.id = own.id
WHERE event = 'QueueCallerAbandon' AND customer.request_us <= at_us
    AND NOT EXISTS (SELECT FROM recount.call_connect AS later WHERE later.id = own.id AND begin_us > at_us);


-- Callers who wait: the last join of a channel has no end yet, or a leg that the queue called for it is up and about to
-- be connected; no operator of the queue was connected since, and the channel is there.
CREATE UNLOGGED TABLE recount.call_waiting AS
SELECT id, tenant, own.pbx, own.uniqueid, joined.queue, joined.at_us AS since_us
FROM (
    SELECT pbx, uniqueid, queue, max(at_us) AS at_us
    FROM recount.call_queue_event
    WHERE event = 'QueueCallerJoin'
    GROUP BY pbx, uniqueid, queue
) AS joined
    JOIN recount.call_own AS own USING (pbx, uniqueid)
    JOIN recount.call_attempt USING (id)
    JOIN recount.call_channel AS channel USING (pbx, uniqueid)
WHERE NOT channel.is_over
    AND NOT EXISTS (
        SELECT FROM recount.call_connect AS taken
        WHERE (taken.id, taken.queue) = (own.id, joined.queue) AND begin_us >= joined.at_us)
    AND (NOT EXISTS (
            SELECT FROM recount.call_queue_event AS later
            WHERE later.event <> 'QueueCallerJoin' AND later.at_us >= joined.at_us
                AND (later.pbx, later.uniqueid, later.queue) = (joined.pbx, joined.uniqueid, joined.queue))
        OR EXISTS (
            SELECT FROM recount.call_dialled AS dialled
                JOIN recount.call_offer AS offer ON (offer.pbx, offer.start) = (dialled.pbx, dialled.leg)
                JOIN recount.call_channel AS called ON (called.pbx, called.uniqueid) = (dialled.pbx, dialled.leg)
            WHERE (dialled.pbx, dialled.uniqueid, offer.queue) = (joined.pbx, joined.uniqueid, joined.queue)
                AND called.first_us >= joined.at_us AND called.up_us IS NOT NULL AND NOT called.is_over));

-- What became of an attempt in each queue: joins = connects + abandons + timeouts + who waits. There are never fewer joins
-- than ends: whom an attended transfer passes to a queue was put there by the join of another channel.
CREATE UNLOGGED TABLE recount.call_queued AS
SELECT id, queue, connects, abandons, waiting,
    greatest(shown, connects + abandons + waiting) AS joins,
    greatest(shown - connects - abandons - waiting, 0) AS timeouts
FROM (
    SELECT id, queue,
        count(*) FILTER (WHERE what = 'join') AS shown,
        count(*) FILTER (WHERE what = 'connect') AS connects,
        count(*) FILTER (WHERE what = 'abandon') AS abandons,
        count(*) FILTER (WHERE what = 'waiting') AS waiting
    FROM (
        SELECT id, queue, 'join' AS what FROM recount.call_join
        UNION ALL SELECT id, queue, 'connect' FROM recount.call_connect WHERE queue IS NOT NULL
        UNION ALL SELECT id, queue, 'abandon' FROM recount.call_abandon
        UNION ALL SELECT id, queue, 'waiting' FROM recount.call_waiting
    ) AS happened
    GROUP BY id, queue
) AS counted;

-- The buckets of durations: each second has its own up to 50 s; beyond that a bucket is 2 % wide, or less where it would
-- hold one of the ages within which counts are exact, and more than that; its middle is its name.
CREATE UNLOGGED TABLE recount.call_bucket AS
WITH RECURSIVE bound (low, high) AS (
    SELECT 0::bigint, 1::bigint
    UNION ALL
    SELECT
        high,
        least(greatest(high + 1, high * 102 / 100), (
            SELECT min(age) + 1
            FROM unnest(ARRAY[
                10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 259200, 604800
            ]) AS age
            WHERE age >= high
        ))
    FROM bound WHERE high < 10000000000
)
SELECT low, high, (low + high - 1) / 2 AS name FROM bound;

-- How long the customers whom a queue connected had waited since they joined it.
CREATE UNLOGGED TABLE recount.call_waited AS
SELECT taken.id, taken.queue, bucket.name
FROM (
    SELECT connect.id, connect.queue, connect.uniqueid, (begin_us - max(joined.at_us)) / 1000000 AS waited_s
    FROM recount.call_connect AS connect
        JOIN recount.call_own AS own ON (own.id, own.pbx) = (connect.id, connect.pbx)
        JOIN recount.call_queue_event AS joined ON (joined.pbx, joined.uniqueid, joined.queue)
            = (own.pbx, own.uniqueid, connect.queue)
    WHERE joined.event = 'QueueCallerJoin' AND joined.at_us <= begin_us
    GROUP BY connect.id, connect.queue, connect.uniqueid, begin_us
) AS taken
    JOIN recount.call_bucket AS bucket ON waited_s >= low AND waited_s < high;


-- ------------------------------------------------------------------------------ what became of it

-- How the customer's leg of an attempt ended. Our side hung up before the far side asked to, whatever the cause, if the
-- far side did not ask first, and: its dial was taken back (CANCEL, ABORT); or, where an Originate dialled the leg
-- itself, the OriginateResponse has Reason 0 and our own hang-up asked too, or nobody asked, it rang, and no cause of the
-- list says otherwise. Where no OriginateResponse is to come, a dial that ended with NOANSWER and with our asking, which
-- has no cause, is enough: an Originate that timed out ends no dial.
CREATE UNLOGGED TABLE recount.call_end AS
SELECT id, customer.cause, customer.dial_status,
    by_cause.outcome AS outcome_of_cause,
    is_unasked AND customer.dial_status IN ('CANCEL', 'ABORT') IS TRUE AS is_taken_back,
    is_unasked AND NOT root.is_local AND NOT is_second
        AND CASE WHEN customer.request_us IS NULL THEN customer.rang AND by_cause.outcome IS NULL
            ELSE true END AS is_ours_by_reason,
    is_unasked AND NOT root.is_local AND NOT is_second AND customer.request_us IS NOT NULL
        AND NOT customer.is_far_request AND customer.dial_status = 'NOANSWER' IS TRUE
        AND NOT EXISTS (
            SELECT FROM recount.call_dialled AS dialled
            WHERE (dialled.pbx, dialled.leg) = (customer.pbx, customer.uniqueid)) AS is_ours_without_reason
FROM recount.call_customer AS customer
    JOIN recount.call_attempt USING (id)
    JOIN recount.call_root AS root USING (id)
    LEFT JOIN recount.call_outcome_of_cause AS by_cause ON by_cause.cause = customer.cause
    CROSS JOIN LATERAL (
        -- Our own hang-up is a request as well, without a cause and within 1 ms of the dial's end.
        SELECT coalesce(
            customer.request_us + CASE WHEN customer.is_far_request THEN 0 ELSE 1000 END
                >= least(customer.dial_end_us, customer.hangup_us), true) AS is_unasked
    ) AS asked;

CREATE UNLOGGED TABLE recount.call_fate AS
SELECT
    id,
    customer.pbx, customer.uniqueid, customer.up_us, customer.hangup_us, customer.cause,
    customer.uniqueid IS NOT NULL OR (NOT is_second AND coalesce(reason <> 0, false)) AS is_attempted,
    -- Behind a Local channel the response describes the dialplan, which may answer before it dials.
    customer.up_us IS NOT NULL OR (NOT is_second AND coalesce(reason = 4, false)
        AND customer.uniqueid IS NOT DISTINCT FROM root_channel.uniqueid) AS is_answered,
    CASE WHEN customer.uniqueid IS NOT NULL THEN customer.has_vanished ELSE root_channel.has_vanished END IS TRUE AS has_vanished,
    CASE WHEN root_channel.uniqueid IS NULL THEN response.id IS NOT NULL AND reason IS DISTINCT FROM 4
        ELSE root_channel.is_over AND NOT EXISTS (
            SELECT FROM recount.call_customer_leg AS leg JOIN recount.call_channel AS channel USING (pbx, uniqueid)
            WHERE leg.id = attempt.id AND NOT channel.is_over)
            AND NOT (reason IS NULL AND is_awaited AND outcome_of_cause IS NULL)
        END AS is_decided,
    CASE
        WHEN NOT is_second AND reason = 0 AND is_ours_by_reason THEN 'call_cancelled'
        WHEN reason IS NULL AND is_ours_without_reason THEN 'call_cancelled'
        WHEN (is_second OR reason IS DISTINCT FROM 3) AND is_taken_back THEN 'call_cancelled'
        ELSE coalesce(
            outcome_of_cause,
            CASE WHEN reason = 3 AND NOT is_second THEN 'no_answer' END,
            by_dial_status.outcome,
            CASE WHEN reason = 5 AND NOT is_second THEN 'busy' WHEN reason = 8 AND NOT is_second THEN 'congestion' END,
            'call_failed')
    END AS unanswered_as
FROM recount.call_attempt AS attempt
    LEFT JOIN recount.call_root AS root USING (id)
    LEFT JOIN recount.call_channel AS root_channel
        ON (root_channel.pbx, root_channel.uniqueid) = (root.pbx, root.uniqueid)
    LEFT JOIN recount.call_customer AS customer USING (id)
    LEFT JOIN recount.call_end AS ended USING (id)
    LEFT JOIN recount.call_reason AS response USING (id)
    LEFT JOIN recount.call_outcome_of_dial_status AS by_dial_status
        ON by_dial_status.dial_status = customer.dial_status
    CROSS JOIN LATERAL (
        -- An attempt that was asked for by ActionID waits for the OriginateResponse where the cause leaves it to that.
        SELECT NOT is_second AND EXISTS (
            SELECT FROM recount.call_sent_id AS named WHERE named.id = attempt.sent AND kind = 5) AS is_awaited
    ) AS asked;

-- The result of answering machine detection, from its variable.
CREATE UNLOGGED TABLE recount.call_amd AS
SELECT DISTINCT ON (id) id, value AS amd
FROM recount.call_own JOIN recount.call_variable USING (pbx, uniqueid)
WHERE name = 'AMDSTATUS'
ORDER BY id, at_us, value;

-- One row per attempt, and per caller without a campaign.
CREATE UNLOGGED TABLE recount.call_result AS
SELECT
    id, tenant, campaign, template_name, template_language, is_attempted, has_vanished,
    CASE WHEN is_answered THEN 'answered' WHEN is_decided AND NOT has_vanished THEN unanswered_as END AS outcome,
    said.answered_by,
    CASE WHEN hangup_us IS NOT NULL THEN
        CASE WHEN cause BETWEEN 0 AND 127 THEN cause::text ELSE 'other' END END AS hangup_cause,
    CASE WHEN hangup_us > up_us THEN (hangup_us - up_us) / 1000 ELSE 0 END AS connected_ms,
    coalesce(talk_ms, 0) AS talk_ms,
    recount.call_whole_ms(hold.times) + coalesce(operators.hold_ms, 0) AS hold_ms,
    coalesce(wait_ms, 0) AS queue_wait_ms,
    coalesce(joins, 0) AS queue_joins,
    coalesce(abandons, 0) AS queue_abandoned,
    coalesce(timeouts, 0) AS queue_timeouts,
    coalesce(waiting, 0) AS queue_waiting,
    coalesce(connects, 0) AS connects,
    coalesce(unanswered, 0) AS ring_no_answer,
    -- The operator came too late, or not before the end.
    said.answered_by = 'HUMAN' AND (joins > 0 OR template_name IN (SELECT name FROM recount.call_operator_script))
        AND least(begin_us, hangup_us) > up_us + 2000000 AS is_dropped
FROM recount.call_attempt
    JOIN recount.call_fate USING (id)
    LEFT JOIN recount.call_amd USING (id)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN is_answered THEN coalesce(
            amd, CASE WHEN EXISTS (SELECT FROM recount.call_unknown_is_human WHERE is_set) THEN 'HUMAN' END)
        END AS answered_by
    ) AS said
    LEFT JOIN recount.call_hold AS hold USING (pbx, uniqueid)
    LEFT JOIN (
        SELECT id, count(*) AS connects, sum(talk_ms) AS talk_ms, sum(hold_ms) AS hold_ms, min(begin_us) AS begin_us
        FROM recount.call_connect GROUP BY id
    ) AS operators USING (id)
    LEFT JOIN (
        SELECT id, sum(joins) AS joins, sum(timeouts) AS timeouts, sum(waiting) AS waiting
        FROM recount.call_queued GROUP BY id
    ) AS joined USING (id)
    LEFT JOIN (SELECT id, sum(wait_ms) AS wait_ms FROM recount.call_join GROUP BY id) AS waited USING (id)
    LEFT JOIN (SELECT id, count(*) AS abandons FROM recount.call_abandon GROUP BY id) AS abandoned USING (id)
    LEFT JOIN (
        SELECT id, count(DISTINCT (pbx, dest)) AS unanswered FROM recount.call_ring_no_answer GROUP BY id
    ) AS rung USING (id);


-- --------------------------------------------------------------------------------- the counters

-- The entries of the maps, one row per item counted.
CREATE UNLOGGED TABLE recount.call_entry AS
SELECT id, 'hangup_causes' AS map, hangup_cause AS key, 1 AS n
FROM recount.call_result WHERE hangup_cause IS NOT NULL
UNION ALL
SELECT id, 'queue_waits', queue || '/' || name, 1 FROM recount.call_waited
UNION ALL
SELECT id, 'queues', queue || '/' || counter, n
FROM (
    SELECT id, queue, 'joins' AS counter, joins AS n FROM recount.call_queued
    UNION ALL SELECT id, queue, 'timeouts', timeouts FROM recount.call_queued
    UNION ALL SELECT id, queue, 'waiting', waiting FROM recount.call_queued
    UNION ALL SELECT id, queue, 'wait_ms', wait_ms FROM recount.call_join
    UNION ALL SELECT id, queue, 'abandoned', 1 FROM recount.call_abandon
    UNION ALL SELECT id, queue, 'ring_no_answer', 1 FROM recount.call_ring_no_answer
    UNION ALL SELECT id, queue, 'connects', 1 FROM recount.call_connect
    UNION ALL SELECT id, queue, 'talk_ms', talk_ms FROM recount.call_connect
    UNION ALL SELECT id, queue, 'hold_ms', hold_ms FROM recount.call_connect
) AS of_queue
WHERE queue IS NOT NULL AND n > 0;

CREATE UNLOGGED TABLE recount.call_map AS
SELECT tenant, campaign, template_name, template_language, is_total,
    coalesce(jsonb_object_agg(key, n) FILTER (WHERE map = 'hangup_causes'), '{}') AS hangup_causes,
    coalesce(jsonb_object_agg(key, n) FILTER (WHERE map = 'queues'), '{}') AS queues,
    coalesce(jsonb_object_agg(key, n) FILTER (WHERE map = 'queue_waits'), '{}') AS queue_waits
FROM (
    SELECT tenant, campaign, coalesce(template_name, '') COLLATE "C" AS template_name,
        coalesce(template_language, '') COLLATE "C" AS template_language,
        grouping(template_name) = 1 AS is_total, map, key, sum(n)::bigint AS n
    FROM recount.call_entry JOIN recount.call_result USING (id)
    WHERE campaign IS NOT NULL
    GROUP BY GROUPING SETS (
        (tenant, campaign, template_name, template_language, map, key), (tenant, campaign, map, key))
) AS counted
GROUP BY tenant, campaign, template_name, template_language, is_total;

CREATE UNLOGGED TABLE recount.call_row AS
SELECT
    tenant, campaign, coalesce(template_name, '') COLLATE "C" AS template_name,
    coalesce(template_language, '') COLLATE "C" AS template_language,
    grouping(template_name) = 1 AS is_total,
    count(*) FILTER (WHERE is_requested) AS requested,
    count(*) FILTER (WHERE is_attempted) AS attempted,
    count(*) FILTER (WHERE outcome = 'answered') AS answered,
    count(*) FILTER (WHERE outcome = 'busy') AS busy,
    count(*) FILTER (WHERE outcome = 'no_answer') AS no_answer,
    count(*) FILTER (WHERE outcome = 'congestion') AS congestion,
    count(*) FILTER (WHERE outcome = 'rejected') AS rejected,
    count(*) FILTER (WHERE outcome = 'unreachable') AS unreachable,
    count(*) FILTER (WHERE outcome = 'call_cancelled') AS call_cancelled,
    count(*) FILTER (WHERE outcome = 'call_failed') AS call_failed,
    count(*) FILTER (WHERE answered_by = 'HUMAN') AS answered_human,
    count(*) FILTER (WHERE answered_by = 'MACHINE') AS answered_machine,
    count(*) FILTER (WHERE answered_by NOT IN ('HUMAN', 'MACHINE')) AS answered_unknown,
    count(*) FILTER (WHERE has_vanished) AS ended_unknown,
    count(*) FILTER (WHERE is_dropped) AS dropped,
    coalesce(sum(connected_ms), 0)::bigint AS connected_ms,
    coalesce(sum(talk_ms), 0)::bigint AS talk_ms,
    coalesce(sum(hold_ms), 0)::bigint AS hold_ms,
    coalesce(sum(queue_wait_ms), 0)::bigint AS queue_wait_ms,
    coalesce(sum(queue_joins), 0)::bigint AS queue_joins,
    coalesce(sum(queue_abandoned), 0)::bigint AS queue_abandoned,
    coalesce(sum(queue_timeouts), 0)::bigint AS queue_timeouts,
    coalesce(sum(queue_waiting), 0)::bigint AS queue_waiting,
    coalesce(sum(connects), 0)::bigint AS connects,
    coalesce(sum(ring_no_answer), 0)::bigint AS ring_no_answer
FROM (
    SELECT tenant, campaign, template_name, template_language, false AS is_requested, is_attempted, outcome,
        answered_by, has_vanished, is_dropped, connected_ms, talk_ms, hold_ms, queue_wait_ms, queue_joins, queue_abandoned,
        queue_timeouts, queue_waiting, connects, ring_no_answer
    FROM recount.call_result
    WHERE campaign IS NOT NULL
    UNION ALL
    -- Attempts that a PBX was asked for, whatever it showed; their template comes from all results (recount.sql).
    SELECT tenant, campaign, template_name, template_language, true, false, NULL,
        NULL, false, false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM recount.attempt
    WHERE is_requested
) AS counted
GROUP BY GROUPING SETS ((tenant, campaign, template_name, template_language), (tenant, campaign));

CREATE TABLE recount.call_template_stats AS
SELECT
    tenant, campaign, template_name, template_language,
    requested, attempted, answered, busy, no_answer, congestion, rejected, unreachable, call_cancelled, call_failed,
    answered_human, answered_machine, answered_unknown, ended_unknown, dropped,
    connected_ms, talk_ms, hold_ms, queue_wait_ms, queue_joins, queue_abandoned,
    queue_timeouts, queue_waiting, connects, ring_no_answer,
    coalesce(hangup_causes, '{}') AS hangup_causes, coalesce(queues, '{}') AS queues,
    coalesce(queue_waits, '{}') AS queue_waits
FROM recount.call_row LEFT JOIN recount.call_map USING (tenant, campaign, template_name, template_language, is_total)
WHERE NOT is_total;

CREATE TABLE recount.call_stats AS
SELECT
    tenant, campaign,
    requested, attempted, answered, busy, no_answer, congestion, rejected, unreachable, call_cancelled, call_failed,
    answered_human, answered_machine, answered_unknown, ended_unknown, dropped,
    connected_ms, talk_ms, hold_ms, queue_wait_ms, queue_joins, queue_abandoned,
    queue_timeouts, queue_waiting, connects, ring_no_answer,
    coalesce(hangup_causes, '{}') AS hangup_causes, coalesce(queues, '{}') AS queues,
    coalesce(queue_waits, '{}') AS queue_waits
FROM recount.call_row LEFT JOIN recount.call_map USING (tenant, campaign, template_name, template_language, is_total)
WHERE is_total;

CREATE TABLE recount.operator_stats AS
SELECT tenant, pbx, operator,
    count(talk_ms) AS connects,
    count(*) - count(talk_ms) AS ring_no_answer,
    coalesce(sum(talk_ms), 0)::bigint AS talk_ms
FROM (
    SELECT id, pbx, uniqueid, operator, talk_ms FROM recount.call_connect
    UNION ALL
    SELECT DISTINCT id, pbx, uniqueid, operator, NULL::bigint
    FROM recount.call_ring_no_answer AS rung
        JOIN recount.call_operator AS called USING (pbx)
    WHERE called.uniqueid = rung.dest
) AS leg
    JOIN (SELECT id, tenant FROM recount.call_result) AS counted USING (id)
GROUP BY tenant, pbx, operator;
