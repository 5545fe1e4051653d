"""Keyed facts, and how the facts log carries them.

A fact's record key is its partition key; the value is family, version, the raw event's Kafka time and
the fact itself, in that order, so that a fold finds the family without decoding.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar

from msgspec import Struct

from tally.schemas.facts import CUSTOMER, Fact, Inbound, Send, Sighting
from tally.schemas.fields import message_identifier
from tally.schemas.keys import split_parts
from tally.schemas.notices import NOTICE, Notice

VERSION = b"1"
KIND_BYTES = 2
"""One byte family, one byte version."""
NOTICE_KIND = NOTICE + VERSION
HEAD_BYTES = 8
"""The kind, and six bytes big-endian milliseconds of the raw record."""


class KeyedFact(Struct, gc=False):
    """A fact with its family code and its partition key."""

    family: bytes
    key: bytes
    fact: Fact | Notice


class KeyedSighting(Struct, gc=False):
    """A sighting with its partition key, made into a fact only when it is asked for.

    Nearly every status repeats who its message was sent to; most of them are left out (route's links).
    """

    family: ClassVar[bytes] = CUSTOMER
    key: bytes
    message: bytes
    """Key of the message among messages, empty where there is none."""
    identifiers: list[bytes]
    """All others."""
    send: Send | None = None
    inbound: Inbound | None = None

    @property
    def fact(self) -> Sighting:
        """Return the fact, with a digest in place of the message's key."""
        if not self.message:
            return Sighting(self.identifiers, self.send, self.inbound)
        first = b"w" + self.send.message if self.send else message_identifier(*split_parts(self.message))
        return Sighting([first, *self.identifiers], self.send, self.inbound)


Keyed = KeyedFact | KeyedSighting
Timed = tuple[Keyed, int]
"""A keyed fact with Kafka's time of its raw event, in ms."""


@lru_cache(maxsize=1024)
def head(family: bytes, raw_at_ms: int) -> bytes:
    """Return the first bytes of a fact's record value."""
    return family + VERSION + raw_at_ms.to_bytes(6, "big")


def oldest_raw_at_ms(values: Iterable[bytes]) -> int:
    """Return Kafka's time of the oldest raw event that some facts, at least one, came from."""
    return int.from_bytes(min([value[2:HEAD_BYTES] for value in values]), "big")
