"""The place of a raw record: its topic, partition and offset, as one whole number.

Facts carry the place of the record that they come from, and states that of the first event of each kind
(docs/places.md). A number is compared and packed faster than a tuple, and takes
nine bytes; numbers have the order of (topic, partition, offset).
"""

from collections.abc import Mapping
from typing import NamedTuple

PLACED_TOPICS: Mapping[str, int] = {"webhook-events": 1, "send-results": 2, "ami-events": 3, "campaigns": 4}
"""The number of each raw topic, 1 to 15. It stands in states: no topic gets one that another had."""

NOWHERE = 0
"""Stands for a place that is not known; smaller than any other."""

_PARTITION_BITS, _OFFSET_BITS = 16, 44
"""65,536 partitions of 17 thousand billion records each; sources have four bits."""
_PARTITIONS, _OFFSETS = 1 << _PARTITION_BITS, 1 << _OFFSET_BITS
_NAMES = {number: topic for topic, number in PLACED_TOPICS.items()}

First = tuple[int, int]
"""When something happened first, and the place of the record that said so; the smallest holds."""


class RecordPlace(NamedTuple):
    """Where a raw record lies."""

    topic: str
    """Its name in `sources.py`, without a deployment's prefix."""
    partition: int
    offset: int


def place_number(topic: str, partition: int, offset: int) -> int:
    """Return the number of a place; `NOWHERE` for one beyond what a number holds. Raises KeyError."""
    if partition >= _PARTITIONS or offset >= _OFFSETS:
        return NOWHERE
    return (PLACED_TOPICS[topic] << _PARTITION_BITS | partition) << _OFFSET_BITS | offset


def place_of(number: int) -> RecordPlace | None:
    """Return the place that a number stands for; None for `NOWHERE`. Raises KeyError for no number of one."""
    if number == NOWHERE:
        return None
    log, offset = divmod(number, _OFFSETS)
    topic, partition = divmod(log, _PARTITIONS)
    return RecordPlace(_NAMES[topic], partition, offset)
