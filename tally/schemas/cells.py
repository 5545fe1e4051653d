"""Cells: what rows count, by business number, market and quarter hour. Pure.

A *send cell* is a part of the row of a template or of a campaign: what one business number or PBX sent to
one market within a quarter hour. An *operator cell* is a part of an operator's row. A row is the sum of its
cells, but for the counters that have none. An *activity cell* has what happened to a campaign's sends within
a quarter hour, minute by minute, whenever they were sent.
"""

from functools import lru_cache

import msgspec
from msgspec import Struct

from tally.schemas.grains import RowKey
from tally.schemas.keys import Template, bounded_name, join_parts, split_parts

QUARTER_SECONDS = 900
"""Local midnight is at a quarter hour UTC in every zone in use since 1979, so a day is a sum of quarters."""
QUARTER_MS = QUARTER_SECONDS * 1_000
QUARTER_US = QUARTER_MS * 1_000
QUARTER_MINUTES = QUARTER_SECONDS // 60
MINUTE_SECONDS = 60
MINUTE_MS = MINUTE_SECONDS * 1_000
MINUTE_US = MINUTE_MS * 1_000
NO_QUARTER = -1
"""Of what rows hold as it is now: an operator's memberships and legs, and what is said of a campaign."""
_QUARTER_BYTES = 4
_BEHIND_PARTS = 1 + _QUARTER_BYTES


class Cell(Struct, frozen=True, gc=False):
    """Names a send cell, or an operator cell, whose number and market are empty."""

    row: RowKey
    number: str
    """The business number or the PBX; empty if unknown."""
    market: str
    quarter: int
    """Quarter hours since 1970, UTC; NO_QUARTER for what is in no cell."""

    def encode(self) -> bytes:
        """Return the key in the table of cells: the row's key, number, market and quarter."""
        return b"%b/%b/%b" % (self.row.encode(), join_parts(self.number, self.market), _quarter(self.quarter))

    @staticmethod
    def decode(key: bytes) -> "Cell":
        """Undo `encode`. Raises ValueError for any other bytes."""
        tenant, campaign, *template, number, market = split_parts(key[:-_BEHIND_PARTS])
        row = RowKey(tenant, campaign, Template(*template) if template else None)
        return Cell(row, number, market, int.from_bytes(key[-_QUARTER_BYTES:], "big"))


class ActivityCell(Struct, frozen=True, gc=False):
    """Names an activity cell."""

    tenant: str
    campaign: str
    number: str
    """The business number or the PBX; empty if unknown."""
    queue: str
    """Of calls, where the queue matters; else empty."""
    quarter: int
    """Quarter hours since 1970, UTC."""

    def encode(self) -> bytes:
        """Return the key in the table of activity: tenant, campaign, number, queue and quarter."""
        parts = join_parts(self.tenant, self.campaign, self.number, self.queue)
        return b"%b/%b" % (parts, _quarter(self.quarter))

    @staticmethod
    def decode(key: bytes) -> "ActivityCell":
        """Undo `encode`. Raises ValueError for any other bytes."""
        tenant, campaign, number, queue = split_parts(key[:-_BEHIND_PARTS])
        return ActivityCell(tenant, campaign, number, queue, int.from_bytes(key[-_QUARTER_BYTES:], "big"))


def number_of(key: bytes) -> str:
    """Return the business number that a key of messages or of customers begins with, as cells name it."""
    return _number(key.partition(b"/")[0])


@lru_cache(1_024)
def _number(escaped: bytes) -> str:
    return bounded_name(split_parts(escaped)[0])


def _quarter(quarter: int) -> bytes:
    return quarter.to_bytes(_QUARTER_BYTES, "big")


Minutes = dict[str, dict[int, int]]
"""What an activity cell counts: by counter the counts of each minute of its quarter hour, from 0 to 14."""

encode_counts = msgspec.msgpack.Encoder().encode
"""Encode the counts of a cell, sorted by name and without zeros."""
decode_counts = msgspec.msgpack.Decoder(dict[str, int]).decode
"""Undo `encode_counts`."""
encode_minutes = msgspec.msgpack.Encoder().encode
"""Encode what an activity cell counts, sorted by counter and minute and without zeros."""
decode_minutes = msgspec.msgpack.Decoder(Minutes).decode
"""Undo `encode_minutes`."""


def in_quarter(minutes: Minutes) -> dict[str, int]:
    """Return what an activity cell counts in its whole quarter hour."""
    return {name: sum(counts.values()) for name, counts in minutes.items()}
