-- The recount of calls by cell: every counter of calls by PBX, market and quarter hour, those of operators by quarter
-- hour, and what happened to the calls of campaigns by queue and minute, in plain SQL (docs/cells.md; each rule by its
-- number there).
--
-- Execute it after recount_calls.sql and recount_cells.sql. It adds to recount.cell and recount.activity; its own result
-- is recount.call_operator_cell.

CREATE FUNCTION recount.call_quarter(at_us bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT at_us / 900000000
$$;
CREATE FUNCTION recount.call_minute(at_us bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT at_us / 60000000
$$;

-- D6: of the results that name this PBX and a call, the market of the highest-ranked outcome that has one; of several
-- the smallest.
CREATE UNLOGGED TABLE recount.call_market AS
SELECT tenant, campaign, contact, attempt, pbx, (array_agg(market ORDER BY rank DESC, market))[1] AS market
FROM (
    SELECT tenant, campaign, contact, attempt, pbx, outcome,
        recount.market(phone, wa_id, user_id) COLLATE "C" AS market
    FROM recount.call_send
) AS told
    JOIN recount.call_outcome_rank USING (outcome)
WHERE market IS NOT NULL
GROUP BY tenant, campaign, contact, attempt, pbx;

-- Where an attempt of a campaign counts. D2: in the quarter of its first result that names a call, else in that of the
-- first sight of its first channel. D4: its number is the PBX.
CREATE UNLOGGED TABLE recount.call_placed AS
SELECT made.id, made.tenant, made.campaign, made.template_name, made.template_language,
    recount.short_name(made.at_pbx) COLLATE "C" AS number, coalesce(market, '') COLLATE "C" AS market,
    recount.call_quarter(coalesce(asked_us, first_us)) AS quarter
FROM recount.call_attempt AS made
    LEFT JOIN recount.call_sent AS sent ON sent.id = made.sent
    LEFT JOIN recount.call_market AS known ON (known.tenant, known.campaign, known.contact, known.attempt, known.pbx)
        = (sent.tenant, sent.campaign, sent.contact, sent.attempt, sent.pbx)
    LEFT JOIN recount.call_root AS root ON root.id = made.id
    LEFT JOIN recount.call_channel AS channel ON (channel.pbx, channel.uniqueid) = (root.pbx, root.uniqueid)
WHERE made.campaign IS NOT NULL;

INSERT INTO recount.cell (
    tenant, campaign, is_total, template_name, template_language, number, market, quarter, counter, n)
SELECT tenant, campaign, false, template_name, template_language, number, market, quarter, counter, sum(n)::bigint
FROM (
    SELECT id, counter, n
    FROM recount.call_result
        CROSS JOIN LATERAL (VALUES
            ('attempted', is_attempted::int::bigint),
            (outcome, (outcome IS NOT NULL)::int::bigint),
            ('answered_' || CASE answered_by WHEN 'HUMAN' THEN 'human' WHEN 'MACHINE' THEN 'machine' ELSE 'unknown' END,
                (answered_by IS NOT NULL)::int::bigint),
            ('ended_unknown', has_vanished::int::bigint),
            ('dropped', is_dropped::int::bigint),
            ('connected_ms', connected_ms),
            ('talk_ms', talk_ms),
            ('hold_ms', hold_ms),
            ('queue_wait_ms', queue_wait_ms),
            ('queue_joins', queue_joins),
            ('queue_abandoned', queue_abandoned),
            ('queue_timeouts', queue_timeouts),
            ('queue_waiting', queue_waiting),
            ('connects', connects),
            ('ring_no_answer', ring_no_answer)
        ) AS counted (counter, n)
    UNION ALL
    SELECT id, map || '.' || key, n FROM recount.call_entry
) AS each
    JOIN recount.call_placed USING (id)
GROUP BY tenant, campaign, template_name, template_language, number, market, quarter, counter
HAVING sum(n) <> 0;

-- D14: attempted at the first sight of the customer's leg, answered when it came up, each else at the OriginateResponse,
-- and attempted no later than answered; dropped two seconds after the answer; each connect and each abandon by itself.
INSERT INTO recount.activity (tenant, campaign, number, queue, minute, counter, n)
SELECT tenant, campaign, number, queue, recount.call_minute(happened_us), counter, count(*)
FROM (
    SELECT id, '' AS queue, counter, happened_us
    FROM recount.call_result AS result
        LEFT JOIN recount.call_customer AS customer USING (id)
        LEFT JOIN recount.call_reason AS response USING (id)
        CROSS JOIN LATERAL (
            SELECT coalesce(customer.first_us, response.at_us) AS dialled_us,
                CASE WHEN outcome = 'answered' THEN coalesce(customer.up_us, response.at_us) END AS answered_us
        ) AS known
        CROSS JOIN LATERAL (VALUES
            ('attempted', is_attempted, least(dialled_us, answered_us)),
            ('answered', outcome = 'answered', answered_us),
            ('dropped', is_dropped, answered_us + 2000000)
        ) AS happened (counter, has_happened, happened_us)
    WHERE has_happened
    UNION ALL
    SELECT id, coalesce(queue, ''), 'connects', begin_us FROM recount.call_connect
    UNION ALL
    SELECT id, queue, 'queue_abandoned', at_us FROM recount.call_abandon
) AS each
    JOIN recount.call_placed USING (id)
GROUP BY tenant, campaign, number, queue, recount.call_minute(happened_us), counter;

-- D10: a leg counts in the quarter of its first connect; one that rang without an answer in that of its first sight.
CREATE TABLE recount.call_operator_cell AS
SELECT tenant, pbx, operator, quarter, counter, sum(n)::bigint AS n
FROM (
    SELECT id, pbx, operator, recount.call_quarter(begin_us) AS quarter, counter, n
    FROM recount.call_connect
        CROSS JOIN LATERAL (VALUES ('connects', 1::bigint), ('talk_ms', talk_ms)) AS counted (counter, n)
    UNION ALL
    SELECT id, pbx, operator, recount.call_quarter(first_us), 'ring_no_answer', 1
    FROM (SELECT DISTINCT id, pbx, dest AS uniqueid FROM recount.call_ring_no_answer) AS rung
        JOIN recount.call_operator USING (pbx, uniqueid)
        JOIN recount.call_channel USING (pbx, uniqueid)
) AS leg
    JOIN (SELECT id, tenant FROM recount.call_result) AS counted USING (id)
GROUP BY tenant, pbx, operator, quarter, counter
HAVING sum(n) <> 0;
