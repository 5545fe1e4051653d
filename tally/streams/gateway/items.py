"""The items of a body: a JSON array or NDJSON, each as it came, and why one would not count. Pure."""

import re
from itertools import islice

import msgspec
import orjson
from msgspec import Struct

from tally.schemas.conventions import Conventions
from tally.schemas.errors import BadEvent
from tally.schemas.fields import producer_id
from tally.schemas.scan import elements
from tally.schemas.sources import COMPACTED, READERS

ARRAY, LINES = "application/json", "application/x-ndjson"
MEDIA_TYPES = frozenset({ARRAY, LINES})
MOST_ITEMS = 20_000
MOST_ELEMENTS = 20 * MOST_ITEMS
"""Commas, `[` and `{` of an array with its items; 4 MiB of real ones, with every field, have 260,000."""

_array = msgspec.json.Decoder(list[msgspec.Raw])
_line = re.compile(rb"\S[^\n]*")


class NotItems(Exception):
    """The body as a whole is no list of items; the message says what is expected."""


class BadItem(Struct, frozen=True):
    """A part of an item that would not count."""

    index: int
    """The item's place in the body, from 0."""
    reason: str
    path: str
    """Where in the item."""
    expected: str


def items_of(body: bytes, media_type: str) -> list[bytes]:
    """Return the items of a body, each as it came. Raises NotItems.

    What is too much is refused before there is an object for each item: 4 MiB may hold two million.
    """
    if media_type == LINES:
        found = [line[0] for line in islice(_line.finditer(body), MOST_ITEMS + 1)]
    elif elements(body) > MOST_ELEMENTS:
        raise NotItems(
            f"expected at most {MOST_ITEMS} items, with {MOST_ELEMENTS} commas and brackets in all"
        )
    else:
        found = _of_array(body)
    if not 1 <= len(found) <= MOST_ITEMS:
        raise NotItems(f"expected 1 to {MOST_ITEMS} items")
    return found


def _of_array(body: bytes) -> list[bytes]:
    try:
        return [bytes(item) for item in islice(_array.decode(body), MOST_ITEMS + 1)]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise NotItems("expected a JSON array of objects") from None


def bad_parts(
    index: int, item: bytes, tenant: str, topic: str, conventions: Conventions, now_ms: int
) -> list[BadItem]:
    """Return what of an item would not count, as its topic's own reader says; its tenant must be this one."""
    routed = READERS[topic](item, (), conventions, now_ms)
    if routed.bad:
        return [BadItem(index, bad.reason, bad.path, bad.expected) for bad in routed.bad]
    if topic in COMPACTED and not routed.facts:
        return [BadItem(index, "missing_field", "$", "at least one field that says something")]
    # The reader has found it to be an object with a tenant.
    try:
        is_theirs = producer_id(orjson.loads(item)["tenant"], "$.tenant") == tenant
    except (BadEvent, KeyError, TypeError, orjson.JSONDecodeError):
        is_theirs = False
    return [] if is_theirs else [BadItem(index, "foreign_tenant", "$.tenant", "the tenant of the path")]
