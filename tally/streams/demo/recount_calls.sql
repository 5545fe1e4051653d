-- The recount of calls: every call counter, straight from the raw packets, in plain SQL.
--
-- It shares no code with the pipeline. Where the two disagree, one of them reads the definitions
-- (contracts, section 4, Calls) wrongly. Written to be checked by eye, not to be fast.
--
-- Execute recount.sql first, whose functions it uses; recount.raw also has the column headers jsonb
-- (object name -> text). Results: recount.call_template_stats, recount.call_stats, recount.operator_stats.
-- Times are microseconds since 1970. Everything here but operator_stats is named call_...

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

-- Scripts that are meant for an operator without a queue; none by default.
CREATE TABLE recount.call_operator_script (name text);


-- ----------------------------------------------------------------------------- packets and fields

-- What is no UTF-8 is Latin-1: no event is lost for a name. Null where it holds a NUL byte.
CREATE FUNCTION recount.call_text(body bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN coalesce(recount.as_text(body), convert_from(body, 'LATIN1'));
EXCEPTION WHEN character_not_in_repertoire THEN
    RETURN NULL;
END $$;

-- One record is one packet, as text or as a JSON object. What is neither is a dead letter.
CREATE UNLOGGED TABLE recount.call_record AS
SELECT row_number() OVER () AS record, headers, doc, CASE WHEN doc IS NULL THEN body END AS body
FROM (
    SELECT headers, body, CASE WHEN body ~ '^\s*\{' THEN recount.as_json(convert_to(body, 'UTF8')) END AS doc
    FROM (
        SELECT coalesce(headers, '{}') AS headers, recount.call_text(body) AS body
        FROM recount.raw
        WHERE topic = 'ami-events' AND octet_length(body) <= 4194304
    ) AS text_record
    WHERE body IS NOT NULL
) AS read_record
WHERE body !~ '^\s*\{' OR jsonb_typeof(doc) = 'object';

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

-- Values that are no strings, or hold a NUL, make a bad packet.
CREATE UNLOGGED TABLE recount.call_bad_record AS
SELECT DISTINCT record
FROM recount.call_record CROSS JOIN jsonb_each(doc) AS field (key, value)
WHERE (lower(key) <> 'received_at' OR jsonb_typeof(value) <> 'number')
    AND CASE jsonb_typeof(value)
        WHEN 'string' THEN strpos(value #>> '{}', U&'\FDD0') > 0
        WHEN 'array' THEN EXISTS (
            SELECT FROM jsonb_array_elements(value) AS items (item)
            WHERE jsonb_typeof(item) <> 'string' OR strpos(item #>> '{}', U&'\FDD0') > 0)
        ELSE true END;

-- What a packet says, {key: [values]}, and what its record says of it, as a header or as a JSON field.
CREATE UNLOGGED TABLE recount.call_content AS
SELECT
    record,
    coalesce(headers ->> 'pbx', said.pbx) AS pbx,
    coalesce(headers ->> 'tenant', said.tenant) AS tenant,
    coalesce(headers ->> 'received_at', said.received_at) AS received_at,
    fields
FROM recount.call_record
    JOIN (
        SELECT record, jsonb_object_agg(key, to_jsonb(list)) AS fields
        FROM (
            SELECT record, key, array_agg(value ORDER BY place) AS list
            FROM recount.call_line JOIN recount.call_record USING (record)
            WHERE doc IS NULL OR key NOT IN ('pbx', 'tenant', 'received_at')
            GROUP BY record, key
        ) AS lists
        GROUP BY record
    ) AS grouped USING (record)
    LEFT JOIN (
        SELECT record,
            min(value) FILTER (WHERE key = 'pbx') AS pbx,
            min(value) FILTER (WHERE key = 'tenant') AS tenant,
            min(value) FILTER (WHERE key = 'received_at') AS received_at
        FROM recount.call_line JOIN recount.call_record USING (record)
        WHERE doc IS NOT NULL
        GROUP BY record
    ) AS said USING (record)
WHERE record NOT IN (SELECT record FROM recount.call_bad_record);

CREATE FUNCTION recount.call_first(fields jsonb, key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT (fields -> key) ->> 0
$$;

CREATE FUNCTION recount.call_stamp_us(written text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN written ~ '^[0-9]{1,12}(\.[0-9]{1,9})?$' AND written::numeric < 253402300800
        THEN trunc(written::numeric * 1000000)::bigint END
$$;

-- Copies of one content are one packet, which came when the first of them did.
CREATE UNLOGGED TABLE recount.call_packet AS
SELECT
    pbx, fields, at_us, is_stamped, tenant,
    recount.call_first(fields, 'event') AS event,
    nullif(recount.call_first(fields, 'uniqueid'), '') COLLATE "C" AS uniqueid,
    nullif(recount.call_first(fields, 'destuniqueid'), '') COLLATE "C" AS dest
FROM (
    SELECT
        pbx COLLATE "C" AS pbx, fields,
        coalesce(recount.call_stamp_us(stamp), 1000 * min(received_ms)) AS at_us,
        stamp IS NOT NULL AS is_stamped,
        min(recount.id(to_jsonb(tenant)) COLLATE "C") AS tenant
    FROM recount.call_content
        CROSS JOIN LATERAL (
            SELECT nullif(recount.call_first(fields, 'timestamp'), '') AS stamp,
                CASE WHEN received_at ~ '^[0-9]{1,15}$' THEN received_at::bigint END AS received_ms
        ) AS times
    WHERE char_length(pbx) BETWEEN 1 AND 128 AND (stamp IS NULL OR recount.call_stamp_us(stamp) IS NOT NULL)
    GROUP BY pbx, fields, stamp
) AS distinct_content
WHERE at_us IS NOT NULL
    AND fields ? 'event'
    AND recount.call_first(fields, 'channel') IS DISTINCT FROM 'OutgoingSpoolFailed';

CREATE INDEX ON recount.call_packet (event);
ANALYZE recount.call_packet;


-- ---------------------------------------------------------------------------------------- channels

-- Every snapshot of a channel, under any prefix (Dest, LocalOne, Transferee ...).
CREATE UNLOGGED TABLE recount.call_sighting AS
SELECT
    pbx, at_us, tenant,
    recount.call_first(fields, prefix || 'uniqueid') COLLATE "C" AS uniqueid,
    recount.call_first(fields, prefix || 'channel') COLLATE "C" AS name,
    recount.call_first(fields, prefix || 'channelstate') AS state,
    nullif(recount.call_first(fields, prefix || 'linkedid'), '') COLLATE "C" AS linkedid,
    recount.id(to_jsonb(recount.call_first(fields, prefix || 'tenantid'))) COLLATE "C" AS tenantid,
    fields -> (prefix || 'chanvariable') AS variables
FROM recount.call_packet
    CROSS JOIN jsonb_object_keys(fields) AS key
    CROSS JOIN LATERAL (SELECT left(key, -8) AS prefix) AS prefixes
WHERE key LIKE '%uniqueid'
    AND fields ? (prefix || 'channel') AND fields ? (prefix || 'channelstate')
    AND recount.call_first(fields, key) NOT IN ('', '<unknown>')
    AND event <> 'OriginateResponse';

CREATE INDEX ON recount.call_sighting (pbx, uniqueid);
ANALYZE recount.call_sighting;

-- The earliest value of each configured variable of a channel.
CREATE UNLOGGED TABLE recount.call_variable AS
SELECT DISTINCT ON (pbx, uniqueid, name) pbx, uniqueid, name, at_us, value
FROM (
    SELECT pbx, uniqueid, at_us,
        ltrim(split_part(entry, '=', 1), '_') AS name,
        substr(entry, strpos(entry, '=') + 1) COLLATE "C" AS value
    FROM recount.call_sighting CROSS JOIN jsonb_array_elements_text(variables) AS entries (entry)
    WHERE strpos(entry, '=') > 0
    UNION ALL
    SELECT pbx, uniqueid, at_us, ltrim(recount.call_first(fields, 'variable'), '_'),
        recount.call_first(fields, 'value') COLLATE "C"
    FROM recount.call_packet
    WHERE event = 'VarSet' AND uniqueid IS NOT NULL
) AS shown
    JOIN recount.call_variable_name USING (name)
WHERE CASE WHEN name IN ('SCRIPT_ID', 'AMDSTATUS') THEN value <> '' ELSE recount.id(to_jsonb(value)) IS NOT NULL END
ORDER BY pbx, uniqueid, name, at_us, value;

CREATE INDEX ON recount.call_variable (pbx, uniqueid);

CREATE UNLOGGED TABLE recount.call_hangup AS
SELECT DISTINCT ON (pbx, uniqueid) pbx, uniqueid, at_us,
    CASE WHEN cause ~ '^[0-9]{1,6}$' THEN cause::int END AS cause
FROM recount.call_packet
    CROSS JOIN LATERAL (SELECT recount.call_first(fields, 'cause') AS cause) AS named
WHERE event = 'Hangup' AND uniqueid IS NOT NULL
ORDER BY pbx, uniqueid, at_us, cause;

CREATE UNLOGGED TABLE recount.call_dial AS
SELECT pbx, event, at_us, uniqueid, dest, recount.call_first(fields, 'dialstatus') AS dial_status
FROM recount.call_packet
WHERE event IN ('DialBegin', 'DialState', 'DialEnd') AND dest IS NOT NULL;

CREATE UNLOGGED TABLE recount.call_channel AS
SELECT
    pbx, uniqueid, name, starts_with(name, 'Local/') AS is_local,
    first_us, last_us,
    least(up_us, answered_us) AS up_us,
    coalesce(was_ringing, false) OR coalesce(was_rung, false) AS rang,
    call_hangup.at_us AS hangup_us, cause,
    request_us, dial_end_us, dial_status
FROM (
    SELECT pbx, uniqueid,
        (array_agg(name ORDER BY at_us, name))[1] AS name,
        min(at_us) AS first_us, max(at_us) AS last_us,
        min(at_us) FILTER (WHERE state = '6') AS up_us,
        bool_or(state = '5') AS was_ringing
    FROM recount.call_sighting
    GROUP BY pbx, uniqueid
) AS seen
    LEFT JOIN (
        SELECT pbx, dest AS uniqueid,
            min(at_us) FILTER (WHERE event = 'DialEnd' AND dial_status = 'ANSWER') AS answered_us,
            bool_or(event <> 'DialBegin' AND dial_status = 'RINGING') AS was_rung,
            min(at_us) FILTER (WHERE event = 'DialEnd') AS dial_end_us,
            (array_agg(dial_status ORDER BY at_us, dial_status) FILTER (WHERE event = 'DialEnd'))[1] AS dial_status
        FROM recount.call_dial
        GROUP BY pbx, dest
    ) AS dialled USING (pbx, uniqueid)
    LEFT JOIN recount.call_hangup USING (pbx, uniqueid)
    LEFT JOIN (
        SELECT pbx, uniqueid, min(at_us) AS request_us
        FROM recount.call_packet WHERE event = 'HangupRequest'
        GROUP BY pbx, uniqueid
    ) AS request USING (pbx, uniqueid);

CREATE UNIQUE INDEX ON recount.call_channel (pbx, uniqueid);

-- The two halves of a Local, each with the other.
CREATE UNLOGGED TABLE recount.call_half AS
SELECT one.pbx, one.uniqueid, other.uniqueid AS other
FROM recount.call_channel AS one
    JOIN recount.call_channel AS other ON other.pbx = one.pbx
        AND other.name = left(one.name, -1) || CASE right(one.name, 2) WHEN ';1' THEN '2' ELSE '1' END
WHERE one.is_local AND right(one.name, 2) IN (';1', ';2');

CREATE UNLOGGED TABLE recount.call_dialled AS
SELECT DISTINCT pbx, uniqueid, dest AS leg
FROM recount.call_dial
WHERE uniqueid IS NOT NULL;

-- The latest sweep of a PBX: what was last seen before it is gone.
CREATE UNLOGGED TABLE recount.call_sweep AS
SELECT pbx, max(at_us - 1000000 * (uptime_s + 1)) AS at_us
FROM (
    SELECT pbx, at_us, CASE WHEN uptime ~ '^[0-9]{1,10}$' THEN uptime::bigint END AS uptime_s
    FROM recount.call_packet
        CROSS JOIN LATERAL (SELECT recount.call_first(fields, 'uptime') AS uptime) AS named
    WHERE event = 'FullyBooted'
    UNION ALL
    SELECT pbx, at_us, 0 FROM recount.call_packet WHERE event = 'CoreShowChannelsComplete'
) AS swept
GROUP BY pbx;

ANALYZE recount.call_variable, recount.call_channel, recount.call_half, recount.call_dialled;

-- Where a channel leads: itself, and through a Local whatever its other half dialled, again and again.
CREATE UNLOGGED TABLE recount.call_walk AS
WITH RECURSIVE walk (pbx, start, uniqueid) AS (
    SELECT pbx, uniqueid, uniqueid FROM recount.call_channel
    UNION
    SELECT walk.pbx, walk.start, leg
    FROM walk
        JOIN recount.call_half USING (pbx, uniqueid)
        JOIN recount.call_dialled ON call_dialled.pbx = walk.pbx AND call_dialled.uniqueid = other
)
SELECT pbx, start, uniqueid, is_local FROM walk JOIN recount.call_channel USING (pbx, uniqueid);

CREATE INDEX ON recount.call_walk (pbx, start);
ANALYZE recount.call_walk;


-- ---------------------------------------------------------------------------------------- attempts

-- Voice send results of campaigns: one that breaks any row of the contract's table is a dead letter.
CREATE UNLOGGED TABLE recount.call_send AS
WITH field AS MATERIALIZED (
    SELECT
        body ->> 'outcome' AS outcome,
        recount.id(body -> 'tenant') COLLATE "C" AS tenant,
        recount.id(body -> 'campaign') COLLATE "C" AS campaign,
        recount.id(body #> '{contact,id}') COLLATE "C" AS contact,
        CASE WHEN recount.is_absent(body -> 'attempt') THEN '1' ELSE recount.id(body -> 'attempt') END
            COLLATE "C" AS attempt,
        coalesce(body #>> '{template,name}', '') COLLATE "C" AS template_name,
        recount.name(body -> 'pbx') COLLATE "C" AS pbx,
        recount.name(body #> '{call,action_id}') COLLATE "C" AS action_id,
        recount.name(body #> '{call,channel_id}') COLLATE "C" AS channel_id,
        recount.name(body #> '{call,unique_id}') COLLATE "C" AS unique_id,
        recount.name(body #> '{call,linked_id}') COLLATE "C" AS linked_id,
        body #>> '{call,customer_leg}' AS customer_leg,
        recount.words(body -> 'reason') AS reason,
        recount.unix_ms(body -> 'time') AS at_ms,
        -- Asked of attempts that reached a PBX; others have it or not.
        body ->> 'outcome' IN ('requested', 'accepted')
            OR (recount.name(body -> 'pbx') IS NOT NULL
                AND coalesce(body -> 'call', 'null') NOT IN ('null', '{}')) AS has_call,
        body
    FROM recount.event
    WHERE topic = 'send-results' AND jsonb_typeof(body) = 'object' AND body -> 'channel' = '"voice"'
)
SELECT
    tenant, campaign, contact, attempt, outcome, template_name, at_ms,
    CASE WHEN has_call THEN pbx END AS pbx,
    action_id, channel_id, unique_id, linked_id, has_call AND (customer_leg = 'second') IS TRUE AS is_second
FROM field
WHERE coalesce((body -> 'v')::text, 'null') IN ('null', '1')
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
    AND (NOT has_call OR (
        char_length(pbx) <= 128
        AND recount.is_fine(body #> '{call,action_id}')
        AND recount.is_fine(body #> '{call,channel_id}')
        AND recount.is_fine(body #> '{call,unique_id}')
        AND recount.is_fine(body #> '{call,linked_id}')
        AND coalesce(action_id, channel_id, unique_id, linked_id) IS NOT NULL
        AND (recount.is_absent(body #> '{call,customer_leg}')
            OR body #> '{call,customer_leg}' IN ('"first"', '"second"'))));

-- The channels that name an attempt by their variables.
CREATE UNLOGGED TABLE recount.call_naming AS
SELECT
    pbx, uniqueid, first_us,
    recount.id(to_jsonb(campaign.value)) COLLATE "C" AS campaign,
    recount.id(to_jsonb(contact.value)) COLLATE "C" AS contact,
    recount.id(to_jsonb(attempt.value)) COLLATE "C" AS attempt,
    recount.id(to_jsonb(tenant.value)) COLLATE "C" AS tenant
FROM recount.call_channel
    JOIN recount.call_variable AS campaign USING (pbx, uniqueid)
    JOIN recount.call_variable AS contact USING (pbx, uniqueid)
    LEFT JOIN (SELECT * FROM recount.call_variable WHERE name = 'ATTEMPT_ID') AS attempt USING (pbx, uniqueid)
    LEFT JOIN (SELECT * FROM recount.call_variable WHERE name = 'TENANT_ID') AS tenant USING (pbx, uniqueid)
WHERE campaign.name = 'CAMPAIGN_ID' AND contact.name = 'CONTACT_ID';

-- The attempt of a send result that each of them means: with the attempt's name that one, else that
-- contact's attempt whose earliest send result is closest in time.
CREATE UNLOGGED TABLE recount.call_named_send AS
SELECT DISTINCT ON (naming.pbx, naming.uniqueid)
    naming.pbx, naming.uniqueid, sent.tenant, sent.campaign, sent.contact, sent.attempt
FROM recount.call_naming AS naming
    JOIN (
        SELECT tenant, campaign, contact, attempt, pbx, 1000 * min(min(at_ms)) OVER attempt AS first_us
        FROM recount.call_send
        GROUP BY tenant, campaign, contact, attempt, pbx
        WINDOW attempt AS (PARTITION BY tenant, campaign, contact, attempt)
    ) AS sent ON sent.pbx = naming.pbx AND sent.campaign = naming.campaign AND sent.contact = naming.contact
        AND sent.attempt = coalesce(naming.attempt, sent.attempt)
ORDER BY naming.pbx, naming.uniqueid, (sent.tenant = naming.tenant) IS TRUE DESC,
    CASE WHEN naming.attempt IS NULL THEN abs(sent.first_us - naming.first_us) END, sent.attempt, sent.tenant;

CREATE UNLOGGED TABLE recount.call_attempt AS
SELECT row_number() OVER (ORDER BY tenant, campaign, contact, attempt, named_pbx) AS id, *
FROM (
    SELECT
        tenant, campaign, contact, attempt, NULL::text COLLATE "C" AS named_pbx,
        (array_agg(template_name ORDER BY rank DESC, template_name))[1] AS template_name,
        bool_or(outcome IN ('requested', 'accepted')) AS is_requested,
        bool_or(is_second) AS is_second
    FROM recount.call_send JOIN recount.call_outcome_rank USING (outcome)
    GROUP BY tenant, campaign, contact, attempt
    UNION ALL
    -- Attempts that no send result names. Without any tenant they count nowhere.
    SELECT
        coalesce(
            (array_agg(naming.tenant ORDER BY tenant_variable.at_us, naming.tenant)
                FILTER (WHERE naming.tenant IS NOT NULL))[1],
            (array_agg(sighting.tenantid ORDER BY sighting.at_us, sighting.tenantid)
                FILTER (WHERE sighting.tenantid IS NOT NULL))[1],
            (array_agg(sighting.tenant ORDER BY sighting.at_us, sighting.tenant)
                FILTER (WHERE sighting.tenant IS NOT NULL))[1]),
        naming.campaign, naming.contact, coalesce(naming.attempt, '1') COLLATE "C", naming.pbx,
        coalesce((array_agg(script.value ORDER BY script.at_us, script.value)
            FILTER (WHERE script.value IS NOT NULL))[1], ''),
        false, false
    FROM recount.call_naming AS naming
        JOIN recount.call_sighting AS sighting USING (pbx, uniqueid)
        LEFT JOIN recount.call_variable AS script
            ON (script.pbx, script.uniqueid, script.name) = (naming.pbx, naming.uniqueid, 'SCRIPT_ID')
        LEFT JOIN recount.call_variable AS tenant_variable
            ON (tenant_variable.pbx, tenant_variable.uniqueid, tenant_variable.name)
                = (naming.pbx, naming.uniqueid, 'TENANT_ID')
    WHERE NOT EXISTS (
        SELECT FROM recount.call_named_send AS sent WHERE (sent.pbx, sent.uniqueid) = (naming.pbx, naming.uniqueid))
    GROUP BY naming.campaign, naming.contact, coalesce(naming.attempt, '1') COLLATE "C", naming.pbx
) AS attempts;

CREATE UNLOGGED TABLE recount.call_attempt_channel AS
SELECT id, named.pbx, uniqueid
FROM recount.call_named_send AS named JOIN recount.call_attempt USING (tenant, campaign, contact, attempt)
WHERE named_pbx IS NULL
UNION ALL
SELECT id, naming.pbx, uniqueid
FROM recount.call_naming AS naming JOIN recount.call_attempt AS made
    ON (made.named_pbx, made.campaign, made.contact, made.attempt)
        = (naming.pbx, naming.campaign, naming.contact, coalesce(naming.attempt, '1') COLLATE "C")
WHERE NOT EXISTS (
    SELECT FROM recount.call_named_send AS sent WHERE (sent.pbx, sent.uniqueid) = (naming.pbx, naming.uniqueid));

-- The ids under which the send results know an attempt's call.
CREATE UNLOGGED TABLE recount.call_sent_id AS
SELECT DISTINCT id, call_send.pbx, kind, value
FROM recount.call_send
    JOIN recount.call_attempt USING (tenant, campaign, contact, attempt)
    CROSS JOIN LATERAL (
        VALUES (1, channel_id), (2, unique_id), (3, linked_id), (5, action_id)
    ) AS ids (kind, value)
WHERE named_pbx IS NULL AND call_send.pbx IS NOT NULL AND value IS NOT NULL;

CREATE UNLOGGED TABLE recount.call_response AS
SELECT pbx, at_us,
    nullif(uniqueid, '<unknown>') AS uniqueid,
    nullif(recount.call_first(fields, 'actionid'), '') COLLATE "C" AS action_id,
    CASE WHEN reason ~ '^[0-9]{1,6}$' THEN reason::int END AS reason
FROM recount.call_packet
    CROSS JOIN LATERAL (SELECT recount.call_first(fields, 'reason') AS reason) AS named
WHERE event = 'OriginateResponse';

CREATE UNLOGGED TABLE recount.call_root AS
SELECT DISTINCT ON (id) id, pbx, uniqueid, call_channel.uniqueid IS NOT NULL AS is_seen,
    coalesce(is_local, false) AS is_local
FROM (
    SELECT id, pbx, kind, value AS uniqueid, NULL::bigint AS at_us FROM recount.call_sent_id WHERE kind < 5
    UNION ALL
    SELECT id, pbx, 4, uniqueid, NULL FROM recount.call_attempt_channel
    UNION ALL
    SELECT id, pbx, kind, uniqueid, at_us
    FROM recount.call_sent_id JOIN recount.call_response USING (pbx)
    WHERE kind = 5 AND action_id = value AND uniqueid IS NOT NULL
) AS candidate
    LEFT JOIN recount.call_channel USING (pbx, uniqueid)
WHERE kind = 5 OR call_channel.uniqueid IS NOT NULL
ORDER BY id, kind, coalesce(first_us, at_us), uniqueid, pbx;

CREATE UNLOGGED TABLE recount.call_reason AS
SELECT DISTINCT ON (id) id, at_us, reason
FROM (
    SELECT id, at_us, reason
    FROM recount.call_sent_id JOIN recount.call_response USING (pbx)
    WHERE kind = 5 AND action_id = value
    UNION ALL
    SELECT id, at_us, reason FROM recount.call_root JOIN recount.call_response USING (pbx, uniqueid)
) AS response
ORDER BY id, at_us, reason;


-- ----------------------------------------------------------------------------- whose leg is which

-- resolve(root): the first party that was called.
CREATE UNLOGGED TABLE recount.call_first_leg AS
SELECT id, pbx, walk.uniqueid
FROM recount.call_root AS root JOIN recount.call_walk AS walk USING (pbx)
WHERE walk.start = root.uniqueid AND NOT walk.is_local;

INSERT INTO recount.call_first_leg
SELECT id, pbx, uniqueid FROM recount.call_root
WHERE is_seen AND id NOT IN (SELECT id FROM recount.call_first_leg);

-- What the first party dialled, where the customer is the second one.
CREATE UNLOGGED TABLE recount.call_second_dialled AS
SELECT DISTINCT id, operator.pbx, leg
FROM (
    SELECT id, pbx, uniqueid FROM recount.call_root
    UNION SELECT id, pbx, uniqueid FROM recount.call_first_leg
) AS operator
    JOIN recount.call_dialled USING (pbx, uniqueid)
    JOIN recount.call_attempt USING (id)
WHERE is_second;

CREATE UNLOGGED TABLE recount.call_customer_leg AS
SELECT id, pbx, uniqueid
FROM recount.call_first_leg JOIN recount.call_attempt USING (id)
WHERE NOT is_second
UNION
SELECT id, pbx, walk.uniqueid
FROM recount.call_second_dialled JOIN recount.call_walk AS walk USING (pbx)
WHERE walk.start = leg AND NOT is_local
EXCEPT
SELECT id, pbx, uniqueid
FROM recount.call_first_leg JOIN recount.call_attempt USING (id)
WHERE is_second;

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

-- The attempt's own channels: root, its other half, the customer's legs and the Locals between.
CREATE UNLOGGED TABLE recount.call_own AS
WITH local AS (
    SELECT id, pbx, walk.uniqueid
    FROM (
        SELECT id, pbx, uniqueid AS start FROM recount.call_root
        UNION SELECT id, pbx, leg FROM recount.call_second_dialled
    ) AS started
        JOIN recount.call_walk AS walk USING (pbx, start)
    WHERE is_local
)
SELECT id, pbx, uniqueid FROM recount.call_root
UNION SELECT id, pbx, uniqueid FROM recount.call_customer_leg
UNION SELECT id, pbx, uniqueid FROM local
UNION SELECT id, pbx, other FROM local JOIN recount.call_half USING (pbx, uniqueid);

CREATE INDEX ON recount.call_own (pbx, uniqueid);
ANALYZE recount.call_customer, recount.call_own;


-- -------------------------------------------------------------------------------- what a call is

-- Every channel and every attempt at first is a call of its own ...
CREATE UNLOGGED TABLE recount.call_pair AS
SELECT DISTINCT pbx, one, other
FROM (
    SELECT pbx, 'channel ' || uniqueid AS one, 'channel ' || coalesce(linkedid, uniqueid) AS other
    FROM recount.call_sighting
    UNION ALL
    SELECT pbx, 'channel ' || uniqueid, 'channel ' || leg FROM recount.call_dialled
    UNION ALL
    SELECT pbx, 'channel ' || uniqueid, 'channel ' || other FROM recount.call_half
    UNION ALL
    SELECT pbx, 'attempt ' || id, 'channel ' || uniqueid FROM recount.call_attempt_channel
    UNION ALL
    SELECT pbx, 'attempt ' || id, 'channel ' || value FROM recount.call_sent_id WHERE kind < 5
    UNION ALL
    SELECT pbx, 'attempt ' || id, 'channel ' || uniqueid FROM recount.call_root
) AS shown;

CREATE UNLOGGED TABLE recount.call_node AS
SELECT node, pbx, name, node AS call
FROM (
    SELECT row_number() OVER () AS node, pbx, name
    FROM (
        SELECT pbx, one AS name FROM recount.call_pair UNION SELECT pbx, other FROM recount.call_pair
    ) AS distinct_names
) AS numbered;

CREATE UNIQUE INDEX ON recount.call_node (node);
CREATE UNIQUE INDEX ON recount.call_node (pbx, name);
CREATE INDEX ON recount.call_node (call);
ANALYZE recount.call_pair, recount.call_node;

CREATE UNLOGGED TABLE recount.call_link AS
SELECT a.node AS one, b.node AS other
FROM recount.call_pair
    CROSS JOIN LATERAL (
        VALUES (call_pair.one, call_pair.other), (call_pair.other, call_pair.one)
    ) AS way (here, there)
    JOIN recount.call_node AS a ON a.pbx = call_pair.pbx AND a.name = here
    JOIN recount.call_node AS b ON b.pbx = call_pair.pbx AND b.name = there
WHERE a.node <> b.node;

ANALYZE recount.call_link;

-- ... and takes the smallest call that a link leads to, until nothing changes.
DO $$
DECLARE
    relabelled bigint;
BEGIN
    LOOP
        UPDATE recount.call_node
        SET call = lowest.call
        FROM (
            SELECT mine.call AS old_call, min(theirs.call) AS call
            FROM recount.call_link
                JOIN recount.call_node AS mine ON mine.node = one
                JOIN recount.call_node AS theirs ON theirs.node = other
            WHERE theirs.call < mine.call
            GROUP BY mine.call
        ) AS lowest
        WHERE call_node.call = lowest.old_call;
        GET DIAGNOSTICS relabelled = ROW_COUNT;
        EXIT WHEN relabelled = 0;
    END LOOP;
END $$;

CREATE UNLOGGED TABLE recount.call_of_channel AS
SELECT pbx, uniqueid, call, last_us
FROM recount.call_channel
    JOIN recount.call_node USING (pbx)
WHERE call_node.name = 'channel ' || uniqueid;

-- An attempt whose ids are on several PBXs has a call on each.
CREATE UNLOGGED TABLE recount.call_of_attempt AS
SELECT id, call_node.pbx, call
FROM recount.call_node JOIN recount.call_attempt ON call_node.name = 'attempt ' || id;

ANALYZE recount.call_of_channel, recount.call_of_attempt;


-- ------------------------------------------------------------------------------ who was connected

-- A channel's stays in bridges; an open one has no end.
CREATE UNLOGGED TABLE recount.call_bridge_event AS
SELECT DISTINCT pbx, uniqueid, at_us, event, recount.call_first(fields, 'bridgeuniqueid') COLLATE "C" AS bridge
FROM recount.call_packet
WHERE event IN ('BridgeEnter', 'BridgeLeave') AND uniqueid IS NOT NULL;

CREATE INDEX ON recount.call_bridge_event (pbx, uniqueid);
ANALYZE recount.call_bridge_event;

CREATE UNLOGGED TABLE recount.call_stay AS
SELECT pbx, uniqueid, bridge, int8range(at_us, until_us) AS time
FROM (
    SELECT pbx, uniqueid, bridge, enter.at_us, least(
        (SELECT min(later.at_us) FROM recount.call_bridge_event AS later
            WHERE (later.pbx, later.uniqueid) = (enter.pbx, enter.uniqueid)
                AND CASE later.event
                    WHEN 'BridgeLeave' THEN later.bridge = enter.bridge AND later.at_us >= enter.at_us
                    ELSE later.bridge <> enter.bridge AND later.at_us > enter.at_us END),
        hangup_us
    ) AS until_us
    FROM recount.call_bridge_event AS enter JOIN recount.call_channel USING (pbx, uniqueid)
    WHERE enter.event = 'BridgeEnter'
) AS entered
WHERE coalesce(at_us < until_us, true);

CREATE INDEX ON recount.call_stay (pbx, uniqueid);
CREATE INDEX ON recount.call_stay (pbx, bridge);
ANALYZE recount.call_stay;

-- Who is connected with the customer and when: in one bridge, and through the halves of Locals further.
CREATE UNLOGGED TABLE recount.call_connected AS
WITH RECURSIVE reach (id, pbx, uniqueid, goes_on, time) AS (
    SELECT id, pbx, uniqueid, true, int8range(up_us, hangup_us)
    FROM recount.call_customer
    WHERE up_us < coalesce(hangup_us, up_us + 1)
    UNION
    SELECT id, reach.pbx, next.uniqueid, starts_with(name, 'Local/'), reach.time * next.time
    FROM reach
        CROSS JOIN LATERAL (
            SELECT theirs.uniqueid, mine.time * theirs.time AS time
            FROM recount.call_stay AS mine JOIN recount.call_stay AS theirs USING (pbx, bridge)
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

-- The Agent* events of a leg, or of the Local that led to it: the earliest gives queue and interface.
CREATE UNLOGGED TABLE recount.call_member AS
SELECT DISTINCT ON (pbx, uniqueid) pbx, uniqueid, queue, interface
FROM (
    SELECT pbx, at_us, dest AS start,
        recount.call_first(fields, 'queue') COLLATE "C" AS queue,
        nullif(recount.call_first(fields, 'interface'), '') COLLATE "C" AS interface
    FROM recount.call_packet
    WHERE event IN ('AgentCalled', 'AgentConnect', 'AgentComplete', 'AgentRingNoAnswer') AND dest IS NOT NULL
) AS agent
    JOIN recount.call_walk USING (pbx, start)
ORDER BY pbx, uniqueid, at_us, queue, interface;

CREATE UNLOGGED TABLE recount.call_operator AS
SELECT pbx, uniqueid, queue, coalesce(interface, regexp_replace(name, '-[^-]*$', '')) AS operator
FROM recount.call_channel LEFT JOIN recount.call_member USING (pbx, uniqueid);

-- Spans of hold of a leg; one that has not ended is none.
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

CREATE FUNCTION recount.call_whole_seconds(times int8multirange) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(sum(upper(span) - lower(span)), 0)::bigint / 1000000
    FROM unnest(times) AS spans (span)
    WHERE NOT upper_inf(span)
$$;

-- Holds that begin while connected: an operator's leg may serve several customers.
CREATE FUNCTION recount.call_begun_within(holds int8multirange, times int8multirange)
RETURNS int8multirange LANGUAGE sql IMMUTABLE AS $$
    SELECT range_agg(span) FROM unnest(holds) AS spans (span) WHERE times @> lower(span)
$$;

-- Operators' legs: one connect each. A connection counts as talk once it has ended.
CREATE UNLOGGED TABLE recount.call_connect AS
SELECT id, connected.pbx, connected.uniqueid, queue, operator,
    lower(connected.times) AS begin_us,
    recount.call_whole_seconds(connected.times) AS talk_s,
    recount.call_whole_seconds(recount.call_begun_within(hold.times, connected.times)) AS hold_s
FROM recount.call_connected AS connected
    JOIN recount.call_channel USING (pbx, uniqueid)
    JOIN recount.call_operator USING (pbx, uniqueid)
    LEFT JOIN recount.call_hold AS hold USING (pbx, uniqueid)
WHERE NOT is_local
    AND NOT EXISTS (
        SELECT FROM recount.call_customer_leg AS leg
        WHERE (leg.pbx, leg.uniqueid) = (connected.pbx, connected.uniqueid));

CREATE UNLOGGED TABLE recount.call_ring_no_answer AS
SELECT DISTINCT id, packet.pbx, packet.dest, recount.call_first(fields, 'queue') COLLATE "C" AS queue
FROM recount.call_packet AS packet
    JOIN recount.call_of_channel AS of_dest ON (of_dest.pbx, of_dest.uniqueid) = (packet.pbx, packet.dest)
    JOIN recount.call_of_attempt AS of_attempt ON of_attempt.call = of_dest.call
WHERE event = 'AgentRingNoAnswer';


-- ------------------------------------------------------------------------------------------ queues

-- A channel's joins of a queue; without Timestamp they are one.
CREATE UNLOGGED TABLE recount.call_queue_event AS
SELECT pbx, event, uniqueid, recount.call_first(fields, 'queue') COLLATE "C" AS queue, at_us
FROM recount.call_packet
WHERE event IN ('QueueCallerJoin', 'QueueCallerLeave', 'QueueCallerAbandon') AND uniqueid IS NOT NULL
GROUP BY pbx, event, uniqueid, queue, at_us, is_stamped
HAVING is_stamped OR event <> 'QueueCallerJoin'
UNION
SELECT pbx, event, uniqueid, recount.call_first(fields, 'queue') COLLATE "C" AS queue, min(at_us)
FROM recount.call_packet
WHERE event = 'QueueCallerJoin' AND uniqueid IS NOT NULL AND NOT is_stamped
GROUP BY pbx, event, uniqueid, queue;

CREATE INDEX ON recount.call_queue_event (pbx, uniqueid);
ANALYZE recount.call_queue_event;

CREATE UNLOGGED TABLE recount.call_join AS
SELECT id, queue, (coalesce(
    (SELECT min(later.at_us) FROM recount.call_queue_event AS later
        WHERE later.event <> 'QueueCallerJoin' AND later.at_us >= joined.at_us
            AND (later.pbx, later.uniqueid, later.queue) = (joined.pbx, joined.uniqueid, joined.queue)),
    hangup_us
) - joined.at_us) / 1000000 AS wait_s
FROM recount.call_queue_event AS joined
    JOIN recount.call_own USING (pbx, uniqueid)
    LEFT JOIN recount.call_channel USING (pbx, uniqueid)
WHERE event = 'QueueCallerJoin';

-- The event also comes when the queue gives up: the customer must have asked to hang up.
CREATE UNLOGGED TABLE recount.call_abandon AS
SELECT own.id, queue
FROM recount.call_queue_event AS abandoned
    JOIN recount.call_own AS own USING (pbx, uniqueid)
    JOIN recount.call_customer AS customer ON customer.id = own.id
WHERE event = 'QueueCallerAbandon' AND customer.request_us <= at_us
    AND NOT EXISTS (SELECT FROM recount.call_connect AS later WHERE later.id = own.id AND begin_us > at_us);


-- ------------------------------------------------------------------------------ what became of it

CREATE UNLOGGED TABLE recount.call_fate AS
SELECT
    id,
    customer.pbx, customer.uniqueid, customer.up_us, customer.hangup_us, customer.cause,
    customer.uniqueid IS NOT NULL OR (NOT is_second AND coalesce(reason <> 0, false)) AS is_attempted,
    customer.up_us IS NOT NULL OR (NOT is_second AND coalesce(reason = 4, false)) AS is_answered,
    CASE WHEN customer.uniqueid IS NOT NULL THEN customer.hangup_us IS NULL AND customer.last_us < sweep.at_us
        ELSE root_channel.hangup_us IS NULL AND root_channel.last_us < sweep.at_us END IS TRUE AS is_gone,
    CASE WHEN root_channel.uniqueid IS NULL THEN response.id IS NOT NULL AND reason IS DISTINCT FROM 4
        ELSE root_channel.hangup_us IS NOT NULL AND NOT EXISTS (
            SELECT FROM recount.call_customer_leg AS leg JOIN recount.call_channel AS channel USING (pbx, uniqueid)
            WHERE leg.id = attempt.id AND channel.hangup_us IS NULL) END AS is_decided,
    coalesce(
        by_cause.outcome,
        CASE WHEN reason = 3 AND NOT is_second THEN 'no_answer' END,
        CASE WHEN NOT root.is_local AND customer.cause = 0 AND reason = 0 AND customer.rang
            AND coalesce(customer.request_us >= coalesce(customer.dial_end_us, customer.hangup_us), true)
            THEN 'call_cancelled' END,
        by_dial_status.outcome,
        CASE WHEN reason = 5 AND NOT is_second THEN 'busy' WHEN reason = 8 AND NOT is_second THEN 'congestion' END,
        'call_failed'
    ) AS unanswered_as
FROM recount.call_attempt AS attempt
    LEFT JOIN recount.call_root AS root USING (id)
    LEFT JOIN recount.call_channel AS root_channel
        ON (root_channel.pbx, root_channel.uniqueid) = (root.pbx, root.uniqueid)
    LEFT JOIN recount.call_customer AS customer USING (id)
    LEFT JOIN recount.call_reason AS response USING (id)
    LEFT JOIN recount.call_sweep AS sweep ON sweep.pbx = root.pbx
    LEFT JOIN recount.call_outcome_of_cause AS by_cause ON by_cause.cause = customer.cause
    LEFT JOIN recount.call_outcome_of_dial_status AS by_dial_status
        ON by_dial_status.dial_status = customer.dial_status;

-- Who answered, by the variable of answering machine detection.
CREATE UNLOGGED TABLE recount.call_amd AS
SELECT DISTINCT ON (id) id, value AS amd
FROM recount.call_own JOIN recount.call_variable USING (pbx, uniqueid)
WHERE name = 'AMDSTATUS'
ORDER BY id, at_us, value;

-- One row an attempt. Without any tenant it counts nowhere.
CREATE UNLOGGED TABLE recount.call_result AS
SELECT
    id, tenant, campaign, template_name, is_requested, is_attempted, is_gone,
    CASE WHEN is_answered THEN 'answered' WHEN is_decided AND NOT is_gone THEN unanswered_as END AS outcome,
    CASE WHEN is_answered THEN amd END AS answered_by,
    CASE WHEN hangup_us IS NOT NULL THEN
        CASE WHEN cause BETWEEN 0 AND 127 THEN cause::text ELSE 'other' END END AS hangup_cause,
    CASE WHEN hangup_us > up_us THEN (hangup_us - up_us) / 1000000 ELSE 0 END AS connected_s,
    coalesce(talk_s, 0) AS talk_s,
    recount.call_whole_seconds(hold.times) + coalesce(operators.hold_s, 0) AS hold_s,
    coalesce(wait_s, 0) AS queue_wait_s,
    coalesce(joins, 0) AS queue_joins,
    coalesce(abandons, 0) AS queue_abandoned,
    coalesce(connects, 0) AS connects,
    coalesce(unanswered, 0) AS ring_no_answer,
    -- An operator too late, or none until the end.
    amd = 'HUMAN' AND (joins > 0 OR template_name IN (SELECT name FROM recount.call_operator_script))
        AND least(begin_us, hangup_us) > up_us + 2000000 AS is_dropped
FROM recount.call_attempt
    JOIN recount.call_fate USING (id)
    LEFT JOIN recount.call_amd USING (id)
    LEFT JOIN recount.call_hold AS hold USING (pbx, uniqueid)
    LEFT JOIN (
        SELECT id, count(*) AS connects, sum(talk_s) AS talk_s, sum(hold_s) AS hold_s, min(begin_us) AS begin_us
        FROM recount.call_connect GROUP BY id
    ) AS operators USING (id)
    LEFT JOIN (
        SELECT id, count(*) AS joins, sum(wait_s) AS wait_s FROM recount.call_join GROUP BY id
    ) AS joined USING (id)
    LEFT JOIN (SELECT id, count(*) AS abandons FROM recount.call_abandon GROUP BY id) AS abandoned USING (id)
    LEFT JOIN (
        SELECT id, count(DISTINCT (pbx, dest)) AS unanswered FROM recount.call_ring_no_answer GROUP BY id
    ) AS rung USING (id)
WHERE tenant IS NOT NULL;


-- --------------------------------------------------------------------------------- the counters

-- The entries of the two maps, one row a thing counted.
CREATE UNLOGGED TABLE recount.call_entry AS
SELECT id, 'hangup_causes' AS map, hangup_cause AS key, 1 AS n
FROM recount.call_result WHERE hangup_cause IS NOT NULL
UNION ALL
SELECT id, 'queues', queue || '/' || counter, n
FROM (
    SELECT id, queue, 'joins' AS counter, 1 AS n FROM recount.call_join
    UNION ALL SELECT id, queue, 'wait_s', wait_s FROM recount.call_join
    UNION ALL SELECT id, queue, 'abandoned', 1 FROM recount.call_abandon
    UNION ALL SELECT id, queue, 'ring_no_answer', 1 FROM recount.call_ring_no_answer
    UNION ALL SELECT id, queue, 'connects', 1 FROM recount.call_connect
    UNION ALL SELECT id, queue, 'talk_s', talk_s FROM recount.call_connect
    UNION ALL SELECT id, queue, 'hold_s', hold_s FROM recount.call_connect
) AS of_queue
WHERE queue IS NOT NULL AND n > 0;

CREATE UNLOGGED TABLE recount.call_map AS
SELECT tenant, campaign, template_name, is_total,
    coalesce(jsonb_object_agg(key, n) FILTER (WHERE map = 'hangup_causes'), '{}') AS hangup_causes,
    coalesce(jsonb_object_agg(key, n) FILTER (WHERE map = 'queues'), '{}') AS queues
FROM (
    SELECT tenant, campaign, coalesce(template_name, '') COLLATE "C" AS template_name,
        grouping(template_name) = 1 AS is_total, map, key, sum(n)::bigint AS n
    FROM recount.call_entry JOIN recount.call_result USING (id)
    GROUP BY GROUPING SETS ((tenant, campaign, template_name, map, key), (tenant, campaign, map, key))
) AS counted
GROUP BY tenant, campaign, template_name, is_total;

CREATE UNLOGGED TABLE recount.call_row AS
SELECT
    tenant, campaign, coalesce(template_name, '') COLLATE "C" AS template_name,
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
    count(*) FILTER (WHERE is_gone) AS ended_unknown,
    count(*) FILTER (WHERE is_dropped) AS dropped,
    sum(connected_s)::bigint AS connected_s,
    sum(talk_s)::bigint AS talk_s,
    sum(hold_s)::bigint AS hold_s,
    sum(queue_wait_s)::bigint AS queue_wait_s,
    sum(queue_joins)::bigint AS queue_joins,
    sum(queue_abandoned)::bigint AS queue_abandoned,
    sum(connects)::bigint AS connects,
    sum(ring_no_answer)::bigint AS ring_no_answer
FROM recount.call_result
GROUP BY GROUPING SETS ((tenant, campaign, template_name), (tenant, campaign));

CREATE TABLE recount.call_template_stats AS
SELECT
    tenant, campaign, template_name, '' AS template_language,
    requested, attempted, answered, busy, no_answer, congestion, rejected, unreachable, call_cancelled, call_failed,
    answered_human, answered_machine, answered_unknown, ended_unknown, dropped,
    connected_s, talk_s, hold_s, queue_wait_s, queue_joins, queue_abandoned, connects, ring_no_answer,
    coalesce(hangup_causes, '{}') AS hangup_causes, coalesce(queues, '{}') AS queues
FROM recount.call_row LEFT JOIN recount.call_map USING (tenant, campaign, template_name, is_total)
WHERE NOT is_total;

CREATE TABLE recount.call_stats AS
SELECT
    tenant, campaign,
    requested, attempted, answered, busy, no_answer, congestion, rejected, unreachable, call_cancelled, call_failed,
    answered_human, answered_machine, answered_unknown, ended_unknown, dropped,
    connected_s, talk_s, hold_s, queue_wait_s, queue_joins, queue_abandoned, connects, ring_no_answer,
    coalesce(hangup_causes, '{}') AS hangup_causes, coalesce(queues, '{}') AS queues
FROM recount.call_row LEFT JOIN recount.call_map USING (tenant, campaign, template_name, is_total)
WHERE is_total;

CREATE TABLE recount.operator_stats AS
SELECT tenant, pbx, operator,
    count(talk_s) AS connects,
    count(*) - count(talk_s) AS ring_no_answer,
    coalesce(sum(talk_s), 0)::bigint AS talk_s
FROM (
    SELECT id, pbx, uniqueid, operator, talk_s FROM recount.call_connect
    UNION ALL
    SELECT DISTINCT id, pbx, uniqueid, operator, NULL::bigint
    FROM recount.call_ring_no_answer AS rung
        JOIN recount.call_operator AS called USING (pbx)
    WHERE called.uniqueid = rung.dest
) AS leg
    JOIN (SELECT id, tenant FROM recount.call_result) AS counted USING (id)
GROUP BY tenant, pbx, operator;
