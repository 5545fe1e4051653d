"""Route and the recount read the same of wamids, sound or broken in one place, and keep the same ones."""

import random
from collections.abc import Iterator
from itertools import islice

import asyncpg
import pytest

from tally.oracle.recount import begin, recount
from tally.schemas.wamids import written_id
from tally.simulator.campaign import campaign
from tally.simulator.population import Size
from tally.tables.families.message import MessageFamily
from tests.faults.events import troubled
from tests.integration.test_fold_against_recount import START_S, folded, recounted
from tests.support.seeds import seeds
from tests.unit.schemas.test_wamids import SENT, struct, token_of, written

TEXTS = 3_000


def texts(rng: random.Random) -> Iterator[str]:
    """Yield wamids, and wamids with one byte or one character that is another, is left out, or is doubled."""
    yield from ("", "wamid.", "x", SENT)
    while True:
        peer = rng.choice((b"31612345678", b"US.134912086553027", b"", rng.randbytes(rng.randrange(300))))
        token = rng.choice((rng.randbytes(rng.randrange(80)), b"%018X" % rng.getrandbits(72)))
        body = struct(peer, rng.choice((0, 2, 300, (1 << 32) - 1)), rng.random() < 0.5, token)
        yield written(body)
        place = rng.randrange(len(body))
        changed = rng.choice((b"", bytes([body[place]]) * 2, rng.randbytes(1), b"\xff" * 5))
        yield written(body[:place] + changed + body[place + 1 :])
        text = written(body)
        place = rng.randrange(len(text))
        yield text[:place] + rng.choice(("", "=", "A", "-", "\n", "é")) + text[place + rng.randrange(2) :]


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds((1,)))
async def test_both_find_the_same_tokens(database: str, seed: int) -> None:
    asked = list(islice(texts(random.Random(seed)), TEXTS))
    connection = await asyncpg.connect(database)
    try:
        await begin(connection)
        await recount(connection)
        found = await connection.fetch("SELECT recount.token(text) FROM unnest($1::text[]) AS text", asked)
    finally:
        await connection.close()

    tokens = [token_of(text) for text in asked]
    assert [row["token"] for row in found] == tokens
    assert 0.1 < sum(token is not None for token in tokens) / TEXTS < 0.9


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", seeds((1,)))
async def test_both_keep_the_same_id_of_every_message(database: str, seed: int) -> None:
    rng = random.Random(seed)
    records = troubled(rng, campaign(rng, START_S, Size(contacts_per_campaign=30)))
    await recounted(database, records)
    connection = await asyncpg.connect(database)
    try:
        rows = await connection.fetch("SELECT number_id, message_id, raw_id FROM recount.raw_id")
    finally:
        await connection.close()
    kept = [
        (*key.split(b"/", 1), MessageFamily.decode(value).spelling)
        for partition in folded(records)
        for key, value in partition.tables[MessageFamily.table].items()
    ]

    found = sorted((number.decode(), written_id(part, spelling)) for number, part, spelling in kept)
    assert found == sorted((row["number_id"], row["raw_id"]) for row in rows)
    assert sum(bool(spelling) for _, _, spelling in kept) > len(kept) / 2
