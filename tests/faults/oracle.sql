-- What producers were told, beside what the raw topics hold. An acknowledged send has to be there, byte for byte;
-- one that was refused must not be; one whose answer was lost may be either way. What the faults themselves publish
-- says so, but for a batch that may not be unpacked: had it been a producer's, its records would be missing.
WITH raw AS (
    SELECT (headers ->> 'oracle-sent')::int AS number, topic, body FROM recount.raw
    WHERE NOT headers ?| ARRAY['fault', 'tally-unread']
), there AS (
    SELECT sent.number FROM oracle.sent
    JOIN raw ON raw.number = sent.number AND raw.topic = sent.topic AND raw.body IS NOT DISTINCT FROM sent.body
)
SELECT
    (SELECT count(*) FROM oracle.sent WHERE outcome = 'ok')      AS ok,
    (SELECT count(*) FROM oracle.sent WHERE outcome = 'fail')    AS failed,
    (SELECT count(*) FROM oracle.sent WHERE outcome = 'unknown') AS unknown,
    (SELECT count(*) FROM oracle.sent
      WHERE outcome = 'ok' AND number NOT IN (SELECT number FROM there)) AS missing,
    (SELECT count(*) FROM raw LEFT JOIN oracle.sent USING (number)
      WHERE sent.number IS NULL OR sent.outcome = 'fail')        AS invented,
    (SELECT count(*) - count(DISTINCT number) FROM raw)          AS repeated
