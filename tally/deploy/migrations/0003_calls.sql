-- migrate:up
SET LOCAL lock_timeout = '3s';
-- Calls and operators. A row without a campaign is an operator's: its template is (PBX, interface), its
-- memberships are those of now.
ALTER TABLE tally.counters
    ADD COLUMN requested        bigint  NOT NULL DEFAULT 0,
    ADD COLUMN attempted        bigint  NOT NULL DEFAULT 0,
    ADD COLUMN answered         bigint  NOT NULL DEFAULT 0,
    ADD COLUMN busy             bigint  NOT NULL DEFAULT 0,
    ADD COLUMN no_answer        bigint  NOT NULL DEFAULT 0,
    ADD COLUMN rejected         bigint  NOT NULL DEFAULT 0,
    ADD COLUMN unreachable      bigint  NOT NULL DEFAULT 0,
    ADD COLUMN congestion       bigint  NOT NULL DEFAULT 0,
    ADD COLUMN call_cancelled   bigint  NOT NULL DEFAULT 0,
    ADD COLUMN call_failed      bigint  NOT NULL DEFAULT 0,
    ADD COLUMN ended_unknown    bigint  NOT NULL DEFAULT 0,
    ADD COLUMN answered_human   bigint  NOT NULL DEFAULT 0,
    ADD COLUMN answered_machine bigint  NOT NULL DEFAULT 0,
    ADD COLUMN answered_unknown bigint  NOT NULL DEFAULT 0,
    ADD COLUMN dropped          bigint  NOT NULL DEFAULT 0,
    ADD COLUMN connected_s      bigint  NOT NULL DEFAULT 0,
    ADD COLUMN talk_s           bigint  NOT NULL DEFAULT 0,
    ADD COLUMN hold_s           bigint  NOT NULL DEFAULT 0,
    ADD COLUMN queue_wait_s     bigint  NOT NULL DEFAULT 0,
    ADD COLUMN queue_joins      bigint  NOT NULL DEFAULT 0,
    ADD COLUMN queue_abandoned  bigint  NOT NULL DEFAULT 0,
    ADD COLUMN connects         bigint  NOT NULL DEFAULT 0,
    ADD COLUMN ring_no_answer   bigint  NOT NULL DEFAULT 0,
    ADD COLUMN hangup_causes    jsonb   NOT NULL DEFAULT '{}',
    ADD COLUMN queues           jsonb   NOT NULL DEFAULT '{}',
    ADD COLUMN memberships      jsonb   NOT NULL DEFAULT '{}',
    ADD COLUMN legs             jsonb   NOT NULL DEFAULT '{}';

-- Columns that are new hold nothing: every row is sent again.
UPDATE tally.flush_progress SET columns = '';

-- Columns in the order of the API: a view takes new ones only at its end, so both are made anew.
DROP VIEW tally.campaign_stats;
DROP VIEW tally.campaign_template_stats;

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
    sum(connected_s)::bigint AS connected_s,
    sum(talk_s)::bigint AS talk_s,
    sum(hold_s)::bigint AS hold_s,
    sum(queue_wait_s)::bigint AS queue_wait_s,
    sum(queue_joins)::bigint AS queue_joins,
    sum(queue_abandoned)::bigint AS queue_abandoned,
    sum(connects)::bigint AS connects,
    sum(ring_no_answer)::bigint AS ring_no_answer,
    tally.sum_entries(jsonb_agg(errors)) AS errors,
    tally.sum_entries(jsonb_agg(pricing)) AS pricing,
    tally.sum_entries(jsonb_agg(hangup_causes)) AS hangup_causes,
    tally.sum_entries(jsonb_agg(queues)) AS queues,
    tally.summarise_seconds(jsonb_agg(time_to_deliver)) AS time_to_deliver,
    tally.summarise_seconds(jsonb_agg(time_to_read)) AS time_to_read
