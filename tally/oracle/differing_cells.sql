-- Every counter of a cell in which Postgres (tally.cells, tally.activity) differs from the recount by cell. Of a
-- distribution the recount has only how many durations it holds.
--
-- Execute it after recount_call_cells.sql, in the database that the sink writes to.

WITH held AS (
    SELECT CASE table_name
            WHEN 'activity' THEN ARRAY['activity', held ->> 'tenant', held ->> 'campaign', held ->> 'number', held ->> 'queue']
            ELSE ARRAY[held ->> 'grain', held ->> 'tenant', held ->> 'campaign', held ->> 'template_name',
                held ->> 'template_language', held ->> 'number', held ->> 'market']
        END AS cell,
        quarter,
        CASE WHEN jsonb_typeof(value) = 'number' OR name IN ('time_to_deliver', 'time_to_read') THEN name
            ELSE name || '.' || entry END AS counter,
        n::bigint AS n
    FROM (
        SELECT 'cells' AS table_name, quarter, to_jsonb(cells) AS held FROM tally.cells
        UNION ALL
        SELECT 'activity', quarter, to_jsonb(activity) FROM tally.activity
    ) AS each
        JOIN tally.current_generation ON (held ->> 'generation')::bigint = current_generation.generation
        CROSS JOIN LATERAL jsonb_each(held) AS field (name, value)
        CROSS JOIN LATERAL jsonb_each_text(
            CASE jsonb_typeof(value) WHEN 'object' THEN value ELSE jsonb_build_object('', value) END) AS entries (entry, n)
    WHERE name NOT IN (
            'generation', 'partition', 'epoch', 'tenant', 'campaign', 'grain', 'template_name', 'template_language',
            'number', 'market', 'queue', 'quarter')
        AND n IS NOT NULL
), counted AS (
    SELECT ARRAY[CASE WHEN is_total THEN 'campaign' ELSE 'template' END, tenant, campaign, template_name,
        template_language, number, market] AS cell, to_timestamp(quarter * 900) AS quarter, counter, n
    FROM recount.cell
    UNION ALL
    SELECT ARRAY['operator', tenant, '', pbx, operator, '', ''], to_timestamp(quarter * 900), counter, n
    FROM recount.call_operator_cell
    UNION ALL
    SELECT ARRAY['activity', tenant, campaign, number, queue], to_timestamp(minute / 15 * 900), counter, n
    FROM recount.activity
)
SELECT cell || to_char(quarter AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') AS cell, counter,
    coalesce(sum(recounted), 0)::bigint AS recounted, coalesce(sum(found), 0)::bigint AS found
FROM (
    SELECT cell, quarter, counter, n AS recounted, NULL::bigint AS found FROM counted
    UNION ALL
    SELECT cell, quarter, counter, NULL, n FROM held
) AS both_sides
GROUP BY cell, quarter, counter
HAVING coalesce(sum(recounted), 0) <> coalesce(sum(found), 0)
ORDER BY cell, counter;
