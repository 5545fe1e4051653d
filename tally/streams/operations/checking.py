"""Says what raw records would become, without Kafka: facts, counters, or what is wrong with them. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson
from msgspec import Struct

from tally.agents.fold.batch import fold_batch
from tally.schemas.ami.reader import Headers
from tally.schemas.conventions import Conventions
from tally.schemas.errors import Bad
from tally.schemas.grains import RowKey
from tally.schemas.missing import NO_ROW
from tally.schemas.records import Keyed, Origin, record_value
from tally.schemas.rows import decode_row
from tally.schemas.sources import READERS
from tally.schemas.topics import COUNTERS
from tally.tables.families.registry import FAMILIES
from tally.tables.rules import Rules
from tally.tables.store.memory import MemoryTables

FAMILY_OF = {family.code: family.table for family in FAMILIES}
AMI = "ami-events"


class Part(NamedTuple):
    """One record of a file, and the line that it begins at."""

    line: int
    value: bytes


class Checked(Struct, frozen=True):
    """What one record would become."""

    line: int
    facts: Counter[str]
    """By table of the family."""
    counters: dict[RowKey, dict[str, int]]
    """What it adds by row, after all that stands before it in the file."""
    bad: Sequence[Bad]


class _Fact(NamedTuple):
    offset: int
    key: bytes
    value: bytes


def parts_of(topic: str, data: bytes) -> list[Part]:
    """Return the records of a file.

    It is one record; or a JSON object a line, of which one at least can be read by itself; or packets of AMI
    with empty lines between them.
    """
    if topic == AMI and not data.lstrip().startswith(b"{"):
        return list(_blocks(data))
    lines = [Part(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    if len(lines) < 2 or _is_object(data) or not any(_is_object(part.value) for part in lines):
        return [Part(lines[0].line if lines else 1, data)]
    return lines


def check(
    topic: str,
    parts: Sequence[Part],
    headers: Headers,
    conventions: Conventions,
    rules: Rules,
    now_ms: int,
) -> Iterator[Checked]:
    """Yield what each record of a file would become if it were published now, one after the other."""
    tables, offset = MemoryTables(), 0
    for part in parts:
        routed = READERS[topic](part.value, headers, conventions, now_ms)
        writes = fold_batch(_log(offset, routed.facts, now_ms), tables, rules).writes
        counters = _added(tables, writes.get(COUNTERS, {}))
        tables.apply(writes)
        offset += len(routed.facts)
        facts = Counter(FAMILY_OF[keyed.family] for keyed in routed.facts)
        yield Checked(part.line, facts, counters, routed.bad)


def _log(offset: int, facts: Sequence[Keyed], now_ms: int) -> list[_Fact]:
    return [
        _Fact(offset + index, keyed.key, record_value(keyed.family, Origin(now_ms), keyed.fact))
        for index, keyed in enumerate(facts)
    ]


def _added(tables: MemoryTables, rows: Mapping[bytes, bytes | None]) -> dict[RowKey, dict[str, int]]:
    """Return by how much the counts of rows move from what the tables hold."""
    found: dict[RowKey, dict[str, int]] = {}
    for key, value in sorted(rows.items()):
        if key.startswith(NO_ROW):
            continue
        (held,) = tables.get_many(COUNTERS, [key])
        old, new = (Counter({} if row is None else decode_row(row).counts) for row in (held, value))
        moved = {name: new[name] - old[name] for name in sorted(old | new) if new[name] != old[name]}
        if moved:
            found[RowKey.decode(key)] = moved
    return found


def _blocks(data: bytes) -> Iterator[Part]:
    block: list[bytes] = []
    begun = 1
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        if line.strip():
            begun = begun if block else number
            block.append(line)
        elif block:
            yield Part(begun, b"".join(block))
            block = []
    if block or not data.strip():
        yield Part(begun, b"".join(block))


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False
