"""The look at a raw record's bytes before they are parsed: what it decides, it decides by size alone."""

from tally.schemas.bounds import ELEMENTS, RECORD
from tally.schemas.errors import BadEvent

_MOST = ELEMENTS.most


def elements(value: bytes) -> int:
    """Return how many values a JSON text may hold at most: one for each comma and each opening bracket.

    Every value but the first is the first one in its brackets, or stands behind a comma. A comma or bracket
    within a text counts as well: to leave those out the text would have to be parsed.
    """
    return value.count(b",") + value.count(b"[") + value.count(b"{")


def may_be_read(value: bytes) -> bool:
    """Return whether a record is within its bounds; of a short one the length alone says so."""
    return len(value) <= _MOST or (len(value) <= RECORD.most and elements(value) <= _MOST)


def check_size(value: bytes) -> None:
    """Raise BadEvent for a record beyond its bounds: `too_large`, `too_many_parts`."""
    if len(value) > RECORD.most:
        raise BadEvent("too_large", "$", f"at most {RECORD.most} {RECORD.of}")
    if not may_be_read(value):
        raise BadEvent("too_many_parts", "$", f"at most {ELEMENTS.most} {ELEMENTS.of}")
