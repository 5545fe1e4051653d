-- The counts that the system before Tally would give for the same events: its stored function
-- get_campaign_template_stats, rule for rule. Execute after recount.sql; the result is recount.old_way.
--
-- Its rules: the *latest logged* status of a message counts, so a late `delivered` hides a read. A phone has
-- replied if *any* inbound message from it exists, even one of last year. A reply from another form of the
-- dialled number does not count.

DROP TABLE IF EXISTS recount.old_way;

CREATE TABLE recount.old_way AS
WITH old_send AS (
    -- Its table of sends: one row per message, and one per attempt without a message.
    SELECT DISTINCT attempt.tenant, attempt.campaign, attempt.template_name, attempt.template_language,
        contact, attempt.attempt, attempt.outcome, send.message_id, send.number_id,
        coalesce(send.phone, send.wa_id) AS phone
    FROM recount.attempt
        LEFT JOIN recount.send USING (tenant, campaign, contact, attempt, outcome)
    WHERE channel = 'whatsapp'
), latest AS (
    -- Its log of statuses holds only the time of writing; the order of arrival replaces it here.
    SELECT DISTINCT ON (message_id) message_id, status
    FROM recount.status
    ORDER BY message_id, arrival DESC, place DESC
), writer AS (
    SELECT DISTINCT number_id, from_phone AS phone
    FROM recount.inbound
    WHERE from_phone IS NOT NULL
), send_row AS (
    SELECT DISTINCT ON (tenant, campaign, contact, attempt, message_id)
        old_send.*,
        CASE WHEN outcome = 'accepted' THEN status END AS status,
        outcome = 'accepted' AND writer.phone IS NOT NULL AS has_inbound
    FROM old_send
        LEFT JOIN latest USING (message_id)
        LEFT JOIN writer ON writer.number_id = old_send.number_id AND writer.phone = old_send.phone
    ORDER BY tenant, campaign, contact, attempt, message_id, old_send.phone
)
SELECT
    tenant, campaign, template_name, template_language,
    count(*) AS total,
    count(*) FILTER (WHERE outcome = 'accepted') AS sent,
    count(*) FILTER (WHERE status IN ('delivered', 'read')) AS delivered,
    count(*) FILTER (WHERE status = 'read') AS read,
    count(DISTINCT phone) FILTER (WHERE has_inbound) AS replied,
    count(*) FILTER (WHERE outcome = 'failed' OR status = 'failed') AS failed
FROM send_row
GROUP BY tenant, campaign, template_name, template_language;