FROM tally.counters
WHERE generation = (SELECT generation FROM tally.current_generation)
    AND campaign <> ''
    AND NOT whole_campaign
    AND (
        greatest(
            contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled,
            duplicates, claimed_elsewhere, sent, delivered, delivered_implied, read, failed_after_send,
            failed_then_delivered, contacts_accepted, replied, replied_last_touch,
            replied_quoted, clicked, requested, attempted, answered, busy, no_answer,
            rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
            answered_human, answered_machine, answered_unknown, dropped, connected_s, talk_s,
            hold_s, queue_wait_s, queue_joins, queue_abandoned, connects, ring_no_answer
        ) > 0
        OR errors <> '{}' OR pricing <> '{}' OR hangup_causes <> '{}' OR queues <> '{}' OR
        time_to_deliver <> '{}' OR time_to_read <> '{}'
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
    coalesce(sum(requested) FILTER (WHERE NOT whole_campaign), 0)::bigint AS requested,
    coalesce(sum(attempted) FILTER (WHERE NOT whole_campaign), 0)::bigint AS attempted,
    coalesce(sum(answered) FILTER (WHERE NOT whole_campaign), 0)::bigint AS answered,
    coalesce(sum(busy) FILTER (WHERE NOT whole_campaign), 0)::bigint AS busy,
    coalesce(sum(no_answer) FILTER (WHERE NOT whole_campaign), 0)::bigint AS no_answer,
    coalesce(sum(rejected) FILTER (WHERE NOT whole_campaign), 0)::bigint AS rejected,
    coalesce(sum(unreachable) FILTER (WHERE NOT whole_campaign), 0)::bigint AS unreachable,
    coalesce(sum(congestion) FILTER (WHERE NOT whole_campaign), 0)::bigint AS congestion,
    coalesce(sum(call_cancelled) FILTER (WHERE NOT whole_campaign), 0)::bigint AS call_cancelled,
    coalesce(sum(call_failed) FILTER (WHERE NOT whole_campaign), 0)::bigint AS call_failed,
    coalesce(sum(ended_unknown) FILTER (WHERE NOT whole_campaign), 0)::bigint AS ended_unknown,
    coalesce(sum(answered_human) FILTER (WHERE NOT whole_campaign), 0)::bigint AS answered_human,
    coalesce(sum(answered_machine) FILTER (WHERE NOT whole_campaign), 0)::bigint AS answered_machine,
    coalesce(sum(answered_unknown) FILTER (WHERE NOT whole_campaign), 0)::bigint AS answered_unknown,
    coalesce(sum(dropped) FILTER (WHERE NOT whole_campaign), 0)::bigint AS dropped,
    coalesce(sum(connected_s) FILTER (WHERE NOT whole_campaign), 0)::bigint AS connected_s,
    coalesce(sum(talk_s) FILTER (WHERE NOT whole_campaign), 0)::bigint AS talk_s,
    coalesce(sum(hold_s) FILTER (WHERE NOT whole_campaign), 0)::bigint AS hold_s,
    coalesce(sum(queue_wait_s) FILTER (WHERE NOT whole_campaign), 0)::bigint AS queue_wait_s,
    coalesce(sum(queue_joins) FILTER (WHERE NOT whole_campaign), 0)::bigint AS queue_joins,
    coalesce(sum(queue_abandoned) FILTER (WHERE NOT whole_campaign), 0)::bigint AS queue_abandoned,
    coalesce(sum(connects) FILTER (WHERE NOT whole_campaign), 0)::bigint AS connects,
    coalesce(sum(ring_no_answer) FILTER (WHERE NOT whole_campaign), 0)::bigint AS ring_no_answer,
    tally.sum_entries(jsonb_agg(errors) FILTER (WHERE NOT whole_campaign)) AS errors,
    tally.sum_entries(jsonb_agg(pricing) FILTER (WHERE NOT whole_campaign)) AS pricing,
    tally.sum_entries(jsonb_agg(hangup_causes) FILTER (WHERE NOT whole_campaign)) AS hangup_causes,
    tally.sum_entries(jsonb_agg(queues) FILTER (WHERE NOT whole_campaign)) AS queues,
    tally.summarise_seconds(jsonb_agg(time_to_deliver) FILTER (WHERE NOT whole_campaign)) AS time_to_deliver,
    tally.summarise_seconds(jsonb_agg(time_to_read) FILTER (WHERE NOT whole_campaign)) AS time_to_read
FROM tally.counters
WHERE generation = (SELECT generation FROM tally.current_generation)
    AND campaign <> ''
    AND (
        greatest(
            contacts, attempts, queued, accepted, failed_at_send, skipped, cancelled,
            duplicates, claimed_elsewhere, sent, delivered, delivered_implied, read, failed_after_send,
            failed_then_delivered, contacts_accepted, replied, replied_last_touch,
            replied_quoted, clicked, requested, attempted, answered, busy, no_answer,
            rejected, unreachable, congestion, call_cancelled, call_failed, ended_unknown,
            answered_human, answered_machine, answered_unknown, dropped, connected_s, talk_s,
            hold_s, queue_wait_s, queue_joins, queue_abandoned, connects, ring_no_answer
        ) > 0
        OR errors <> '{}' OR pricing <> '{}' OR hangup_causes <> '{}' OR queues <> '{}' OR
        time_to_deliver <> '{}' OR time_to_read <> '{}'
    )
GROUP BY tenant, campaign;

-- What calls counted for each operator. Tenant '' where nobody said whose PBX it is.
CREATE VIEW tally.operator_stats AS
SELECT
    tenant,
    template_name AS pbx,
    template_language AS operator,
    sum(connects)::bigint AS connects,
    sum(ring_no_answer)::bigint AS ring_no_answer,
    sum(talk_s)::bigint AS talk_s
FROM tally.counters
WHERE generation = (SELECT generation FROM tally.current_generation)
    AND campaign = ''
GROUP BY tenant, template_name, template_language;

-- migrate:down
SET LOCAL lock_timeout = '3s';
UPDATE tally.flush_progress SET columns = '';
DROP VIEW tally.operator_stats;
DROP VIEW tally.campaign_stats;
DROP VIEW tally.campaign_template_stats;
ALTER TABLE tally.counters
    DROP COLUMN requested,
    DROP COLUMN attempted,
    DROP COLUMN answered,
    DROP COLUMN busy,
    DROP COLUMN no_answer,
    DROP COLUMN rejected,
    DROP COLUMN unreachable,
    DROP COLUMN congestion,
    DROP COLUMN call_cancelled,
    DROP COLUMN call_failed,
    DROP COLUMN ended_unknown,
    DROP COLUMN answered_human,
    DROP COLUMN answered_machine,
    DROP COLUMN answered_unknown,
    DROP COLUMN dropped,
    DROP COLUMN connected_s,
    DROP COLUMN talk_s,
    DROP COLUMN hold_s,
    DROP COLUMN queue_wait_s,
    DROP COLUMN queue_joins,
    DROP COLUMN queue_abandoned,
    DROP COLUMN connects,
    DROP COLUMN ring_no_answer,
    DROP COLUMN hangup_causes,
    DROP COLUMN queues,
    DROP COLUMN memberships,
    DROP COLUMN legs;

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
