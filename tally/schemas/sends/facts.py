"""What a checked send result means: facts about the message, the recipient and the customer."""

from msgspec import Struct

from tally.schemas.facts import MESSAGE, RECIPIENT, AttemptResult, Channel, Claim, Claimed, Outcome, Send
from tally.schemas.fields import digest
from tally.schemas.keys import Template, join_parts
from tally.schemas.records import KeyedCustomerSeen, Routed
from tally.schemas.wamids import message_id


class Checked(Struct, gc=False):
    """What a good send result says, read and checked."""

    tenant: str
    campaign: str | None
    contact: str
    attempt: str
    channel: Channel
    outcome: Outcome
    at_ms: int
    template: Template
    label: str
    """The producer's id for the template; empty without one."""
    error: str | None
    number: str
    """Business number of WhatsApp; empty for a call."""
    wamid: str
    """Of an accepted WhatsApp send, else empty."""
    who: list[bytes]
    """Identifiers of the customer."""


def add_facts(routed: Routed, send: Checked) -> None:
    """Say what a send result means for the recipient, the message and the customer."""
    number, wamid = send.number, send.wamid
    named = message_id(wamid)
    key = b"%b/%b" % (join_parts(number), named.part) if wamid else b""
    message = digest(key) if wamid else b""
    if send.campaign is not None:
        routed.add(RECIPIENT, join_parts(send.tenant, send.campaign, send.contact), _attempt(send, message))
    if wamid:
        routed.see_wamid(named)
        claim = _claim(send)
        routed.add(MESSAGE, key, Claimed(claim, named.spelling))
        routed.facts.append(KeyedCustomerSeen(join_parts(number), key, send.who, send=Send(message, claim)))
    elif number and len(send.who) > 1:
        routed.facts.append(KeyedCustomerSeen(join_parts(number), b"", send.who))


def _attempt(send: Checked, message: bytes) -> AttemptResult:
    return AttemptResult(
        send.channel,
        send.attempt,
        send.outcome,
        send.at_ms,
        send.template,
        send.label,
        send.error,
        message,
    )


def _claim(send: Checked) -> Claim:
    if send.campaign:
        return Claim(send.at_ms, send.tenant, send.campaign, send.contact, send.attempt, send.template)
    return Claim(send.at_ms, send.tenant, template=send.template)
