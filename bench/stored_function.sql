-- How the system that Tally replaces answers its dashboards: three tables with the indexes that a careful
-- owner gives them, and one function a campaign. Its rules are those of recount_old.sql, which recounts
-- raw events by them; here they run over the tables that the function itself would find.

DROP SCHEMA IF EXISTS former CASCADE;
CREATE SCHEMA former;

CREATE TABLE former.campaign_send (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id   uuid        NOT NULL,
    template_name text        NOT NULL,
    status        text        NOT NULL CHECK (status IN ('sent', 'failed')),
    message_id    text,                 -- null where the send failed
    created_at    timestamptz NOT NULL
);

CREATE TABLE former.status_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id text        NOT NULL,
    status     text        NOT NULL,
    logged_at  timestamptz NOT NULL     -- when it was written down, not when it happened
);

CREATE TABLE former.message (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id      text        NOT NULL,
    direction       text        NOT NULL CHECK (direction IN ('in', 'out')),
    business_number text        NOT NULL,
    phone           text        NOT NULL,
    created_at      timestamptz NOT NULL
);

CREATE INDEX ON former.campaign_send (campaign_id);
CREATE INDEX ON former.campaign_send (message_id);
CREATE INDEX ON former.status_log (message_id);
CREATE INDEX ON former.message (message_id);
CREATE INDEX ON former.message (business_number, phone);

CREATE FUNCTION former.get_campaign_template_stats(p_campaign_id UUID)
RETURNS TABLE (
    template_name TEXT, total BIGINT, sent BIGINT, delivered BIGINT, read BIGINT, replied BIGINT, failed BIGINT
)
LANGUAGE sql STABLE AS $$
    WITH latest AS (
        SELECT DISTINCT ON (entry.message_id) entry.message_id, entry.status
        FROM former.campaign_send AS send
            JOIN former.status_log AS entry ON entry.message_id = send.message_id
        WHERE send.campaign_id = p_campaign_id
        ORDER BY entry.message_id, entry.logged_at DESC, entry.id DESC
    )
    SELECT
        send.template_name,
        count(*),
        count(*) FILTER (WHERE send.status = 'sent'),
        count(*) FILTER (WHERE latest.status IN ('delivered', 'read')),
        count(*) FILTER (WHERE latest.status = 'read'),
        count(DISTINCT message.phone) FILTER (WHERE EXISTS (
            SELECT FROM former.message AS inbound
            WHERE inbound.direction = 'in'
                AND inbound.business_number = message.business_number
                AND inbound.phone = message.phone
        )),
        count(*) FILTER (WHERE send.status = 'failed' OR latest.status = 'failed')
    FROM former.campaign_send AS send
        LEFT JOIN latest ON latest.message_id = send.message_id
        LEFT JOIN former.message AS message
            ON message.message_id = send.message_id AND message.direction = 'out'
    WHERE send.campaign_id = p_campaign_id
    GROUP BY send.template_name
$$;
