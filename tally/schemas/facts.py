"""Facts: normalised statements about one subject; each ends with the place of its raw record."""

from typing import Literal

from msgspec import Struct, structs

from tally.schemas.call_facts import CallFact, OperatorFact
from tally.schemas.descriptions import Described
from tally.schemas.keys import FREE_FORM, Template
from tally.schemas.places import NOWHERE

Outcome = Literal["queued", "requested", "accepted", "failed", "skipped", "cancelled"]
Channel = Literal["whatsapp", "voice"]


def least_known(left: str, right: str) -> str:
    """Return the smaller of two texts, where an empty one is unknown."""
    return min(left, right) if left and right else left or right


class Claim(Struct, frozen=True, array_like=True, gc=False):
    """Who sent a message, and to where: an accepted send.

    A service message has the empty campaign, contact and attempt. An echo of the business's phone says only
    that somebody sent it: a service message without a tenant. The business number is no part of it: the key
    of whoever holds a claim names it.
    """

    at_ms: int
    tenant: str = ""
    campaign: str = ""
    contact: str = ""
    attempt: str = ""
    template: Template = FREE_FORM
    market: str = ""
    """The market of the customer (schemas/markets.py); empty if unknown."""
    phone: str = ""
    """The customer's phone, in digits; empty if unknown."""
    place: int = NOWHERE
    """Of a raw record that says so, the first by place; in a fact it stands at the fact's end instead."""

    def placed(self, place: int) -> "Claim":
        """Return the claim with its place."""
        return structs.replace(self, place=place) if place else self

    @property
    def scope(self) -> tuple[str, str]:
        """Whose send it is."""
        return self.tenant, self.campaign

    @property
    def send(self) -> tuple[int, int, str, str, str, str]:
        """Which send it is, in the fixed order of sends: of several the smallest holds.

        A campaign's goes before a service message, and any send result's before an echo's.
        """
        of_whom = 0 if self.campaign else 1 if self.tenant else 2
        return of_whom, self.at_ms, self.tenant, self.campaign, self.contact, self.attempt

    @property
    def rank(self) -> tuple[tuple[int, int, str, str, str, str], Template, bool, str, bool, str]:
        """The fixed order of claims; what is known comes before what is not."""
        return self.send, self.template, not self.market, self.market, not self.phone, self.phone

    def joined(self, other: "Claim") -> "Claim":
        """Return the claim that holds of two: that of the smaller send; of one send, what both tell of it.

        A send that is published again in other words, with its phone or its template or without, is thus
        one send of one template to one market, whichever of its records comes first.
        """
        if self.send != other.send:
            return self if self.send < other.send else other
        return structs.replace(
            self,
            template=min(self.template, other.template),
            market=least_known(self.market, other.market),
            phone=least_known(self.phone, other.phone),
            place=min(self.place, other.place),
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
    spelling: bytes = b""
    place: int = NOWHERE


class StatusSeen(Struct, frozen=True, array_like=True, gc=False, tag=2):
    """A webhook said that message M has this status since this second."""

    status: str
    at_s: int
    error: str | None = None
    """The smallest raw `source:code` of a failed status."""
    pricing: Pricing | None = None
    spelling: bytes = b""
    place: int = NOWHERE


class Quoted(Struct, frozen=True, array_like=True, gc=False, tag=3):
    """An inbound message refers to message M; `clicked` when its template quick reply was pressed."""

    at_s: int
    clicked: bool = False
    spelling: bytes = b""
    place: int = NOWHERE


MessageFact = Claimed | StatusSeen | Quoted
"""Each with the spelling of the id that names the message (wamids.py)."""


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
    """Digest of the key of an accepted WhatsApp message."""
    number: str = ""
    """The business number, or the PBX of a call; empty if unknown."""
    market: str = ""
    """The market of the customer (schemas/markets.py); empty if unknown."""
    phone: str = ""
    """The customer's phone, in digits; empty if unknown."""
    place: int = NOWHERE


class Send(Struct, frozen=True, array_like=True, gc=False):
    """An accepted send as its customer sees it."""

    message: bytes
    claim: Claim


Press = Literal["none", "alone", "named"]
"""Whether a message of a customer presses a quick reply: it does not, names no message, or names the one."""


class Inbound(Struct, frozen=True, array_like=True, gc=False):
    """A message from the customer that counts as a reply."""

    message: bytes
    at_s: int
    press: Press = "none"


class CustomerSeen(Struct, frozen=True, array_like=True, gc=False):
    """These identifiers belong to one customer, who was sent this, or wrote this.

    Identifiers are `p` + digits of a phone, `u` + business-scoped id, `n` + any other text that stands where
    phones stand, `w` + digest of a message's key. There is at most one of the last kind: the message that is
    sent or spoken of, which comes first.
    """

    identifiers: list[bytes]
    send: Send | None = None
    inbound: Inbound | None = None
    is_pressed: bool = False
    """Whether a press of a quick reply names the message."""
    place: int = NOWHERE


Fact = MessageFact | AttemptResult | CustomerSeen | CallFact | OperatorFact | Described

MESSAGE = b"m"
RECIPIENT = b"r"
CUSTOMER = b"c"
