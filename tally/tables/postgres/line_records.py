"""Lines as records of `tally.lines`. Pure.

A record is found by digests of what names its line: ids of producers may be longer than an entry of an index.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Any

from tally.schemas.counter import Derived
from tally.schemas.counters import DERIVED_BY_NAME
from tally.schemas.grains import RowKey
from tally.schemas.keys import join_parts
from tally.schemas.wamids import message_id
from tally.tables.line import Line

Record = tuple[Any, ...]

LINE_COLUMNS: dict[str, str] = {
    "subject": "bytea",
    "line": "bytea",
    "family": "text",
    "tenant": "text",
    "campaign": "text",
    "template_name": "text",
    "template_language": "text",
    "grain": "text",
    "number": "text",
    "market": "text",
    "of": "text",
    "counters": "text[]",
    "counts": "bigint[]",
    "found_by": "bigint[]",
    "at_ms": "bigint",
    "contact": "text",
    "attempt": "text",
    "message": "text",
    "phone": "text",
    "leg": "text",
    "error": "text",
    "price": "text",
    "kinds": "text[]",
    "kinds_at_ms": "bigint[]",
    "places": "bigint[]",
}
"""What a line has in `tally.lines`, beside generation, partition and epoch."""

DIGEST_BYTES = 16
_ITEM_BYTES = 8
_KEPT = 65_536
_MOST = (1 << 63) - 1
"""The largest bigint. A line that counts more has this: its row counts as much, and is withheld."""


def subject_digest(code: bytes, key: bytes) -> bytes:
    """Return what finds the lines of a subject, by its family's code and the key of its state."""
    return blake2b(code + key, digest_size=DIGEST_BYTES).digest()


def item(row: RowKey, kind: str, *names: str) -> int:
    """Return what finds lines of a campaign, or of a tenant's operators, by one thing that they say.

    `kind` is the grain, followed by a number of its rows, derived ones too; or `template`, `number` or
    `market`, followed by its names.
    """
    said = join_parts(row.tenant, row.campaign, kind, *names)
    return int.from_bytes(blake2b(said, digest_size=_ITEM_BYTES).digest(), "big", signed=True)


def line_record(subject: bytes, family: str, line: Line, with_phones: bool) -> Record:
    """Return a line as a record of `LINE_COLUMNS`; without phones also without ids that may hold one."""
    part, cell, events = line.part, line.part.cell, line.events
    counters = sorted(part.counts)
    counts = [part.counts[name] for name in counters]
    if max(counts) > _MOST:
        counts = [min(count, _MOST) for count in counts]
    return (
        subject,
        _digest(cell.row, part.of),
        family,
        *cell.row.columns(),
        cell.number,
        cell.market,
        part.of,
        counters,
        None if max(counts) == 1 == min(counts) else counts,
        _items(cell.row, cell.number, cell.market, tuple(counters)),
        line.at_ms,
        line.contact,
        line.attempt,
        line.message if with_phones else _token(line.message),
        line.phone if with_phones else "",
        line.leg,
        line.error,
        line.price,
        [event.kind for event in events],
        [event.at_ms for event in events],
        [event.place for event in events],
    )


@lru_cache(_KEPT)
def _digest(row: RowKey, of: str) -> bytes:
    return blake2b(row.encode() + b"\0" + of.encode(), digest_size=DIGEST_BYTES).digest()


@lru_cache(_KEPT)
def _items(row: RowKey, number: str, market: str, counters: tuple[str, ...]) -> list[int]:
    net = [name for name, derived in DERIVED_BY_NAME.items() if _net(derived, counters)]
    found = [item(row, row.grain.name, name) for name in (*counters, *net)]
    if row.template is not None:
        found.append(item(row, "template", row.template.name, row.template.language))
    return [*found, item(row, "number", number), item(row, "market", market)]


def _net(derived: Derived, counters: tuple[str, ...]) -> int:
    """Return what a line adds to a derived number: each counter that it is made of is at most 1 in a line."""
    return sum(name in counters for name in derived.plus) - sum(name in counters for name in derived.minus)


def _token(message: str) -> str:
    """Return what names a message without the phone: its token; nothing where none is found."""
    found = message_id(message)
    return found.part.decode() if found.has_token else ""
