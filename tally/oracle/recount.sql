-- The recount: every WhatsApp counter of the read API, and the attempts of voice campaigns, directly from the
-- raw events, in plain SQL (calls: recount_calls.sql).
--
-- It shares no code with the pipeline. If the two disagree, one of them reads the definitions
-- (docs/counters.md) wrongly. It is written to be checked by eye, not to be fast.
--
-- Execute recount_raw.sql, fill its tables, then execute this file with any client, as often as you like.
-- It needs PostgreSQL 16 or later, and a database in UTF-8. Results: recount.campaign_template_stats,
-- recount.campaign_stats.

DO $$
DECLARE
    relation record;
    routine record;
BEGIN
    FOR relation IN
        SELECT relname, CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
        FROM pg_class
        WHERE relnamespace = 'recount'::regnamespace AND relkind IN ('r', 'v')
            AND relname NOT IN ('raw', 'bound', 'number', 'market_prefix')
    LOOP
        EXECUTE format('DROP %s IF EXISTS recount.%I CASCADE', relation.kind, relation.relname);
    END LOOP;
    FOR routine IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'recount'::regnamespace LOOP
        EXECUTE format('DROP FUNCTION %s', routine.name);
    END LOOP;
END $$;


-- ------------------------------------------------------------------------------- published lists

-- Error codes with a separate key; every other code is <source>:other.
-- Ranges of codes, both ends included, as docs/counters.md publishes them.
CREATE TABLE recount.listed_error AS
SELECT source || ':' || code AS key
FROM (
    VALUES
        ('meta', 0, 4), ('meta', 10, 10), ('meta', 33, 33), ('meta', 100, 100), ('meta', 190, 190),
        ('meta', 200, 299), ('meta', 368, 368), ('meta', 400, 402), ('meta', 404, 405), ('meta', 408, 408),
        ('meta', 410, 410), ('meta', 420, 420), ('meta', 429, 430), ('meta', 432, 433), ('meta', 470, 472),
        ('meta', 480, 480), ('meta', 500, 502), ('meta', 613, 613), ('meta', 1000, 1041), ('meta', 2000, 2065),
        ('meta', 80007, 80007), ('meta', 130000, 139999),
        ('meta', 2388001, 2388001), ('meta', 2388012, 2388012), ('meta', 2388039, 2388040),
        ('meta', 2388047, 2388047), ('meta', 2388072, 2388073), ('meta', 2388091, 2388091),
        ('meta', 2388093, 2388093), ('meta', 2388103, 2388103), ('meta', 2494010, 2494010),
        ('meta', 2494013, 2494013), ('meta', 2494100, 2494100), ('meta', 2494102, 2494102),
        ('pbx', 0, 127)
) AS listed (source, first, last), generate_series(first, last) AS code;

CREATE TABLE recount.listed_price AS
SELECT part, name
FROM (
    VALUES
        ('category', 'authentication'), ('category', 'authentication_international'),
        ('category', 'authentication-international'),
        ('category', 'marketing'), ('category', 'marketing_lite'), ('category', 'utility'),
        ('category', 'service'), ('category', 'referral_conversion'),
        ('category', 'group_marketing'), ('category', 'group_utility'), ('category', 'group_service'),
        ('category', 'user_initiated'), ('category', 'business_initiated'),
        ('type', 'regular'), ('type', 'free_customer_service'), ('type', 'free_entry_point')
) AS listed (part, name);

-- Types of customers' messages that are replies.
CREATE TABLE recount.replying_type AS
SELECT type
FROM (
    VALUES
        ('text'), ('image'), ('video'), ('audio'), ('document'), ('sticker'),
        ('button'), ('interactive'), ('order'), ('location'), ('contacts')
) AS replying (type);

-- Placeholders that programs write for a phone or user id that they do not know.
CREATE TABLE recount.placeholder AS
SELECT placeholder
FROM (
    VALUES ('anonymous'), ('n/a'), ('nan'), ('nil'), ('none'), ('null'), ('undefined'), ('unknown')
) AS placeholders (placeholder);

-- An attempt's outcome is the highest-ranked one of its results.
CREATE TABLE recount.outcome_rank AS
SELECT outcome, rank
FROM (VALUES ('queued', 1), ('requested', 2), ('skipped', 3), ('cancelled', 4), ('failed', 5), ('accepted', 6)) AS ranked (outcome, rank);

-- A bound by its name (tally/schemas/bounds.py).
CREATE FUNCTION recount.most(bound_name text) RETURNS bigint LANGUAGE sql STABLE STRICT AS $$
    SELECT most FROM recount.bound WHERE name = bound_name
$$;

CREATE TABLE recount.setting AS SELECT 604800::bigint AS reply_window_seconds;


-- ---------------------------------------------------------------------------- reading JSON safely

