"""Facts: normalised statements about one subject."""

from typing import Literal

from msgspec import Struct

from tally.schemas.call_facts import CallFact, OperatorFact
from tally.schemas.keys import FREE_FORM, Template

Outcome = Literal["queued", "requested", "accepted", "failed", "skipped", "cancelled"]
Channel = Literal["whatsapp", "voice"]


class Claim(Struct, frozen=True, array_like=True, gc=False):
    """Who sent a message: an accepted send. A service message has the empty campaign, contact and attempt.

    An echo of the business's phone says only that somebody sent it: a service message without a tenant.
    """

    at_ms: int
    tenant: str = ""
    campaign: str = ""
    contact: str = ""
    attempt: str = ""
    template: Template = FREE_FORM

    @property
    def scope(self) -> tuple[str, str]:
        """Whose send it is."""
        return self.tenant, self.campaign

    @property
    def rank(self) -> tuple[int, int, str, str, str, str, Template]:
        """The fixed order of claims: of several the smallest holds.

        A campaign's goes before that of a service message, and any send result's before an echo's.
        """
        return (
            0 if self.campaign else 1 if self.tenant else 2,
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
    spelling: bytes = b""


class StatusSeen(Struct, frozen=True, array_like=True, gc=False, tag=2):
    """A webhook said that message M has this status since this second."""

    status: str
    at_s: int
    error: str | None = None
    """The smallest raw `source:code` of a failed status."""
    pricing: Pricing | None = None
    spelling: bytes = b""


class Quoted(Struct, frozen=True, array_like=True, gc=False, tag=3):
    """An inbound message refers to message M; `clicked` when its template quick reply was pressed."""

    at_s: int
    clicked: bool = False
    spelling: bytes = b""


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


Fact = MessageFact | AttemptResult | CustomerSeen | CallFact | OperatorFact

MESSAGE = b"m"
RECIPIENT = b"r"
CUSTOMER = b"c"
