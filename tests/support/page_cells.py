"""Made-up campaigns in Postgres, as the sink writes them: cells by time, number and market add up to rows."""

import random
from collections import Counter
from collections.abc import Iterator

from tally.schemas.cells import QUARTER_MS, ActivityCell, Cell, Minutes, encode_counts, encode_minutes
from tally.schemas.counters import ACTIVITY, BY_NAME
from tally.schemas.grains import RowKey
from tally.schemas.rows import Row, encode
from tally.schemas.tables import ACTIVITY as ACTIVITY_TABLE
from tally.schemas.tables import CELLS, CODES
from tally.tables.postgres.database import Database
from tally.tables.postgres.progress import SinkProgress
from tally.tables.postgres.writer import Key, Order, Writer
from tests.support.page_worlds import TENANT, MadeUp
from tests.support.sink_doubles import progress

GENERATION = 3
CARD = b"""\
effective_from,currency,market,category,rate
2025-01-01,EUR,NL,marketing,0.1323
2025-01-01,EUR,BR,marketing,0.0517
"""
"""Of made-up prices, without one for India."""
NUMBERS = ("15550001111", "15550002222")
MARKETS = ("NL", "BR", "IN", "")


class Sunk:
    """A world as Postgres holds it, in two partitions of which the first has everything."""

    def __init__(self, dsn: str, parts: int = 8) -> None:
        self._dsn = dsn
        self._parts = parts
        """How many cells a row has."""
        self._written: dict[Key, bytes] = {}
        self._seen: list[SinkProgress | None] = [None, None]

    async def write(self, world: MadeUp) -> None:
        """Bring Postgres to where the world is."""
        database = await Database.open(self._dsn, connections=1, deadline_seconds=120)
        try:
            writer = Writer(database, GENERATION)
            now = dict(_entries(world, self._parts))
            gone = dict.fromkeys(self._written.keys() - now.keys())
            for partition, entries in enumerate((now | gone, {})):
                # As the view of the tests has it: Api.catch_up_to.
                offset = 11 if partition else 10 + world.transaction
                seen = self._seen[partition]
                after = progress(offset, 1 if seen is None else seen.writes + 1)
                await writer.write(Order(partition, entries, after, seen))
                self._seen[partition] = after
            self._written = now
        finally:
            await database.close()


def _entries(world: MadeUp, parts: int) -> Iterator[tuple[Key, bytes]]:
    happened: dict[ActivityCell, Counter[str]] = {}
    for key, counts in world.rows.items():
        filled = {name: value for name, value in sorted(counts.items()) if value}
        yield ("rows", key.encode()), encode(Row(1, *world.spans[key.campaign], [], filled))
        for cell, part in _cells(key, counts, world.spans[key.campaign], parts):
            yield ("cells", CODES[CELLS] + cell.encode()), encode_counts(dict(sorted(part.items())))
            at = ActivityCell(TENANT, key.campaign, cell.number, "", cell.quarter)
            happened.setdefault(at, Counter()).update(_activity(part, is_campaign=key.template is None))
    for at, part in happened.items():
        yield ("activity", CODES[ACTIVITY_TABLE] + at.encode()), encode_minutes(_by_minute(part))


def _cells(
    key: RowKey, counts: Counter[str], span: tuple[int, int], number: int
) -> Iterator[tuple[Cell, Counter[str]]]:
    """Yield the cells of a row: each counter in as many parts, more of them early than late."""
    rng = random.Random(f"{key.campaign} {key.template}")
    left = Counter({name: value for name, value in counts.items() if BY_NAME[name.partition(".")[0]].cells})
    first, last = (at_ms // QUARTER_MS for at_ms in span)
    parts: dict[Cell, Counter[str]] = {}
    for others in range(number - 1, -1, -1):
        quarter = first + int((last - first) * rng.betavariate(1.3, 2.6)) if others else last
        cell = Cell(key, rng.choice(NUMBERS), rng.choice(MARKETS), quarter)
        share = rng.uniform(0.5, 1.5) / (others + 1)
        part = Counter({name: int(value * share) if others else value for name, value in left.items()})
        left -= part
        parts.setdefault(cell, Counter()).update(+part)
    yield from parts.items()


def _activity(part: Counter[str], *, is_campaign: bool) -> Counter[str]:
    """Return what happened; distinct customers of several templates are the campaign's own."""
    failed = part["failed_at_send"] + part["failed_after_send"]
    counted = {**part, "failed": failed}
    return Counter({name: counted.get(name, 0) for name in ACTIVITY if is_campaign == (name == "replied")})


def _by_minute(part: Counter[str]) -> Minutes:
    """Return counts spread over the minutes of their quarter hour, with the rest in the first one."""
    spread = {
        name: {minute: value // 15 + (0 if minute else value % 15) for minute in range(15)}
        for name, value in sorted(part.items())
    }
    return {
        name: counted
        for name, counts in spread.items()
        if (counted := {minute: count for minute, count in counts.items() if count})
    }
