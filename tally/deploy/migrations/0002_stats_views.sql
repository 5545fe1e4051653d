-- migrate:up
SET LOCAL lock_timeout = '3s';
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

-- Numbers of each template. Rows that came to zeros do not show.
CREATE VIEW tally.campaign_template_stats AS
SELECT
    tenant,
    campaign,
    template_name,
    template_language,
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
    sum(read)::bigint AS read,
    sum(failed_after_send)::bigint AS failed_after_send,
    sum(failed_then_delivered)::bigint AS failed_then_delivered,
    sum(failed_at_send + failed_after_send)::bigint AS failed,
    sum(accepted - delivered - failed_after_send)::bigint AS in_flight,
    sum(contacts_accepted)::bigint AS contacts_accepted,
    sum(replied)::bigint AS replied,
    sum(replied_last_touch)::bigint AS replied_last_touch,
    sum(replied_quoted)::bigint AS replied_quoted,
    sum(clicked)::bigint AS clicked,
    tally.sum_entries(jsonb_agg(errors)) AS errors,
    tally.sum_entries(jsonb_agg(pricing)) AS pricing,
    tally.summarise_seconds(jsonb_agg(time_to_deliver)) AS time_to_deliver,
    tally.summarise_seconds(jsonb_agg(time_to_read)) AS time_to_read
FROM tally.counters
WHERE generation = (SELECT generation FROM tally.current_generation)
    AND NOT whole_campaign
    AND (
        greatest(
            contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
            claimed_elsewhere, sent, delivered, delivered_implied, read, failed_after_send, failed_then_delivered,
            contacts_accepted, replied, replied_last_touch, replied_quoted, clicked
        ) > 0
        OR errors <> '{}' OR pricing <> '{}' OR time_to_deliver <> '{}' OR time_to_read <> '{}'
    )
GROUP BY tenant, campaign, template_name, template_language;

-- Numbers of each campaign: distinct customers from its own row, the rest summed over its templates.
CREATE VIEW tally.campaign_stats AS
SELECT
    tenant,
    campaign,
    coalesce(sum(contacts) FILTER (WHERE NOT whole_campaign), 0)::bigint AS contacts,
    coalesce(sum(attempts) FILTER (WHERE NOT whole_campaign), 0)::bigint AS attempts,
    coalesce(sum(queued) FILTER (WHERE NOT whole_campaign), 0)::bigint AS queued,
    coalesce(sum(accepted) FILTER (WHERE NOT whole_campaign), 0)::bigint AS accepted,
    coalesce(sum(failed_at_send) FILTER (WHERE NOT whole_campaign), 0)::bigint AS failed_at_send,
    coalesce(sum(skipped) FILTER (WHERE NOT whole_campaign), 0)::bigint AS skipped,
    coalesce(sum(cancelled) FILTER (WHERE NOT whole_campaign), 0)::bigint AS cancelled,
    coalesce(sum(duplicates) FILTER (WHERE NOT whole_campaign), 0)::bigint AS duplicates,
    coalesce(sum(claimed_elsewhere) FILTER (WHERE NOT whole_campaign), 0)::bigint AS claimed_elsewhere,
    coalesce(sum(sent) FILTER (WHERE NOT whole_campaign), 0)::bigint AS sent,
    coalesce(sum(delivered) FILTER (WHERE NOT whole_campaign), 0)::bigint AS delivered,
    coalesce(sum(delivered_implied) FILTER (WHERE NOT whole_campaign), 0)::bigint AS delivered_implied,
    coalesce(sum(read) FILTER (WHERE NOT whole_campaign), 0)::bigint AS read,
    coalesce(sum(failed_after_send) FILTER (WHERE NOT whole_campaign), 0)::bigint AS failed_after_send,
    coalesce(sum(failed_then_delivered) FILTER (WHERE NOT whole_campaign), 0)::bigint AS failed_then_delivered,
    coalesce(sum(failed_at_send + failed_after_send) FILTER (WHERE NOT whole_campaign), 0)::bigint AS failed,
    coalesce(sum(accepted - delivered - failed_after_send) FILTER (WHERE NOT whole_campaign), 0)::bigint AS in_flight,
    coalesce(sum(contacts_accepted) FILTER (WHERE whole_campaign), 0)::bigint AS contacts_accepted,
    coalesce(sum(replied) FILTER (WHERE whole_campaign), 0)::bigint AS replied,
    coalesce(sum(replied_last_touch) FILTER (WHERE whole_campaign), 0)::bigint AS replied_last_touch,
    coalesce(sum(replied_quoted) FILTER (WHERE NOT whole_campaign), 0)::bigint AS replied_quoted,
    coalesce(sum(clicked) FILTER (WHERE NOT whole_campaign), 0)::bigint AS clicked,
    tally.sum_entries(jsonb_agg(errors) FILTER (WHERE NOT whole_campaign)) AS errors,
    tally.sum_entries(jsonb_agg(pricing) FILTER (WHERE NOT whole_campaign)) AS pricing,
    tally.summarise_seconds(jsonb_agg(time_to_deliver) FILTER (WHERE NOT whole_campaign)) AS time_to_deliver,
    tally.summarise_seconds(jsonb_agg(time_to_read) FILTER (WHERE NOT whole_campaign)) AS time_to_read
FROM tally.counters
WHERE generation = (SELECT generation FROM tally.current_generation)
    AND (
        greatest(
            contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled, duplicates,
            claimed_elsewhere, sent, delivered, delivered_implied, read, failed_after_send, failed_then_delivered,
            contacts_accepted, replied, replied_last_touch, replied_quoted, clicked
        ) > 0
        OR errors <> '{}' OR pricing <> '{}' OR time_to_deliver <> '{}' OR time_to_read <> '{}'
    )
GROUP BY tenant, campaign;

-- migrate:down
SET LOCAL lock_timeout = '3s';
DROP VIEW tally.campaign_stats;
DROP VIEW tally.campaign_template_stats;
DROP FUNCTION tally.summarise_seconds(jsonb);
DROP FUNCTION tally.sum_entries(jsonb);
