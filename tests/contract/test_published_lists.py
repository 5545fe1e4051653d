"""The recount's published lists are the registry's: data that both sides share, and nothing else is."""

import asyncpg
import pytest

from tally.oracle.recount import begin, recount
from tally.schemas import bounded
from tally.schemas.ami.events import KINDS
from tally.schemas.bounds import BOUNDS
from tally.schemas.whatsapp.inbound import REPLY_TYPES
from tally.tables.rules import Rules


@pytest.mark.asyncio
async def test_the_recount_bounds_keys_as_the_registry_does(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await begin(connection)
        await recount(connection)
        errors = {row["key"] for row in await connection.fetch("SELECT key FROM recount.listed_error")}
        prices = {tuple(row) for row in await connection.fetch("SELECT part, name FROM recount.listed_price")}
        replies = {row["type"] for row in await connection.fetch("SELECT type FROM recount.replying_type")}
        shows = {row["event"] for row in await connection.fetch("SELECT event FROM recount.call_showing")}
        bounds = {tuple(row) for row in await connection.fetch("SELECT name, most FROM recount.bound")}
        placeholders = await connection.fetch("SELECT placeholder FROM recount.placeholder")
        window = await connection.fetchval("SELECT reply_window_seconds FROM recount.setting")
    finally:
        await connection.close()

    assert errors == {f"{source}:{code}" for source, codes in bounded.ERROR_CODES.items() for code in codes}
    assert prices == {
        *(("category", name) for name in bounded.PRICING_CATEGORIES),
        *(("type", name) for name in bounded.PRICING_TYPES),
    }
    assert bounds == {(bound.name, bound.most) for bound in BOUNDS}
    assert replies == REPLY_TYPES
    assert {row["placeholder"].encode() for row in placeholders} == bounded.PLACEHOLDERS
    assert shows == KINDS.keys()
    assert window == Rules().reply_window_seconds
