-- The recount by cell: the counters of WhatsApp, and of the attempts of voice campaigns, by business number or PBX,
-- market and quarter hour, and what happened to campaigns by minute, in plain SQL (docs/cells.md). Calls and
-- operators: recount_call_cells.sql.
--
-- Execute it after recount.sql, which drops what it makes, with recount.market_prefix filled. Results: recount.cell
-- and recount.activity, each with one row for every counter of every cell that is not zero.

CREATE FUNCTION recount.minute(at_ms bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT at_ms / 60000 $$;
CREATE FUNCTION recount.quarter(at_ms bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT at_ms / 900000 $$;

-- The region of a phone's longest known prefix.
CREATE FUNCTION recount.market_of(identifier text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT nullif(region, '')
    FROM recount.market_prefix
    WHERE identifier LIKE 'phone %' AND starts_with(substr(identifier, 7), prefix)
    ORDER BY length(prefix) DESC LIMIT 1
$$;

-- That of the phone, else of the other phone, else the two letters that a business-scoped id begins with.
CREATE FUNCTION recount.market(phone text, wa_id text, user_id text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(recount.market_of(phone), recount.market_of(wa_id),
        upper(substring(user_id COLLATE "C" FROM '^user ([A-Za-z]{2})[.]')))
$$;

-- Send results, each with where it went; what is not known is null.
CREATE UNLOGGED TABLE recount.placed AS
SELECT tenant, campaign, contact, attempt, channel, outcome, at_ms, template_name, template_language,
    number_id, message_id,
    recount.short_name(coalesce(number_id, pbx)) COLLATE "C" AS number,
    recount.market(phone, wa_id, user_id) COLLATE "C" AS market
FROM recount.send;

-- An attempt is at the number and in the market of its highest-ranked outcome that has one, the smallest of several;
-- it was sent at its first result.
CREATE UNLOGGED TABLE recount.attempt_place AS
SELECT tenant, campaign, contact, attempt,
    coalesce((array_agg(number ORDER BY rank DESC, number) FILTER (WHERE number IS NOT NULL))[1], '') AS number,
    coalesce((array_agg(market ORDER BY rank DESC, market) FILTER (WHERE market IS NOT NULL))[1], '') AS market,
    recount.quarter(min(at_ms)) AS quarter,
    min(at_ms) FILTER (WHERE outcome = 'failed') AS failed_ms
FROM recount.placed JOIN recount.outcome_rank USING (outcome)
WHERE campaign IS NOT NULL
GROUP BY tenant, campaign, contact, attempt;

-- Of each message the smallest send, and of that send what any of its records says.
CREATE UNLOGGED TABLE recount.claim_place AS
SELECT DISTINCT ON (number_id, message_id)
    number_id, message_id, number, at_ms, recount.quarter(at_ms) AS quarter,
    coalesce(min(market) OVER of_send, '') AS market
FROM recount.placed
WHERE outcome = 'accepted' AND channel = 'whatsapp' AND campaign IS NOT NULL
WINDOW of_send AS (PARTITION BY number_id, message_id, at_ms, tenant, campaign, contact, attempt)
ORDER BY number_id, message_id, at_ms, tenant, campaign, contact, attempt;

-- The attempts that claim a message, in order: each by its smallest send.
CREATE UNLOGGED TABLE recount.claimant_place AS
SELECT *, row_number() OVER (PARTITION BY number_id, message_id
    ORDER BY at_ms, tenant, campaign, contact, attempt) AS place
FROM (
    SELECT DISTINCT ON (number_id, message_id, tenant, campaign, contact, attempt)
        number_id, message_id, tenant, campaign, contact, attempt, at_ms, number,
        template_name, template_language, coalesce(min(market) OVER of_send, '') AS market
    FROM recount.placed
    WHERE outcome = 'accepted' AND channel = 'whatsapp' AND campaign IS NOT NULL
    WINDOW of_send AS (PARTITION BY number_id, message_id, tenant, campaign, contact, attempt, at_ms)
    ORDER BY number_id, message_id, tenant, campaign, contact, attempt, at_ms, template_name, template_language
) AS claimant;

-- What happened to messages: each stage at its own time, or at that of a later stage if that was before.
CREATE UNLOGGED TABLE recount.reached AS
SELECT number_id, message_id,
    min(at_s) FILTER (WHERE status IN ('sent', 'delivered', 'read', 'played')) AS sent_s,
    min(at_s) FILTER (WHERE status IN ('delivered', 'read', 'played')) AS delivered_s,
    min(at_s) FILTER (WHERE status IN ('read', 'played')) AS read_s,
    min(at_s) FILTER (WHERE status = 'failed') AS failed_s
FROM recount.status
GROUP BY number_id, message_id;

-- The first press of a message's quick reply; one that no press names has those of recount.implied_press. Of messages
-- that are equal in last touch's order, and none of them is named by a press, that of the largest market has them.
CREATE UNLOGGED TABLE recount.pressed AS
SELECT number_id, quoted_id AS message_id, min(at_s) AS at_s, false AS is_implied
FROM recount.inbound
WHERE quoted_id IS NOT NULL AND type = 'button'
GROUP BY number_id, quoted_id
UNION ALL
SELECT latest.number_id, latest.message_id, min(at_s), true
FROM recount.press
    CROSS JOIN recount.setting
    CROSS JOIN LATERAL (
        SELECT number_id, message_id, accepted_s, is_clicked
        FROM recount.template_message LEFT JOIN recount.claim_place USING (number_id, message_id)
        WHERE template_message.customer = press.customer AND accepted_s <= at_s
        ORDER BY accepted_s DESC, tenant DESC, campaign DESC, contact DESC, attempt DESC,
            template_name DESC, template_language DESC, is_clicked DESC,
            coalesce(market, '') DESC, message_id DESC
        LIMIT 1
    ) AS latest
WHERE at_s <= accepted_s + reply_window_seconds AND NOT latest.is_clicked
GROUP BY latest.number_id, latest.message_id;

-- A customer's first send of a template, and of a campaign, by which its counters are placed.
CREATE UNLOGGED TABLE recount.send_of_customer AS
SELECT tenant, campaign, is_total, template_name, template_language, customer,
    (array_agg(number ORDER BY rank))[1] AS number,
    (array_agg(market ORDER BY rank))[1] AS market,
    (array_agg(quarter ORDER BY rank))[1] AS quarter,
    bool_or(has_replied) AS has_replied, bool_or(is_last_touch) AS is_last_touch, min(replied_s) AS replied_s
FROM (
    SELECT message.tenant, message.campaign, is_total, customer,
        CASE WHEN is_total THEN '' ELSE template_name END AS template_name,
        CASE WHEN is_total THEN '' ELSE template_language END AS template_language,
        number, market, quarter, replied_s IS NOT NULL AS has_replied, replied_s,
        last_touch.message_id IS NOT NULL AS is_last_touch,
        row_number() OVER (ORDER BY at_ms, message.tenant, message.campaign, message.contact, message.attempt,
            template_name, template_language, market = '', market) AS rank
    FROM recount.message
        JOIN recount.claim_place USING (number_id, message_id)
        LEFT JOIN recount.last_touch USING (number_id, message_id)
        CROSS JOIN (VALUES (true), (false)) AS total (is_total)
        LEFT JOIN LATERAL (
            SELECT min(at_s) AS replied_s FROM recount.reply, recount.setting
            WHERE reply.customer = message.customer
                AND at_s BETWEEN accepted_s AND accepted_s + reply_window_seconds
        ) AS replied ON true
) AS sent
GROUP BY tenant, campaign, is_total, template_name, template_language, customer;

-- Names of entries, as recount.error_count and recount.price_count have them.
CREATE FUNCTION recount.error_name(error_key text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT key FROM recount.listed_error WHERE key = error_key),
        split_part(error_key, ':', 1) || ':other', 'other')
$$;
CREATE FUNCTION recount.price_name(category text, type text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN category = '' THEN 'unknown' WHEN EXISTS (
        SELECT FROM recount.listed_price WHERE part = 'category' AND name = category
    ) THEN category ELSE 'other' END || '/' || CASE WHEN type = '' THEN 'unknown' WHEN EXISTS (
        SELECT FROM recount.listed_price WHERE part = 'type' AND name = type
    ) THEN type ELSE 'other' END
$$;

CREATE TABLE recount.cell AS
WITH each (tenant, campaign, is_total, template_name, template_language, number, market, quarter, counter, n) AS (
    SELECT attempt.tenant, attempt.campaign, false, attempt.template_name, attempt.template_language,
        number, market, quarter, counter, n
    FROM recount.attempt
        JOIN recount.attempt_place USING (tenant, campaign, contact, attempt)
        CROSS JOIN LATERAL (VALUES
            ('attempts', 1), ('duplicates', duplicates), ('requested', is_requested::int),
            (CASE outcome WHEN 'failed' THEN 'failed_at_send' WHEN 'requested' THEN 'queued' ELSE outcome END,
                (outcome <> 'accepted')::int),
            ('errors.' || recount.error_name(error_key), (outcome = 'failed')::int),
            ('contacts', (NOT EXISTS (
                SELECT FROM recount.attempt AS later
                WHERE (later.tenant, later.campaign, later.contact)
                        = (attempt.tenant, attempt.campaign, attempt.contact)
                    AND (later.first_ms, later.attempt) > (attempt.first_ms, attempt.attempt)
            ))::int)
        ) AS counted (counter, n)
    UNION ALL
    SELECT tenant, campaign, false, template_name, template_language, number, market, quarter, counter, n
    FROM recount.message
        JOIN recount.claim_place USING (number_id, message_id)
        LEFT JOIN recount.pressed ON pressed.number_id = message.number_id
            AND pressed.message_id = message.message_id AND (is_implied OR is_clicked)
        CROSS JOIN LATERAL (VALUES
            ('accepted', 1), ('sent', is_sent::int), ('delivered', is_delivered::int), ('read', is_read::int),
            ('delivered_implied', (is_read AND message.delivered_s IS NULL)::int),
            ('delivered_late', (least(message.delivered_s, message.read_s) > accepted_s + 86400)::int),
            ('read_late', (message.read_s > accepted_s + 86400)::int),
            ('failed_after_send', (is_failed AND NOT is_delivered)::int),
            ('failed_then_delivered', (is_failed AND is_delivered)::int),
            ('replied_quoted', is_quoted::int),
            ('clicked', (pressed.message_id IS NOT NULL)::int), ('clicked_implied', coalesce(is_implied, false)::int),
            ('time_to_deliver', (deliver_ms IS NOT NULL)::int), ('time_to_read', (read_ms IS NOT NULL)::int),
            ('errors.' || recount.error_name(error_key), (is_failed AND NOT is_delivered)::int),
            ('pricing.' || recount.price_name(category, type), (category IS NOT NULL)::int),
            ('pricing_delivered.' || recount.price_name(category, type), (category IS NOT NULL AND is_delivered)::int)
        ) AS counted (counter, n)
    UNION ALL
    SELECT tenant, campaign, false, template_name, template_language, number, market, recount.quarter(at_ms),
        'claimed_elsewhere', 1
    FROM recount.claimant_place
    WHERE place BETWEEN 2 AND 1 + recount.most('claimants')
    UNION ALL
    SELECT tenant, campaign, is_total, template_name, template_language, number, market, quarter, counter, n
    FROM recount.send_of_customer
        CROSS JOIN LATERAL (VALUES
            ('contacts_accepted', 1), ('replied', has_replied::int), ('replied_last_touch', is_last_touch::int)
        ) AS counted (counter, n)
)
SELECT tenant, campaign, is_total, template_name, template_language, number, market, quarter, counter, sum(n)::bigint AS n
FROM each
GROUP BY tenant, campaign, is_total, template_name, template_language, number, market, quarter, counter
HAVING sum(n) <> 0;

CREATE TABLE recount.activity AS
WITH each (tenant, campaign, number, minute, counter) AS (
    SELECT tenant, campaign, number, recount.minute(failed_ms), 'failed'
    FROM recount.attempt JOIN recount.attempt_place USING (tenant, campaign, contact, attempt)
    WHERE outcome = 'failed'
    UNION ALL
    SELECT tenant, campaign, number, recount.minute(happened_ms), counter
    FROM recount.message
        JOIN recount.claim_place USING (number_id, message_id)
        LEFT JOIN recount.reached USING (number_id, message_id)
        LEFT JOIN recount.pressed ON pressed.number_id = message.number_id
            AND pressed.message_id = message.message_id AND (is_implied OR is_clicked)
        CROSS JOIN LATERAL (VALUES
            ('accepted', claim_place.at_ms), ('sent', 1000 * reached.sent_s),
            ('delivered', 1000 * reached.delivered_s), ('read', 1000 * reached.read_s),
            ('failed', CASE WHEN NOT is_delivered THEN 1000 * reached.failed_s END),
            ('clicked', 1000 * pressed.at_s)
        ) AS happened (counter, happened_ms)
    WHERE happened_ms IS NOT NULL
    UNION ALL
    SELECT tenant, campaign, number, recount.minute(1000 * replied_s), 'replied'
    FROM recount.send_of_customer
    WHERE is_total AND replied_s IS NOT NULL
)
SELECT tenant, campaign, number, '' AS queue, minute, counter, count(*) AS n
FROM each
GROUP BY tenant, campaign, number, minute, counter;
