"""Keyed facts, how the facts log carries them, and what one raw event comes to.

A fact's record key is its partition key; the value is family, version, the raw event's Kafka time and
the fact itself, in that order, so that a fold finds the family without decoding. The fact ends with the
place of its raw event, which its reader does not know: it is put there as the fact is written.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import msgspec
import orjson
from msgspec import Struct

from tally.schemas.bounds import BAD_PARTS
from tally.schemas.errors import Bad, BadEvent
from tally.schemas.facts import CUSTOMER, CustomerSeen, Fact, Inbound, Send
from tally.schemas.fields import OBJECT, message_identifier
from tally.schemas.notices import NOTICE, Notice
from tally.schemas.places import NOWHERE
from tally.schemas.scan import check_size
from tally.schemas.wamids import MessageId

VERSION = b"1"
NOTICE_KIND = NOTICE + VERSION
_KIND_BYTES = 2
"""One byte family, one byte version."""
_HEAD_BYTES = 8
"""The kind, and six bytes big-endian milliseconds of the raw record."""

packed = msgspec.msgpack.Encoder().encode
"""The encoder of facts and states. Maps keep their order, so a state keeps its maps ordered."""


class KeyedFact(Struct, gc=False):
    """A fact with its family code and its partition key."""

    family: bytes
    key: bytes
    fact: Fact | Notice


class KeyedCustomerSeen(Struct, gc=False):
    """What was seen of a customer, with its partition key, made into a fact only when it is asked for.

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
    is_pressed: bool = False

    @property
    def fact(self) -> CustomerSeen:
        """Return the fact, with a digest in place of the message's key."""
        if not self.message:
            return CustomerSeen(self.identifiers, self.send, self.inbound, self.is_pressed)
        first = b"w" + self.send.message if self.send else message_identifier(self.message)
        return CustomerSeen([first, *self.identifiers], self.send, self.inbound, self.is_pressed)


Keyed = KeyedFact | KeyedCustomerSeen


class Origin(NamedTuple):
    """Kafka's time of a raw event, in ms, and its place; notices have none."""

    at_ms: int
    place: int = NOWHERE


Traced = tuple[Keyed, Origin]
"""A keyed fact with the origin of its raw event."""


def record_value(family: bytes, origin: Origin, fact: Fact | Notice) -> bytes:
    """Return the value of a fact's record."""
    at_ms, place = origin
    value = packed(fact)
    if place:
        # `NOWHERE`, the last field of every fact, is its last byte.
        value = value[:-1] + packed(place)
    return _head(family, at_ms) + value


@lru_cache(maxsize=1024)
def _head(family: bytes, raw_at_ms: int) -> bytes:
    return family + VERSION + raw_at_ms.to_bytes(_HEAD_BYTES - _KIND_BYTES, "big")


def is_record_value(value: bytes | None) -> bool:
    """Return whether these bytes are long enough for a fact's record."""
    return value is not None and len(value) >= _HEAD_BYTES


def kind_of(value: bytes) -> bytes:
    """Return the family and version of the fact in a record's value."""
    return value[:_KIND_BYTES]


def fact_bytes(value: bytes) -> bytes:
    """Return the fact in a record's value, still encoded; its family decodes it."""
    return value[_HEAD_BYTES:]


def oldest_raw_at_ms(values: Iterable[bytes]) -> int:
    """Return Kafka's time of the oldest raw event that some facts, at least one, came from."""
    return int.from_bytes(min([value[_KIND_BYTES:_HEAD_BYTES] for value in values]), "big")


class Routed(Struct, gc=False):
    """The outcome of reading one raw event; its good parts count whatever its bad parts are."""

    facts: list[Keyed] = []
    bad: list[Bad] = []
    """The bad parts, the first hundred of them."""
    refused: int = 0
    """How many bad parts there are in all."""
    seen: list[tuple[str, str]] = []
    """(kind, name) of each thing the event held; names come from closed lists, the rest is `other`."""

    def refuse(self, bad: Bad, place: str = "", index: int = 0) -> None:
        """Note a bad part; `place` is the list that it is in, and the bad part's path goes on from there."""
        self.refused += 1
        if self.refused > BAD_PARTS.most:
            return
        self.bad.append(Bad(bad.reason, f"{place}[{index}]{bad.path}", bad.expected) if place else bad)

    def add(self, family: bytes, key: bytes, fact: Fact) -> None:
        """Take one fact."""
        self.facts.append(KeyedFact(family, key, fact))

    def see(self, kind: str, name: str, known: frozenset[str]) -> None:
        """Count a name of a closed list."""
        self.seen.append((kind, name if name in known else "other"))

    def see_wamid(self, message: MessageId) -> None:
        """Count an id of a message in which no token is found."""
        if not message.has_token:
            self.seen.append(("wamid", "without_token"))

    def see_unknown(self, kind: str, part: dict[str, Any], known: frozenset[str]) -> None:
        """Count the fields of a part that nobody has told us of."""
        if not known.issuperset(part):
            self.seen += [("unknown_field", kind)] * len(part.keys() - known)


def read_object(value: bytes | None) -> dict[str, Any]:
    """Decode a raw event's JSON object.

    Raises BadEvent: `too_large`, `too_many_parts`, `not_text` (no UTF-8), `not_json`, `wrong_type` (JSON,
    but no object).
    Of repeated keys the last holds; integers beyond 64 bits become floats (both orjson's way).
    """
    if value is not None:
        check_size(value)
    try:
        body = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        if _is_text(value or b""):
            raise BadEvent("not_json", "$", "JSON") from None
        raise BadEvent("not_text", "$", "UTF-8") from None
    if type(body) is not dict:
        raise BadEvent("wrong_type", "$", OBJECT)
    return body


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
