"""The table of what Postgres refuses: bytes of a log, with whose numbers lack them. Pure."""

from collections.abc import Iterable
from hashlib import blake2b

import orjson

Key = tuple[str, bytes]

WITHHOLD = """
INSERT INTO tally.withheld AS held
    (generation, partition, kind, digest, key, value, tenant, campaign, sqlstate, epoch)
SELECT $1, $2, kind, decode(digest, 'hex'), decode(key, 'hex'), decode(value, 'hex'),
    decode(tenant, 'hex'), decode(campaign, 'hex'), sqlstate, $3
FROM jsonb_to_recordset($4) AS sent
    (kind text, digest text, key text, value text, tenant text, campaign text, sqlstate text)
ON CONFLICT (generation, partition, kind, digest) DO UPDATE
SET value = excluded.value, epoch = excluded.epoch,
    sqlstate = CASE excluded.sqlstate WHEN '' THEN held.sqlstate ELSE excluded.sqlstate END
"""
"""Withhold entries: $1 generation, $2 partition, $3 epoch, $4 a JSON list; an empty SQLSTATE is as before."""

RELEASE = """
DELETE FROM tally.withheld
WHERE generation = $1 AND partition = $2
    AND digest = ANY (ARRAY(SELECT decode(listed, 'hex') FROM jsonb_array_elements_text($3) AS listed))
"""


def digest(kind: str, key: bytes) -> bytes:
    """Return what identifies an entry: a key may be too long for an index, which is why it is refused."""
    return blake2b(kind.encode() + b"\x00" + key, digest_size=16).digest()


def withhold_list(entries: Iterable[tuple[Key, bytes | None, str, tuple[str, str]]]) -> str:
    """Return the JSON list of WITHHOLD from keys, values, SQLSTATEs, and whose they are."""
    return orjson.dumps(
        [
            {
                "kind": kind,
                "digest": digest(kind, key).hex(),
                "key": key.hex(),
                "value": (value or b"").hex(),
                "tenant": tenant.encode().hex(),
                "campaign": campaign.encode().hex(),
                "sqlstate": sqlstate,
            }
            for (kind, key), value, sqlstate, (tenant, campaign) in entries
        ]
    ).decode()


def release_list(keys: Iterable[Key]) -> str:
    """Return the JSON list of RELEASE."""
    return orjson.dumps([digest(*key).hex() for key in keys]).decode()
