"""The items of a body: a JSON array or NDJSON, each as it came, and why one would not count. Pure."""

import msgspec
import orjson
from msgspec import Struct

from tally.schemas.conventions import Conventions
from tally.schemas.errors import BadEvent
from tally.schemas.fields import producer_id
from tally.schemas.sources import COMPACTED, READERS

ARRAY, LINES = "application/json", "application/x-ndjson"
MEDIA_TYPES = frozenset({ARRAY, LINES})
MOST_ITEMS = 20_000

_array = msgspec.json.Decoder(list[msgspec.Raw])


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
    """Return the items of a body, each as it came. Raises NotItems."""
    found: list[bytes] | list[msgspec.Raw]
    if media_type == LINES:
        found = [line for line in body.split(b"\n") if line.strip()]
    else:
        try:
            found = _array.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise NotItems("expected a JSON array of objects") from None
    if not 1 <= len(found) <= MOST_ITEMS:
        raise NotItems(f"expected 1 to {MOST_ITEMS} items")
    return [bytes(item) for item in found]


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
