"""Facts: normalised statements about one subject, and how the facts log carries them.

A fact's record key is its partition key; the value is family, version, the raw event's Kafka time and
the fact itself, in that order, so that a fold finds the family without decoding.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar, Literal

from msgspec import Struct

from tally.schemas.call_facts import CallFact, OperatorFact
from tally.schemas.fields import message_identifier
from tally.schemas.keys import FREE_FORM, Template, split_parts

KIND_BYTES = 2
"""One byte family, one byte version."""
HEAD_BYTES = 8
"""The kind, and six bytes big-endian milliseconds of the raw record."""

Outcome = Literal["queued", "requested", "accepted", "failed", "skipped", "cancelled"]
Channel = Literal["whatsapp", "voice"]


class Claim(Struct, frozen=True, array_like=True, gc=False):
    """Who sent a message: an accepted send. A service message has the empty campaign."""

    at_ms: int
    tenant: str
    campaign: str = ""
    contact: str = ""
    attempt: str = ""
    template: Template = FREE_FORM

    @property
    def rank(self) -> tuple[bool, int, str, str, str, str, Template]:
        """The fixed order of claims: of several the smallest holds, and a campaign's before a null one."""
        return (
            not self.campaign,
            self.at_ms,
            self.tenant,
            self.campaign,
            self.contact,
            self.attempt,
            self.template,
        )


class Pricing(Struct, frozen=True, array_like=True, gc=False, order=True):
    """What a status said of a message's price; the largest (rank, time, bytes) is the last one."""

    rank: int
    at_s: int
    category: str
    kind: str


class Claimed(Struct, frozen=True, array_like=True, gc=False, tag=1):
    """Message M was accepted by the provider for this send."""

    claim: Claim


class StatusSeen(Struct, frozen=True, array_like=True, gc=False, tag=2):
    """A webhook said that message M has this status since this second."""

    status: str
    at_s: int
    error: str | None = None
    """The smallest raw `source:code` of a failed status."""
    pricing: Pricing | None = None


class Quoted(Struct, frozen=True, array_like=True, gc=False, tag=3):
    """An inbound message refers to message M; `clicked` when its template quick reply was pressed."""

    at_s: int
    clicked: bool = False


MessageFact = Claimed | StatusSeen | Quoted


class AttemptResult(Struct, frozen=True, array_like=True, gc=False):
    """Attempt A to reach contact C had this outcome at T."""

    channel: Channel
    attempt: str
    outcome: Outcome
    at_ms: int
    template: Template
    label: str = ""
    """The producer's template id."""
    error: str | None = None
    message: bytes = b""
    """Digest of (business number, wamid) of an accepted WhatsApp send."""


class Send(Struct, frozen=True, array_like=True, gc=False):
    """An accepted send as its customer sees it."""

    message: bytes
    claim: Claim


class Inbound(Struct, frozen=True, array_like=True, gc=False):
    """A message from the customer that counts as a reply."""

    message: bytes
    at_s: int


class Sighting(Struct, frozen=True, array_like=True, gc=False):
    """These identifiers belong to one customer, who was sent this, or wrote this.

    Identifiers are `p` + digits of a phone, `u` + business-scoped id, `w` + digest of a wamid.
    """

    identifiers: list[bytes]
    send: Send | None = None
    inbound: Inbound | None = None


Fact = MessageFact | AttemptResult | Sighting | CallFact | OperatorFact

MESSAGE = b"m"
RECIPIENT = b"r"
CUSTOMER = b"c"
VERSION = b"1"


class KeyedFact(Struct, gc=False):
    """A fact with its family code and its partition key."""

    family: bytes
    key: bytes
    fact: Fact


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


@lru_cache(maxsize=1024)
def head(family: bytes, raw_at_ms: int) -> bytes:
    """Return the first bytes of a fact's record value."""
    return family + VERSION + raw_at_ms.to_bytes(6, "big")


def oldest_raw_at_ms(values: Iterable[bytes]) -> int:
    """Return Kafka's time of the oldest raw event that some facts, at least one, came from."""
    return int.from_bytes(min([value[2:HEAD_BYTES] for value in values]), "big")