-- The text; null if the bytes are not UTF-8, or hold a NUL byte, which JSON does not allow either.
CREATE FUNCTION recount.as_text(body bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(body, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire THEN
    RETURN NULL;
END $$;

-- The depth to which brackets nest.
CREATE FUNCTION recount.nesting(doc text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT max(level)
    FROM (
        SELECT sum(CASE WHEN mark IN ('[', '{') THEN 1 ELSE -1 END) OVER (ORDER BY place) AS level
        FROM string_to_table(
            regexp_replace(regexp_replace(doc, '"(?:[^"\\]|\\.)*"', '', 'g'), '[^][{}]', '', 'g'), NULL
        ) WITH ORDINALITY AS bracket (mark, place)
    ) AS levels
$$;

-- jsonb prints 1e3 as 1000, but a number with an exponent is a float, which no field read here may be. So it
-- becomes a boolean, which no rule accepts either. Null if a number is too large for a double: that is not JSON.
CREATE FUNCTION recount.without_exponents(doc text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN bool_and(token[2] IS NULL OR token[2] ~ '[eE]-' OR pg_input_is_valid(token[2], 'float8'))
        THEN string_agg(
            CASE WHEN token[2] ~ '[eE]' THEN 'false' ELSE coalesce(token[1], token[2], token[3]) END,
            '' ORDER BY place)
    END
    FROM regexp_matches(
        doc, '("(?:[^"\\]|\\.)*")|(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)|([^"0-9-]+|.)', 'g'
    ) WITH ORDINALITY AS tokens (token, place)
$$;

-- The number of elements of a document: its commas and opening brackets, including those in texts.
CREATE FUNCTION recount.elements(doc text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT char_length(doc) - char_length(translate(doc, ',[{', ''))
$$;

-- The document; null if it is not JSON, or has too many elements. U+0000 is legal in JSON text but impossible
-- in jsonb, so it becomes the noncharacter U+FDD0. A NUL in a chat text is then harmless, and recount.name()
-- finds a NUL in an id.
CREATE FUNCTION recount.as_json(body bytea) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    doc text := recount.as_text(body);
    brackets int := 2 * length(doc) - length(replace(doc, '[', '')) - length(replace(doc, '{', ''));
BEGIN
    -- Checked here, because 100,000 levels overflow Postgres's stack, which is an error and not "invalid JSON".
    IF doc IS NULL OR recount.elements(doc) > recount.most('elements')
        OR (brackets > 1024 AND recount.nesting(doc) > 1024) THEN
        RETURN NULL;
    END IF;
    IF strpos(doc, '\u0000') > 0 THEN
        doc := regexp_replace(doc, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufdd0', 'g');
    END IF;
    IF doc ~ '[:,[\s]-?(?:[0-9.]+[eE]|[0-9]{255})' THEN
        doc := recount.without_exponents(doc);
    END IF;
    IF doc IS NULL OR NOT pg_input_is_valid(doc, 'jsonb') THEN
        RETURN NULL;
    END IF;
    RETURN doc::jsonb;
END $$;

CREATE FUNCTION recount.items(list jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(list) = 'array' THEN list ELSE '[]'::jsonb END
$$;

-- Any text.
CREATE FUNCTION recount.words(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(v) = 'string' THEN v #>> '{}' END
$$;

-- A text that may be an id: 1 to 512 characters without U+0000. Meta's ids are never numbers.
CREATE FUNCTION recount.name(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN char_length(recount.words(v)) BETWEEN 1 AND 512 AND strpos(v #>> '{}', U&'\FDD0') = 0
        THEN v #>> '{}' END
$$;

-- An id of a send result: a string of 1 to 128 characters or a 64-bit integer; UUIDs in lower case.
CREATE FUNCTION recount.id(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE jsonb_typeof(v)
        WHEN 'string' THEN CASE
            WHEN recount.name(v) IS NULL OR char_length(v #>> '{}') > 128 THEN NULL
            WHEN char_length(v #>> '{}') = 36
                AND v #>> '{}' ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
                THEN lower(v #>> '{}')
            ELSE v #>> '{}' END
        WHEN 'number' THEN CASE
            WHEN v::text ~ '^-?[0-9]{1,20}$'
                AND v::text::numeric BETWEEN -9223372036854775808 AND 18446744073709551615 THEN v::text END
    END
$$;

CREATE FUNCTION recount.is_absent(v jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_typeof(v) = 'null', true)
$$;

-- Whether a value is a valid optional id: absent, null, empty, or a name.
CREATE FUNCTION recount.is_fine(v jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT recount.is_absent(v) OR v = '""' OR recount.name(v) IS NOT NULL
$$;

-- Whether a value is a valid optional part: absent, null, or an object.
CREATE FUNCTION recount.is_an_object(v jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT recount.is_absent(v) OR jsonb_typeof(v) = 'object'
$$;

-- A time that an event may name: from 2009 to the latest time, which is a day after Kafka's time of the record.
-- If Kafka's time is unknown (null), up to the year 9999.
CREATE FUNCTION recount.plausible_ms(at_ms bigint, latest_ms bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN at_ms BETWEEN 1230768000000 AND least(latest_ms, 253402300799999) THEN at_ms END
$$;

-- Meta's times: whole unix seconds, as a string of digits or as an integer.
CREATE FUNCTION recount.seconds(v jsonb, latest_ms bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(v) IN ('string', 'number') AND v #>> '{}' ~ '^[0-9]{1,15}$'
        THEN recount.plausible_ms((v #>> '{}')::bigint * 1000, latest_ms) / 1000 END
$$;

-- Times of send results: unix ms as an integer, or RFC 3339 with a zone. Fractions are truncated to ms.
CREATE FUNCTION recount.unix_ms(v jsonb, latest_ms bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    written text := v #>> '{}';
    ms bigint;
BEGIN
    IF jsonb_typeof(v) = 'number' AND written ~ '^[0-9]{1,15}$' THEN
        ms := written::bigint;
    ELSIF jsonb_typeof(v) = 'string' AND pg_input_is_valid(left(written, 10), 'date') AND written ~ (
        '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]'
        '(?:\.[0-9]+)?(?:[Zz]|[-+](?:[01][0-9]|2[0-3]):[0-5][0-9])$'
    ) THEN
        ms := 1000 * extract(epoch FROM (left(written, 10) || ' ' || substr(written, 12, 8))::timestamp);
        IF substr(written, 20, 1) = '.' THEN
            ms := ms + rpad(substring(substr(written, 21, 3) FROM '^[0-9]+'), 3, '0')::int;
        END IF;
        IF written !~ '[Zz]$' THEN
            ms := ms - left(right(written, 6), 3)::int * 3600000
                - (left(right(written, 6), 1) || right(written, 2))::int * 60000;
        END IF;
    END IF;
    RETURN recount.plausible_ms(ms, latest_ms);
END $$;

-- A part of a price: its first 128 characters; empty if it is not a text, or holds U+0000.
CREATE FUNCTION recount.priced(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN strpos(recount.words(v), U&'\FDD0') = 0 THEN left(v #>> '{}', 128) ELSE '' END
$$;

-- A language: `-` is `_`, and two or three letters, with a country of two letters or without one, are pt and pt_BR.
CREATE FUNCTION recount.language(written text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN dashed COLLATE "C" ~ '^[A-Za-z]{2,3}(_[A-Za-z]{2})?$'
        THEN lower(split_part(dashed, '_', 1) COLLATE "C")
            || CASE WHEN strpos(dashed, '_') > 0 THEN '_' || upper(split_part(dashed, '_', 2) COLLATE "C") ELSE '' END
        ELSE dashed END
    FROM replace(written, '-', '_') AS dashed
$$;

-- A template's name or language; one beyond the bound becomes its first 55 characters and a digest of the whole.
CREATE FUNCTION recount.short_name(shown text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN octet_length(shown) <= recount.most('template') THEN shown
        ELSE left(shown, 55) || '~' || left(encode(sha256(convert_to(shown, 'UTF8')), 'hex'), 32) END
$$;

-- The three kinds of identifier of a customer. What stands where phones stand is one if it is written like one, and
-- reduced to its digits; any other text, such as a group's id, is a name of its own.
CREATE FUNCTION recount.phone(shown text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN shown COLLATE "C" ~ '^[-0-9+(). ]*[0-9][-0-9+(). ]*$'
        THEN 'phone ' || regexp_replace(shown COLLATE "C", '[^0-9]', '', 'g')
        ELSE 'name ' || nullif(shown, '') END
$$;

CREATE FUNCTION recount.user_id(shown text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'user ' || nullif(shown, '')
$$;


-- ------------------------------------------------------------------------ whose a number's ids are

-- The id that a business number had first: of the id that it had before this one, and so on. Ids that come back to
-- themselves have none.
CREATE TABLE recount.first_number AS
WITH RECURSIVE former (number_id, id, passed) AS (
    SELECT number_id, successor_of, ARRAY[number_id] FROM recount.number WHERE successor_of IS NOT NULL
    UNION ALL
    SELECT former.number_id, number.successor_of, passed || former.id
    FROM former JOIN recount.number ON number.number_id = former.id
    WHERE number.successor_of IS NOT NULL AND former.id <> ALL (passed)
)
SELECT number_id, id AS first_id
FROM former
WHERE NOT EXISTS (
    SELECT FROM recount.number WHERE number.number_id = former.id AND number.successor_of IS NOT NULL);

CREATE FUNCTION recount.first_id(shown text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT first_id FROM recount.first_number WHERE number_id = shown), shown)
$$;


-- ------------------------------------------------------------------------- what a message's id says

-- A number as Thrift's compact protocol writes it: seven bits a byte, the lowest first, the highest bit set in all
-- bytes but the last. Returns the value, and the place behind it; null if it is longer than needed or than 32 bits.
CREATE FUNCTION recount.varint(body bytea, place int, OUT value bigint, OUT behind int) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    part int;
BEGIN
    value := 0;
    FOR nth IN 0..4 LOOP
        part := get_byte(body, place + nth);
        value := value + (part & 127)::bigint * (128 ^ nth)::bigint;
        IF part < 128 THEN
            behind := place + nth + 1;
            IF (part = 0 AND nth > 0) OR value > 4294967295 THEN
                value := NULL;
            END IF;
            RETURN;
        END IF;
    END LOOP;
    value := NULL;
END $$;

-- The token of a wamid: base64, written in the one way that it is written, of the Thrift compact struct
-- {1: {1: peer, 2: i32}, 2: bool, 3: token} and nothing more, with a token of 8 to 64 bytes. Else null.
CREATE FUNCTION recount.token(wamid text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    written text := substr(wamid, 7);
    body bytea;
    number record;
    token bytea;
    place int;
BEGIN
    IF wamid NOT LIKE 'wamid.%' OR written !~ '^[A-Za-z0-9+/]+={0,2}$' OR length(written) % 4 <> 0 THEN
        RETURN NULL;
    END IF;
    body := decode(written, 'base64');
    IF replace(encode(body, 'base64'), E'\n', '') <> written OR substr(body, 1, 2) <> '\x1c18' THEN
        RETURN NULL;
    END IF;
    number := recount.varint(body, 2);
    place := number.behind + number.value;  -- behind the peer
    IF get_byte(body, place) <> 21 THEN  -- 0x15, the i32
        RETURN NULL;
    END IF;
    number := recount.varint(body, place + 1);
    place := number.behind;
    IF number.value IS NULL OR get_byte(body, place) <> 0 OR get_byte(body, place + 1) NOT IN (17, 18)
        OR get_byte(body, place + 2) <> 24 THEN  -- 0x11 true or 0x12 false, 0x18 the token
        RETURN NULL;
    END IF;
    number := recount.varint(body, place + 3);
    token := substr(body, number.behind + 1, number.value::int);
    IF octet_length(token) <> number.value OR number.value NOT BETWEEN 8 AND 64
        OR octet_length(body) <> number.behind + number.value + 1 OR get_byte(body, octet_length(body) - 1) <> 0 THEN
        RETURN NULL;
    END IF;
    RETURN token;
EXCEPTION WHEN array_subscript_error OR null_value_not_allowed OR substring_error OR numeric_value_out_of_range THEN
    RETURN NULL;
END $$;

-- What a message is known by at its business number: its token, under whatever peer its id is written; else the id.
CREATE FUNCTION recount.message_key(wamid text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce('t ' || encode(recount.token(wamid), 'hex'), 'x ' || wamid)
$$;


-- ------------------------------------------------------------------------------ the raw events

-- A record larger than its bound is a dead letter.
CREATE UNLOGGED TABLE recount.event AS
SELECT topic, kafka_partition, kafka_offset,
    CASE WHEN kafka_ms > 0 THEN kafka_ms + 86400000 END AS latest_ms,
    recount.as_json(body) AS body,
    headers
FROM recount.raw
WHERE octet_length(body) <= recount.most('record');

-- Send results; a result that breaks any row of the contract's table is a dead letter as a whole.
CREATE UNLOGGED TABLE recount.send AS
WITH field AS MATERIALIZED (
    SELECT
        body ->> 'channel' AS channel,
        body ->> 'outcome' AS outcome,
        recount.id(body -> 'tenant') COLLATE "C" AS tenant,
        recount.id(body -> 'campaign') COLLATE "C" AS campaign,  -- null: a service message
        recount.id(body #> '{contact,id}') COLLATE "C" AS contact,
        CASE WHEN recount.is_absent(body -> 'attempt') THEN '1' ELSE recount.id(body -> 'attempt') END
            COLLATE "C" AS attempt,
        recount.short_name(coalesce(body #>> '{template,name}', '')) COLLATE "C" AS template_name,
        recount.short_name(recount.language(coalesce(body #>> '{template,language}', ''))) COLLATE "C"
            AS template_language,
        recount.name(body -> 'phone_number_id') AS shown_number,
        recount.first_id(recount.name(body -> 'phone_number_id')) COLLATE "C" AS number_id,
        recount.name(body -> 'message_id') COLLATE "C" AS raw_id,
        recount.message_key(recount.name(body -> 'message_id')) COLLATE "C" AS message_id,
        recount.name(body #> '{contact,phone}') AS phone,
        recount.name(body #> '{contact,wa_id}') AS wa_id,
        recount.name(body #> '{contact,user_id}') AS user_id,
        ((body #>> '{error,source}') || ':' || (body #>> '{error,code}')) COLLATE "C" AS error_key,
        recount.words(body -> 'reason') AS reason,
        recount.unix_ms(body -> 'time', latest_ms) AS at_ms,
        body
    FROM recount.event
    WHERE topic = 'send-results' AND jsonb_typeof(body) = 'object'
)
SELECT
    channel, tenant, campaign, contact, attempt, outcome, template_name, template_language, number_id, raw_id, message_id,
    recount.name(body -> 'pbx') COLLATE "C" AS pbx,
    recount.phone(phone) AS phone, recount.phone(wa_id) AS wa_id, recount.user_id(user_id) AS user_id,
    error_key, at_ms
FROM field
WHERE coalesce((body -> 'v')::text, 'null') IN ('null', '1')
    AND tenant IS NOT NULL
    AND (
        (
            body -> 'channel' = '"whatsapp"'
            AND body -> 'outcome' IN ('"queued"', '"accepted"', '"failed"', '"skipped"', '"cancelled"')
            AND number_id IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM recount.number AS known
                WHERE known.number_id = field.shown_number AND known.tenant <> field.tenant)
            AND (outcome <> 'accepted' OR message_id IS NOT NULL)
        )
        OR (
            -- A voice attempt that reached a PBX names the PBX, and an id of its call.
            body -> 'channel' = '"voice"'
            AND body -> 'outcome' IN
                ('"queued"', '"requested"', '"accepted"', '"failed"', '"skipped"', '"cancelled"')
            AND recount.is_fine(body -> 'pbx') AND char_length(coalesce(body ->> 'pbx', '')) <= 128
            AND recount.is_an_object(body -> 'call')
            AND recount.is_fine(body #> '{call,action_id}') AND recount.is_fine(body #> '{call,channel_id}')
            AND recount.is_fine(body #> '{call,unique_id}') AND recount.is_fine(body #> '{call,linked_id}')
            AND coalesce(body #>> '{call,customer_leg}', 'first') IN ('first', 'second')
            AND (
                outcome NOT IN ('requested', 'accepted')
                OR (
                    recount.name(body -> 'pbx') IS NOT NULL
                    AND coalesce(
                        recount.name(body #> '{call,action_id}'), recount.name(body #> '{call,channel_id}'),
                        recount.name(body #> '{call,unique_id}'), recount.name(body #> '{call,linked_id}')
                    ) IS NOT NULL
                )
            )
        )
    )
    AND at_ms IS NOT NULL
    -- `campaign` is required, but may be null; with a campaign `contact` is required, too.
    AND (body -> 'campaign' = 'null' OR (campaign IS NOT NULL AND contact IS NOT NULL))
    AND (recount.is_absent(body -> 'contact') OR jsonb_typeof(body -> 'contact') = 'object')
    AND (recount.is_absent(body #> '{contact,id}') OR contact IS NOT NULL)
    AND recount.is_fine(body #> '{contact,phone}')
    AND recount.is_fine(body #> '{contact,wa_id}')
    AND recount.is_fine(body #> '{contact,user_id}')
    AND recount.is_fine(body -> 'message_id')
    AND recount.is_fine(body -> 'retry_of')
    AND (recount.is_absent(body -> 'attempt') OR (
        recount.id(body -> 'attempt') IS NOT NULL
        AND (jsonb_typeof(body -> 'attempt') = 'string' OR attempt ~ '^[1-9]')))
    AND (recount.is_absent(body -> 'template') OR (
        recount.name(body #> '{template,name}') IS NOT NULL
        AND CASE channel WHEN 'voice' THEN recount.is_fine(body #> '{template,language}')
            ELSE recount.name(body #> '{template,language}') IS NOT NULL END
        AND (recount.is_absent(body #> '{template,id}') OR recount.id(body #> '{template,id}') IS NOT NULL)))
    AND (outcome NOT IN ('requested', 'accepted') OR coalesce(phone, wa_id, user_id) IS NOT NULL)
    AND CASE WHEN recount.is_absent(body -> 'error') THEN outcome <> 'failed' ELSE
        body #> '{error,source}' IN ('"meta"', '"platform"', '"pbx"')
        AND recount.id(body #> '{error,code}') IS NOT NULL END
    AND CASE WHEN recount.is_absent(body -> 'reason') THEN outcome NOT IN ('skipped', 'cancelled')
        ELSE char_length(reason) <= 64 END;

-- Webhooks: all entries and all changes of a POST. Only recount_old.sql uses the order of arrival.
CREATE UNLOGGED TABLE recount.change AS
SELECT
    row_number() OVER (ORDER BY kafka_partition, kafka_offset, entry.place, change.place) AS arrival,
    latest_ms,
    change.item ->> 'field' AS field,
    change.item -> 'value' AS value,
    recount.first_id(recount.name(change.item #> '{value,metadata,phone_number_id}')) COLLATE "C" AS number_id
FROM recount.event
    CROSS JOIN jsonb_array_elements(recount.items(body -> 'entry')) WITH ORDINALITY AS entry (item, place)
    CROSS JOIN jsonb_array_elements(recount.items(entry.item -> 'changes')) WITH ORDINALITY AS change (item, place)
WHERE topic = 'webhook-events' AND body -> 'object' = '"whatsapp_business_account"'
    AND jsonb_typeof(change.item -> 'field') = 'string'
    AND recount.name(change.item #> '{value,metadata,phone_number_id}') IS NOT NULL;

-- Statuses of messages: those without a type, or of type message. Calls, payments and whatever comes have others.
CREATE UNLOGGED TABLE recount.status AS
SELECT
    arrival, place, number_id,
    recount.name(item -> 'id') COLLATE "C" AS raw_id,
    recount.message_key(recount.name(item -> 'id')) COLLATE "C" AS message_id,
    recount.words(item -> 'status') AS status,
    recount.seconds(item -> 'timestamp', latest_ms) AS at_s,
    item ->> 'recipient_type' IS NOT DISTINCT FROM 'group' AS in_group,
    item
FROM recount.change
    CROSS JOIN jsonb_array_elements(recount.items(value -> 'statuses')) WITH ORDINALITY AS part (item, place)
WHERE field = 'messages'
    AND (recount.is_absent(item -> 'type') OR item -> 'type' = '"message"')
    AND recount.name(item -> 'id') IS NOT NULL
    AND recount.words(item -> 'status') IS NOT NULL
    AND recount.seconds(item -> 'timestamp', latest_ms) IS NOT NULL;

-- Messages of customers, of any type. An identifier or a quote that cannot be read costs only itself. A message of
-- a replying type needs a sender: the group that it was written in, else its own ids, else those of the contact, if
-- the body has exactly one message and one contact. Without a sender it is a bad part, and its quote does not count
-- either. One of which it cannot be read in which group it was written is bad, too.
CREATE UNLOGGED TABLE recount.inbound AS
SELECT *
FROM (
    SELECT
        number_id,
        recount.message_key(recount.name(item -> 'id')) AS message_id,
        recount.words(item -> 'type') AS type,
        recount.seconds(item -> 'timestamp', latest_ms) AS at_s,
        recount.phone(recount.name(item -> 'from')) AS from_phone,
        recount.user_id(recount.name(item -> 'from_user_id')) AS from_user_id,
        recount.user_id(recount.name(item -> 'from_parent_user_id')) AS from_parent_user_id,
        recount.name(item #> '{context,id}') COLLATE "C" AS raw_quoted_id,
        recount.message_key(recount.name(item #> '{context,id}')) COLLATE "C" AS quoted_id,
        recount.phone(recount.name(item -> 'group_id')) AS in_group_of,
        CASE WHEN jsonb_array_length(recount.items(value -> 'messages')) = 1
            AND jsonb_array_length(recount.items(value -> 'contacts')) = 1
            THEN value #> '{contacts,0}' END AS only_contact,
        item
    FROM recount.change
        CROSS JOIN jsonb_array_elements(recount.items(value -> 'messages')) AS part (item)
    WHERE field = 'messages'
        AND recount.name(item -> 'id') IS NOT NULL
        AND recount.words(item -> 'type') IS NOT NULL
        AND recount.seconds(item -> 'timestamp', latest_ms) IS NOT NULL
        AND recount.is_fine(item -> 'group_id')
) AS message
WHERE type NOT IN (SELECT type FROM recount.replying_type)
    OR in_group_of IS NOT NULL
    OR coalesce(from_phone, from_user_id, from_parent_user_id, recount.name(only_contact -> 'wa_id'),
        recount.name(only_contact -> 'user_id'), recount.name(only_contact -> 'parent_user_id')) IS NOT NULL;


-- Echoes: messages that somebody sent from the app on the business's phone. They are service messages without a
-- template, so all that is counted of one is which customer its recipient is.
CREATE UNLOGGED TABLE recount.echo AS
SELECT
    number_id,
    recount.name(item -> 'id') COLLATE "C" AS raw_id,
    recount.message_key(recount.name(item -> 'id')) COLLATE "C" AS message_id,
    recount.phone(recount.name(item -> 'to')) AS phone,
    recount.user_id(recount.name(item -> 'to_user_id')) AS user_id,
    recount.user_id(recount.name(item -> 'to_parent_user_id')) AS parent_user_id
FROM recount.change
    CROSS JOIN jsonb_array_elements(recount.items(value -> 'message_echoes')) AS part (item)
WHERE field IN ('smb_message_echoes', 'message_echoes', 'messages')
    AND recount.name(item -> 'id') IS NOT NULL
    AND recount.seconds(item -> 'timestamp', latest_ms) IS NOT NULL;


-- ---------------------------------------------------------------------------- who is one customer

-- A clue: identifiers that one raw event shows to belong to one person, at one business number.
CREATE UNLOGGED TABLE recount.clue AS
SELECT DISTINCT number_id, array_remove(ids, NULL) AS ids
FROM (
    -- A send result. An accepted one also links the wamid with its recipient.
    SELECT number_id,
        ARRAY[CASE WHEN outcome = 'accepted' THEN 'message ' || message_id END, phone, wa_id, user_id] AS ids
    FROM recount.send
    WHERE channel = 'whatsapp'
    UNION ALL
    -- A status: its recipient is the wamid's recipient; of a message to a group, the group.
    SELECT number_id,
        CASE WHEN in_group THEN ARRAY['message ' || message_id, recount.phone(recount.name(item -> 'recipient_id'))]
        ELSE ARRAY[
            'message ' || message_id,
            recount.phone(recount.name(item -> 'recipient_id')),
            recount.user_id(recount.name(item -> 'recipient_user_id')),
            recount.user_id(recount.name(item -> 'recipient_parent_user_id')),
            recount.user_id(recount.name(item -> 'parent_user_id')),
            recount.user_id(recount.name(item -> 'parent_recipient_user_id'))]
        END
    FROM recount.status
    UNION ALL
    -- An echo: its recipient is the wamid's recipient.
    SELECT number_id, ARRAY['message ' || message_id, phone, user_id, parent_user_id]
    FROM recount.echo
    UNION ALL
    -- The participant of a group whom a status is about is somebody else than the group.
    SELECT number_id, ARRAY[
            recount.phone(recount.name(item -> 'participant_recipient_id')),
            recount.phone(recount.name(item -> 'recipient_participant_id')),
            recount.user_id(recount.name(item -> 'recipient_participant_user_id')),
            recount.user_id(recount.name(item -> 'recipient_participant_parent_user_id'))]
    FROM recount.status
    WHERE in_group
    UNION ALL
    -- An inbound message; a system message also names its sender's new identifiers.
    SELECT number_id,
        ARRAY[from_phone, from_user_id, from_parent_user_id] || CASE WHEN type = 'system' THEN ARRAY[
            recount.phone(recount.name(item #> '{system,wa_id}')),
            recount.phone(recount.name(item #> '{system,new_wa_id}')),
            recount.user_id(recount.name(item #> '{system,user_id}')),
            recount.user_id(recount.name(item #> '{system,parent_user_id}')),
            recount.user_id(recount.name(item #> '{system,previous_user_id}')),
            recount.user_id(recount.name(item #> '{system,previous_parent_user_id}'))]
        END
    FROM recount.inbound
    UNION ALL
    -- A contacts[] entry, in any kind of change.
    SELECT number_id, ARRAY[
        recount.phone(recount.name(item -> 'wa_id')),
        recount.user_id(recount.name(item -> 'user_id')),
        recount.user_id(recount.name(item -> 'parent_user_id'))]
    FROM recount.change CROSS JOIN jsonb_array_elements(recount.items(value -> 'contacts')) AS entry (item)
    UNION ALL
    -- A changed business-scoped user id.
    SELECT number_id, ARRAY[
        recount.phone(recount.name(item -> 'wa_id')),
        recount.user_id(recount.name(item #> '{user_id,previous}')),
        recount.user_id(recount.name(item #> '{user_id,current}')),
        recount.user_id(recount.name(item #> '{parent_user_id,previous}')),
        recount.user_id(recount.name(item #> '{parent_user_id,current}'))]
    FROM recount.change CROSS JOIN jsonb_array_elements(recount.items(value -> 'user_id_update')) AS entry (item)
    WHERE field = 'user_id_update'
) AS shown (number_id, ids)
WHERE cardinality(array_remove(ids, NULL)) > 0;

-- A link: two identifiers that one clue shows together, in both directions.
CREATE UNLOGGED TABLE recount.shown AS
SELECT DISTINCT number_id, one.id, other.id AS other_id
FROM recount.clue
    CROSS JOIN unnest(ids) AS one (id)
    CROSS JOIN unnest(ids) AS other (id)
WHERE one.id <> other.id;

-- The writer of a message that counts as a reply: the group that it was written in, else all ids of its sender, else
-- those of the contact, if the body has exactly one message and one contact.
CREATE UNLOGGED TABLE recount.writer AS
SELECT DISTINCT number_id, message_id, at_s, type = 'button' AS is_press, quoted_id IS NOT NULL AS has_quote, writer.id
FROM recount.inbound
    JOIN recount.replying_type USING (type)
    CROSS JOIN unnest(CASE WHEN in_group_of IS NOT NULL THEN ARRAY[in_group_of]
        WHEN coalesce(from_phone, from_user_id, from_parent_user_id) IS NOT NULL
        THEN ARRAY[from_phone, from_user_id, from_parent_user_id]
        ELSE ARRAY[
            recount.phone(recount.name(only_contact -> 'wa_id')),
            recount.user_id(recount.name(only_contact -> 'user_id')),
            recount.user_id(recount.name(only_contact -> 'parent_user_id'))]
        END) AS writer (id)
WHERE writer.id IS NOT NULL;

-- Identifiers that identify nobody: placeholders, and those that are shown with too many others.
CREATE UNLOGGED TABLE recount.refused AS
SELECT number_id, id
FROM recount.clue
    CROSS JOIN unnest(ids) AS one (id)
    CROSS JOIN regexp_replace(id COLLATE "C", '^(phone|user|name) ', '') AS written
WHERE id NOT LIKE 'message %'
    AND (written ~ '^0+$' OR lower(written) IN (SELECT placeholder FROM recount.placeholder))
UNION
SELECT number_id, id
FROM (
    SELECT number_id, id, split_part(other_id, ' ', 1) AS other_kind FROM recount.shown
    UNION ALL
    SELECT number_id, id, 'message' FROM (SELECT DISTINCT number_id, id, message_id FROM recount.writer) AS wrote
) AS shown_with
GROUP BY number_id, id
HAVING count(*) FILTER (WHERE other_kind = 'phone') > recount.most('identifier_links')
    OR count(*) FILTER (WHERE other_kind = 'user') > recount.most('identifier_links')
    OR count(*) FILTER (WHERE other_kind = 'name') > recount.most('identifier_links')
    OR (id NOT LIKE 'message %' AND count(*) FILTER (WHERE other_kind = 'message') > recount.most('identifier_messages'));

-- Connected components of identifiers. Each identifier starts as a separate customer.
CREATE UNLOGGED TABLE recount.identifier AS
SELECT node, number_id, id, node AS customer
FROM (
    SELECT row_number() OVER () AS node, number_id, id
    FROM (SELECT DISTINCT number_id, unnest(ids) AS id FROM recount.clue) AS distinct_ids
) AS numbered;

CREATE UNIQUE INDEX ON recount.identifier (node);
CREATE INDEX ON recount.identifier (customer);

ANALYZE recount.shown, recount.refused, recount.identifier;

-- An identifier that identifies nobody has no links, so it stays separate. So does a message that was shown only
-- with such an identifier.
CREATE UNLOGGED TABLE recount.link AS
SELECT a.node AS one, b.node AS other
FROM recount.shown
    JOIN recount.identifier AS a USING (number_id, id)
    JOIN recount.identifier AS b ON b.number_id = shown.number_id AND b.id = other_id
WHERE NOT EXISTS (SELECT FROM recount.refused WHERE number_id = a.number_id AND id IN (a.id, b.id));

ANALYZE recount.link;

-- In each round a customer takes the smallest customer that a link leads to, until nothing changes. The remaining
-- customers are the connected components. Each round merges at least half of the components that have neighbours.
DO $$
DECLARE
    relabelled bigint;
BEGIN
    LOOP
        UPDATE recount.identifier
        SET customer = lowest.customer
        FROM (
            SELECT mine.customer AS old_customer, min(theirs.customer) AS customer
            FROM recount.link
                JOIN recount.identifier AS mine ON mine.node = one
                JOIN recount.identifier AS theirs ON theirs.node = other
            WHERE theirs.customer < mine.customer
            GROUP BY mine.customer
        ) AS lowest
        WHERE identifier.customer = lowest.old_customer;
        GET DIAGNOSTICS relabelled = ROW_COUNT;
        EXIT WHEN relabelled = 0;
    END LOOP;
END $$;


-- ------------------------------------------------------------------------- recipients: attempts

-- One row per attempt: its highest-ranked outcome, the template that results of this outcome name (if they
-- differ, the smallest as bytes), and the smallest (time, source:code) of its failures. A contact's attempts count
-- in the order of their text, up to one bound, and their messages in the order of attempts, up to another.
CREATE UNLOGGED TABLE recount.attempt AS
WITH every_attempt AS (
    SELECT
        tenant, campaign, contact, attempt,
        row_number() OVER (PARTITION BY tenant, campaign, contact ORDER BY attempt) AS place,
        min(at_ms) AS first_ms,
        (array_agg(outcome ORDER BY rank DESC))[1] AS outcome,
        (array_agg(template_name ORDER BY rank DESC, template_name, template_language))[1] AS template_name,
        (array_agg(template_language ORDER BY rank DESC, template_name, template_language))[1] AS template_language,
        (array_agg(error_key ORDER BY at_ms, error_key) FILTER (WHERE outcome = 'failed'))[1] AS error_key,
        count(DISTINCT (number_id, message_id)) FILTER (WHERE outcome = 'accepted' AND channel = 'whatsapp')
            AS messages,
        -- An attempt of both channels counts as WhatsApp.
        bool_and(channel = 'voice') AND bool_or(outcome IN ('requested', 'accepted')) AS is_requested
    FROM recount.send JOIN recount.outcome_rank USING (outcome)
    WHERE campaign IS NOT NULL
    GROUP BY tenant, campaign, contact, attempt
)
SELECT
    tenant, campaign, contact, attempt, first_ms, outcome, template_name, template_language, error_key, is_requested,
    greatest(least(messages, recount.most('attempt_messages') - messages_before) - 1, 0) AS duplicates
FROM (
    SELECT *, sum(messages) OVER (PARTITION BY tenant, campaign, contact ORDER BY place) - messages AS messages_before
    FROM every_attempt
) AS placed
WHERE place <= recount.most('attempts');

-- A contact counts once, with the template of its latest attempt.
CREATE UNLOGGED TABLE recount.contact AS
SELECT DISTINCT ON (tenant, campaign, contact) tenant, campaign, contact, template_name, template_language
FROM recount.attempt
ORDER BY tenant, campaign, contact, first_ms DESC, attempt DESC;


-- ------------------------------------------------------------------------------------- messages

-- One claim per wamid: a campaign's claim goes before a service message's, then the smallest one holds. A service
-- message is no attempt of a contact.
CREATE UNLOGGED TABLE recount.claim AS
SELECT DISTINCT ON (number_id, message_id)
    number_id, message_id, tenant, campaign, contact, attempt, template_name, template_language,
    at_ms / 1000 AS accepted_s
FROM recount.send
WHERE outcome = 'accepted' AND channel = 'whatsapp'
ORDER BY number_id, message_id, campaign IS NULL,
    at_ms, tenant, campaign, CASE WHEN campaign IS NOT NULL THEN contact END,
    CASE WHEN campaign IS NOT NULL THEN attempt END, template_name, template_language;

-- The attempts that claim a wamid, each by its smallest claim. The first one's claim holds. Every other attempt,
-- up to the bound, counts as claimed elsewhere. A service message is not an attempt.
CREATE UNLOGGED TABLE recount.claimed_elsewhere AS
SELECT tenant, campaign, template_name, template_language
FROM (
    SELECT *, row_number() OVER (PARTITION BY number_id, message_id
        ORDER BY at_ms, tenant, campaign, contact, attempt, template_name, template_language) AS place
    FROM (
        SELECT DISTINCT ON (number_id, message_id, tenant, campaign, contact, attempt)
            number_id, message_id, tenant, campaign, contact, attempt, at_ms, template_name, template_language
        FROM recount.send
        WHERE outcome = 'accepted' AND channel = 'whatsapp' AND campaign IS NOT NULL
        ORDER BY number_id, message_id, tenant, campaign, contact, attempt,
            at_ms, template_name, template_language
    ) AS claimant
) AS placed
WHERE place BETWEEN 2 AND 1 + recount.most('claimants');

-- The statuses of a wamid, together. Any sign of delivery counts as delivered, and any of these counts as sent.
CREATE UNLOGGED TABLE recount.progress AS
SELECT
    number_id, message_id,
    bool_or(status IN ('sent', 'delivered', 'read', 'played')) AS is_sent,
    bool_or(status IN ('delivered', 'read', 'played')) AS is_delivered,
    bool_or(status IN ('read', 'played')) AS is_read,
    bool_or(status = 'failed') AS is_failed,
    min(at_s) FILTER (WHERE status = 'delivered') AS delivered_s,
    min(at_s) FILTER (WHERE status IN ('read', 'played')) AS read_s
FROM recount.status
GROUP BY number_id, message_id;

-- The smallest (time, source:code) of a message's failed statuses.
CREATE UNLOGGED TABLE recount.failure AS
SELECT DISTINCT ON (number_id, message_id) number_id, message_id, error_key
FROM recount.status
    -- An object instead of a list counts as its only entry.
    CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(item -> 'errors') WHEN 'object'
        THEN jsonb_build_array(item -> 'errors') ELSE recount.items(item -> 'errors') END) AS entry (error)
    CROSS JOIN LATERAL (SELECT ('meta:' || recount.id(error -> 'code')) COLLATE "C" AS error_key) AS keyed
WHERE status = 'failed' AND error_key IS NOT NULL
ORDER BY number_id, message_id, at_s, error_key;

-- The last pricing by (rank of its status, time, category, type); a missing part sorts first.
CREATE UNLOGGED TABLE recount.price AS
SELECT DISTINCT ON (number_id, message_id) number_id, message_id,
    category, type
FROM recount.status
    CROSS JOIN LATERAL (
        SELECT CASE WHEN jsonb_typeof(item -> 'pricing') = 'object' THEN item -> 'pricing'
            ELSE item #> '{conversation,pricing}' END AS pricing  -- of a group's message
    ) AS found
    CROSS JOIN LATERAL (
        SELECT recount.priced(pricing -> 'category') COLLATE "C" AS category,
            recount.priced(pricing -> 'type') COLLATE "C" AS type
    ) AS named
WHERE jsonb_typeof(pricing) = 'object'
ORDER BY number_id, message_id,
    array_position(ARRAY['sent', 'delivered', 'read', 'played'], status) DESC NULLS LAST, at_s DESC,
    named.category DESC, named.type DESC;

CREATE UNLOGGED TABLE recount.quote AS
SELECT number_id, quoted_id AS message_id, bool_or(type = 'button') AS is_clicked
FROM recount.inbound
WHERE quoted_id IS NOT NULL
GROUP BY number_id, quoted_id;

-- The smallest id that was written for each message, as bytes: of its accepted send results, of the statuses that
-- count or name a price, of quotes, and of echoes. No counter depends on it.
CREATE UNLOGGED TABLE recount.raw_id AS
SELECT number_id, message_id, min(raw_id) AS raw_id
FROM (
    SELECT number_id, message_id, raw_id FROM recount.send WHERE outcome = 'accepted' AND channel = 'whatsapp'
    UNION ALL
    SELECT number_id, message_id, raw_id FROM recount.status
    WHERE status IN ('sent', 'delivered', 'read', 'played', 'failed')
        OR jsonb_typeof(item -> 'pricing') = 'object'
        OR jsonb_typeof(item #> '{conversation,pricing}') = 'object'
    UNION ALL
    SELECT number_id, quoted_id, raw_quoted_id FROM recount.inbound WHERE quoted_id IS NOT NULL
    UNION ALL
    SELECT number_id, message_id, raw_id FROM recount.echo
) AS written
GROUP BY number_id, message_id;

-- Campaign messages, each with everything known about it.
CREATE UNLOGGED TABLE recount.message AS
SELECT
    claim.*,
    identifier.customer,
    coalesce(is_sent, false) AS is_sent,
    coalesce(is_delivered, false) AS is_delivered,
    coalesce(is_read, false) AS is_read,
    coalesce(is_failed, false) AS is_failed,
    1000 * (delivered_s - accepted_s) AS deliver_ms,
    1000 * (read_s - accepted_s) AS read_ms,
    delivered_s, read_s,
    error_key,
    category, type,
    quote.message_id IS NOT NULL AS is_quoted,
    coalesce(is_clicked, false) AS is_clicked
FROM recount.claim
    LEFT JOIN recount.progress USING (number_id, message_id)
    LEFT JOIN recount.failure USING (number_id, message_id)
    LEFT JOIN recount.price USING (number_id, message_id)
    LEFT JOIN recount.quote USING (number_id, message_id)
    JOIN recount.identifier ON identifier.number_id = claim.number_id
        AND identifier.id = 'message ' || claim.message_id
WHERE campaign IS NOT NULL;

CREATE INDEX ON recount.message (customer, accepted_s);


-- -------------------------------------------------------------------------------------- replies

-- A message is one reply, at the earliest time that a copy of it names. A message from an identifier that
-- identifies nobody is not a reply.
CREATE UNLOGGED TABLE recount.reply AS
SELECT identifier.customer, min(at_s) AS at_s
FROM recount.writer JOIN recount.identifier USING (number_id, id)
WHERE NOT EXISTS (SELECT FROM recount.refused WHERE number_id = writer.number_id AND id = writer.id)
GROUP BY identifier.customer, message_id;

CREATE INDEX ON recount.reply (customer, at_s);
ANALYZE recount.message, recount.reply;

-- A reply credits every send in whose window it falls, both ends included.
CREATE UNLOGGED TABLE recount.replied AS
SELECT number_id, message_id
FROM recount.message
WHERE EXISTS (
    SELECT FROM recount.reply, recount.setting
    WHERE reply.customer = message.customer
        AND at_s BETWEEN accepted_s AND accepted_s + reply_window_seconds
);

-- Last touch: a reply credits only the latest send before it; a fixed order decides between sends of one second.
CREATE UNLOGGED TABLE recount.last_touch AS
SELECT DISTINCT latest.number_id, latest.message_id
FROM recount.reply
    CROSS JOIN recount.setting
    CROSS JOIN LATERAL (
        SELECT number_id, message_id, accepted_s
        FROM recount.message
        WHERE message.customer = reply.customer AND accepted_s <= at_s
        ORDER BY accepted_s DESC, tenant DESC, campaign DESC, contact DESC, attempt DESC,
            template_name DESC, template_language DESC, message_id DESC
        LIMIT 1
    ) AS latest
WHERE at_s <= accepted_s + reply_window_seconds;

-- Presses of a quick reply of which no copy names a message. They are replies, too.
CREATE UNLOGGED TABLE recount.press AS
SELECT identifier.customer, min(at_s) AS at_s
FROM recount.writer JOIN recount.identifier USING (number_id, id)
WHERE NOT EXISTS (SELECT FROM recount.refused WHERE number_id = writer.number_id AND id = writer.id)
GROUP BY identifier.customer, message_id
HAVING bool_or(is_press) AND NOT bool_or(is_press AND has_quote);

-- Template messages, of campaigns and of none.
CREATE UNLOGGED TABLE recount.template_message AS
SELECT
    identifier.customer, number_id, message_id, tenant, coalesce(campaign, '') AS campaign,
    CASE WHEN campaign IS NULL THEN '' ELSE contact END AS contact,
    CASE WHEN campaign IS NULL THEN '' ELSE attempt END AS attempt,
    template_name, template_language, accepted_s, coalesce(is_clicked, false) AS is_clicked
FROM recount.claim
    LEFT JOIN recount.quote USING (number_id, message_id)
    JOIN recount.identifier USING (number_id)
WHERE template_name <> '' AND identifier.id = 'message ' || message_id;

CREATE INDEX ON recount.template_message (customer, accepted_s);
ANALYZE recount.template_message;

-- What such a press belongs to: the latest template message to that customer before it, a campaign's or a service
-- message, if the press falls in its reply window. Last touch's order decides between messages of one second; of
-- messages that are equal in all of it, those with a press that names them go first.
CREATE UNLOGGED TABLE recount.implied_press AS
SELECT DISTINCT latest.number_id, latest.message_id
FROM recount.press
    CROSS JOIN recount.setting
    CROSS JOIN LATERAL (
        SELECT number_id, message_id, accepted_s
        FROM recount.template_message
        WHERE template_message.customer = press.customer AND accepted_s <= at_s
        ORDER BY accepted_s DESC, tenant DESC, campaign DESC, contact DESC, attempt DESC,
            template_name DESC, template_language DESC, is_clicked DESC, message_id DESC
        LIMIT 1
    ) AS latest
WHERE at_s <= accepted_s + reply_window_seconds;


-- ------------------------------------------------------------------------- what campaigns are called
-- A record of `campaigns` says what a campaign's fields are from its time on. Of each field the latest time that
-- names it holds, and of one time the greatest value as a list of texts in UTF-8; null, or an empty list, says
-- that there is none. A field that is none costs that field. What a campaign has is a list of entries of one.

CREATE FUNCTION recount.part_of_key(part text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT replace(replace(part, '%', '%25'), '/', '%2F')
$$;

-- A text of 1 to so many characters, without U+0000.
CREATE FUNCTION recount.is_said(v jsonb, most int) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        char_length(recount.words(v)) BETWEEN 1 AND most AND strpos(v #>> '{}', U&'\FDD0') = 0, false)
$$;

-- A whole number from the least to a thousand million.
CREATE FUNCTION recount.is_whole(v jsonb, smallest bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(v) = 'number' AND v::text ~ '^[0-9]{1,10}$'
        THEN v::text::bigint BETWEEN smallest AND 1000000000 ELSE false END
$$;

CREATE UNLOGGED TABLE recount.saying AS
SELECT tenant, campaign, at_ms, field, entries
FROM recount.event
    CROSS JOIN LATERAL (
        SELECT
            recount.id(body -> 'tenant') COLLATE "C" AS tenant,
            recount.id(body -> 'campaign') COLLATE "C" AS campaign,
            recount.unix_ms(body -> 'time', latest_ms) AS at_ms
    ) AS named
    CROSS JOIN LATERAL (
        SELECT field, body -> field AS value
        FROM (VALUES ('name'), ('status'), ('tags'), ('planned'), ('limits')) AS fields (field)
        WHERE body ? field
    ) AS given
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN value = 'null' THEN '{}'
            WHEN field = 'name' AND recount.is_said(value, 128) THEN ARRAY['name=' || (value #>> '{}')]
            WHEN field = 'status' AND recount.is_said(value, 64) THEN ARRAY['status=' || (value #>> '{}')]
            WHEN field = 'planned' AND recount.is_whole(value, 0) THEN ARRAY['planned=' || value::text]
            WHEN field = 'tags' AND jsonb_typeof(value) = 'array' THEN (
                SELECT CASE WHEN count(*) <= 32 AND coalesce(bool_and(recount.is_said(tag, 64)), true)
                    THEN coalesce(
                        array_agg(DISTINCT ('tag=' || (tag #>> '{}')) COLLATE "C") FILTER (WHERE tag IS NOT NULL), '{}')
                    END
                FROM jsonb_array_elements(value) AS listed (tag))
            WHEN field = 'limits' AND jsonb_typeof(value) = 'object' THEN (
                SELECT CASE WHEN coalesce(bool_and(recount.is_whole(limited, 1)), true)
                    THEN coalesce(
                        array_agg(('limit.' || name || '=' || limited::text) COLLATE "C" ORDER BY name COLLATE "C"), '{}')
                    END
                FROM jsonb_each(value) AS listed (name, limited)
                WHERE name IN ('per_second', 'per_day') AND limited <> 'null')
        END::text[] COLLATE "C" AS entries
    ) AS read
WHERE topic = 'campaigns' AND jsonb_typeof(body) = 'object'
    AND coalesce((body -> 'v')::text, 'null') IN ('null', '1')
    AND at_ms IS NOT NULL
    AND headers ->> 'tally-key' = recount.part_of_key(tenant) || '/' || recount.part_of_key(campaign)
    AND entries IS NOT NULL;

CREATE UNLOGGED TABLE recount.description AS
SELECT tenant, campaign, coalesce(jsonb_object_agg(entry, 1) FILTER (WHERE entry IS NOT NULL), '{}') AS description
FROM (
    SELECT DISTINCT ON (tenant, campaign, field) tenant, campaign, entries
    FROM recount.saying
    ORDER BY tenant, campaign, field, at_ms DESC, entries DESC
) AS latest
    LEFT JOIN LATERAL unnest(entries) AS entry ON true
GROUP BY tenant, campaign;


-- --------------------------------------------------------------------------------- the counters
-- Each of the following tables has one row per template and one row per campaign (is_total). A campaign's row is
-- the sum over its templates; a counter that does not add up counts distinct again.

CREATE TABLE recount.contact_count AS
SELECT tenant, campaign, grouping(template_name) = 1 AS is_total,
    coalesce(template_name, '') AS template_name, coalesce(template_language, '') AS template_language,
    count(*) AS contacts
FROM recount.contact
GROUP BY GROUPING SETS ((tenant, campaign, template_name, template_language), (tenant, campaign));

CREATE TABLE recount.attempt_count AS
SELECT tenant, campaign, grouping(template_name) = 1 AS is_total,
    coalesce(template_name, '') AS template_name, coalesce(template_language, '') AS template_language,
    count(*) AS attempts,
    count(*) FILTER (WHERE outcome IN ('queued', 'requested')) AS queued,
    count(*) FILTER (WHERE outcome = 'failed') AS failed_at_send,
    count(*) FILTER (WHERE outcome = 'skipped') AS skipped,
    count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
    sum(duplicates)::bigint AS duplicates
FROM recount.attempt
GROUP BY GROUPING SETS ((tenant, campaign, template_name, template_language), (tenant, campaign));

CREATE TABLE recount.message_count AS
SELECT tenant, campaign, grouping(template_name) = 1 AS is_total,
    coalesce(template_name, '') AS template_name, coalesce(template_language, '') AS template_language,
    count(*) AS accepted,
    count(*) FILTER (WHERE is_sent) AS sent,
    count(*) FILTER (WHERE is_delivered) AS delivered,
    count(*) FILTER (WHERE is_read AND delivered_s IS NULL) AS delivered_implied,
    -- A message that is read is delivered then at the latest.
    count(*) FILTER (WHERE least(delivered_s, read_s) > accepted_s + 86400) AS delivered_late,
    count(*) FILTER (WHERE is_read) AS read,
    count(*) FILTER (WHERE read_s > accepted_s + 86400) AS read_late,
    count(*) FILTER (WHERE is_failed AND NOT is_delivered) AS failed_after_send,
    count(*) FILTER (WHERE is_failed AND is_delivered) AS failed_then_delivered,
    count(*) FILTER (WHERE NOT is_delivered AND NOT is_failed) AS in_flight,
    count(DISTINCT customer) AS contacts_accepted,
    count(DISTINCT customer) FILTER (WHERE replied.message_id IS NOT NULL) AS replied,
    count(DISTINCT customer) FILTER (WHERE last_touch.message_id IS NOT NULL) AS replied_last_touch,
    count(*) FILTER (WHERE is_quoted) AS replied_quoted,
    count(*) FILTER (WHERE is_clicked OR implied_press.message_id IS NOT NULL) AS clicked,
    count(*) FILTER (WHERE NOT is_clicked AND implied_press.message_id IS NOT NULL) AS clicked_implied,
    count(*) FILTER (WHERE deliver_ms >= 0) AS deliver_count,
    count(*) FILTER (WHERE deliver_ms < 0) AS deliver_negative,
    percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY deliver_ms) FILTER (WHERE deliver_ms >= 0)
        AS deliver_percentiles,
    count(*) FILTER (WHERE read_ms >= 0) AS read_count,
    count(*) FILTER (WHERE read_ms < 0) AS read_negative,
    percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY read_ms) FILTER (WHERE read_ms >= 0)
        AS read_percentiles
FROM recount.message
    LEFT JOIN recount.replied USING (number_id, message_id)
    LEFT JOIN recount.last_touch USING (number_id, message_id)
    LEFT JOIN recount.implied_press USING (number_id, message_id)
GROUP BY GROUPING SETS ((tenant, campaign, template_name, template_language), (tenant, campaign));

CREATE TABLE recount.elsewhere_count AS
SELECT tenant, campaign, grouping(template_name) = 1 AS is_total,
    coalesce(template_name, '') AS template_name, coalesce(template_language, '') AS template_language,
    count(*) AS claimed_elsewhere
FROM recount.claimed_elsewhere
GROUP BY GROUPING SETS ((tenant, campaign, template_name, template_language), (tenant, campaign));

-- The errors of failures at send and after it, which together are `failed`.
CREATE TABLE recount.error_count AS
WITH failed AS (
    SELECT tenant, campaign, template_name, template_language, error_key
    FROM recount.attempt WHERE outcome = 'failed'
    UNION ALL
    SELECT tenant, campaign, template_name, template_language, error_key
    FROM recount.message WHERE is_failed AND NOT is_delivered
), bounded AS (
    SELECT tenant, campaign, template_name, template_language,
        coalesce(key, split_part(error_key, ':', 1) || ':other', 'other') AS key
    FROM failed LEFT JOIN recount.listed_error ON key = error_key
), counted AS (
    SELECT tenant, campaign, grouping(template_name) = 1 AS is_total,
        coalesce(template_name, '') AS template_name, coalesce(template_language, '') AS template_language,
        key, count(*) AS n
    FROM bounded
    GROUP BY GROUPING SETS ((tenant, campaign, template_name, template_language, key), (tenant, campaign, key))
)
SELECT tenant, campaign, is_total, template_name, template_language, jsonb_object_agg(key, n) AS errors
FROM counted
GROUP BY tenant, campaign, is_total, template_name, template_language;

CREATE TABLE recount.price_count AS
WITH bounded AS (
    SELECT tenant, campaign, template_name, template_language,
        CASE WHEN category = '' THEN 'unknown' WHEN EXISTS (
            SELECT FROM recount.listed_price WHERE part = 'category' AND name = category
        ) THEN category ELSE 'other' END || '/' || CASE WHEN type = '' THEN 'unknown' WHEN EXISTS (
            SELECT FROM recount.listed_price WHERE part = 'type' AND name = type
        ) THEN type ELSE 'other' END AS key,
        is_delivered
    FROM recount.message
    WHERE category IS NOT NULL
), counted AS (
    SELECT tenant, campaign, grouping(template_name) = 1 AS is_total,
        coalesce(template_name, '') AS template_name, coalesce(template_language, '') AS template_language,
        key, count(*) AS n, count(*) FILTER (WHERE is_delivered) AS delivered_n
    FROM bounded
    GROUP BY GROUPING SETS ((tenant, campaign, template_name, template_language, key), (tenant, campaign, key))
)
SELECT tenant, campaign, is_total, template_name, template_language, jsonb_object_agg(key, n) AS pricing,
    jsonb_object_agg(key, delivered_n) FILTER (WHERE delivered_n > 0) AS pricing_delivered
FROM counted
GROUP BY tenant, campaign, is_total, template_name, template_language;

-- What follows a prefix in the one entry that begins with it.
CREATE FUNCTION recount.one(description jsonb, prefix text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT substr(entry, char_length(prefix) + 1)
    FROM jsonb_object_keys(description) AS entry WHERE starts_with(entry, prefix)
$$;

CREATE TABLE recount.stats AS
WITH rows AS (
    SELECT tenant, campaign, is_total, template_name, template_language FROM recount.contact_count
    UNION SELECT tenant, campaign, is_total, template_name, template_language FROM recount.attempt_count
    UNION SELECT tenant, campaign, is_total, template_name, template_language FROM recount.message_count
    UNION SELECT tenant, campaign, is_total, template_name, template_language FROM recount.elsewhere_count
    UNION SELECT tenant, campaign, true, '', '' FROM recount.description WHERE description <> '{}'
)
SELECT
    tenant, campaign, is_total, template_name, template_language,
    coalesce(contacts, 0) AS contacts,
    coalesce(attempts, 0) AS attempts,
    coalesce(queued, 0) AS queued,
    coalesce(accepted, 0) AS accepted,
    coalesce(failed_at_send, 0) AS failed_at_send,
    coalesce(skipped, 0) AS skipped,
    coalesce(cancelled, 0) AS cancelled,
    coalesce(duplicates, 0) AS duplicates,
    coalesce(claimed_elsewhere, 0) AS claimed_elsewhere,
    coalesce(sent, 0) AS sent,
    coalesce(delivered, 0) AS delivered,
    coalesce(delivered_implied, 0) AS delivered_implied,
    coalesce(delivered_late, 0) AS delivered_late,
    coalesce(read, 0) AS read,
    coalesce(read_late, 0) AS read_late,
    coalesce(failed_after_send, 0) AS failed_after_send,
    coalesce(failed_then_delivered, 0) AS failed_then_delivered,
    coalesce(failed_at_send, 0) + coalesce(failed_after_send, 0) AS failed,
    coalesce(in_flight, 0) AS in_flight,
    coalesce(contacts_accepted, 0) AS contacts_accepted,
    coalesce(replied, 0) AS replied,
    coalesce(replied_last_touch, 0) AS replied_last_touch,
    coalesce(replied_quoted, 0) AS replied_quoted,
    coalesce(clicked, 0) AS clicked,
    coalesce(clicked_implied, 0) AS clicked_implied,
    coalesce(errors, '{}') AS errors,
    coalesce(pricing, '{}') AS pricing,
    coalesce(pricing_delivered, '{}') AS pricing_delivered,
    jsonb_build_object(
        'count', coalesce(deliver_count, 0), 'p50_ms', deliver_percentiles[1], 'p95_ms', deliver_percentiles[2],
        'p99_ms', deliver_percentiles[3], 'negative', coalesce(deliver_negative, 0)) AS time_to_deliver,
    jsonb_build_object(
        'count', coalesce(read_count, 0), 'p50_ms', read_percentiles[1], 'p95_ms', read_percentiles[2],
        'p99_ms', read_percentiles[3], 'negative', coalesce(read_negative, 0)) AS time_to_read
FROM rows
    LEFT JOIN recount.contact_count USING (tenant, campaign, is_total, template_name, template_language)
    LEFT JOIN recount.attempt_count USING (tenant, campaign, is_total, template_name, template_language)
    LEFT JOIN recount.message_count USING (tenant, campaign, is_total, template_name, template_language)
    LEFT JOIN recount.elsewhere_count USING (tenant, campaign, is_total, template_name, template_language)
    LEFT JOIN recount.error_count USING (tenant, campaign, is_total, template_name, template_language)
    LEFT JOIN recount.price_count USING (tenant, campaign, is_total, template_name, template_language);

CREATE VIEW recount.campaign_template_stats AS
SELECT
    tenant, campaign, template_name, template_language,
    contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates, claimed_elsewhere,
    sent, delivered, delivered_implied, delivered_late, read, read_late, failed_after_send, failed_then_delivered,
    failed, in_flight,
    contacts_accepted, replied, replied_last_touch, replied_quoted, clicked, clicked_implied,
    errors, pricing, pricing_delivered, time_to_deliver, time_to_read
FROM recount.stats WHERE NOT is_total;

CREATE VIEW recount.campaign_stats AS
SELECT
    tenant, campaign,
    recount.one(description, 'name=') AS name,
    recount.one(description, 'status=') AS status,
    (SELECT coalesce(jsonb_agg(substr(entry, 5) ORDER BY entry COLLATE "C"), '[]')
        FROM jsonb_object_keys(description) AS entry WHERE entry LIKE 'tag=%') AS tags,
    recount.one(description, 'planned=')::bigint AS planned,
    (SELECT coalesce(
            jsonb_object_agg(split_part(substr(entry, 7), '=', 1), split_part(entry, '=', 2)::bigint), '{}')
        FROM jsonb_object_keys(description) AS entry WHERE entry LIKE 'limit.%') AS limits,
    contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates, claimed_elsewhere,
    sent, delivered, delivered_implied, delivered_late, read, read_late, failed_after_send, failed_then_delivered,
    failed, in_flight,
    contacts_accepted, replied, replied_last_touch, replied_quoted, clicked, clicked_implied,
    errors, pricing, pricing_delivered, time_to_deliver, time_to_read
FROM recount.stats LEFT JOIN recount.description USING (tenant, campaign)
WHERE is_total;
