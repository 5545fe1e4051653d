"""What a checked send result means: facts about the message, the recipient and the customer."""

from collections.abc import Sequence

from msgspec import Struct

from tally.schemas.facts import MESSAGE, RECIPIENT, AttemptResult, Channel, Claim, Claimed, Outcome, Send
from tally.schemas.fields import digest
from tally.schemas.keys import Template, join_parts
from tally.schemas.markets import market_of, market_of_user
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
    """Business number of WhatsApp, or the PBX of a call; empty for a call whose PBX is not named."""
    wamid: str
    """Of an accepted WhatsApp send, else empty."""
    who: list[bytes]
    """Identifiers of the customer."""


def add_facts(routed: Routed, send: Checked) -> None:
    """Say what a send result means for the recipient, the message and the customer."""
    number, wamid = send.number, send.wamid
    market, phone = whereabouts(send.who)
    named = message_id(wamid)
    key = b"%b/%b" % (join_parts(number), named.part) if wamid else b""
    message = digest(key) if wamid else b""
    if send.campaign is not None:
        routed.add(
            RECIPIENT,
            join_parts(send.tenant, send.campaign, send.contact),
            _attempt(send, message, market, phone),
        )
    if wamid:
        routed.see_wamid(named)
        claim = _claim(send, market, phone)
        routed.add(MESSAGE, key, Claimed(claim, named.spelling))
        routed.facts.append(KeyedCustomerSeen(join_parts(number), key, send.who, send=Send(message, claim)))
    elif send.channel == "whatsapp" and len(send.who) > 1:
        routed.facts.append(KeyedCustomerSeen(join_parts(number), b"", send.who))


def whereabouts(who: Sequence[bytes]) -> tuple[str, str]:
    """Return the market and the phone of a customer's identifiers; each is empty if none of them tells.

    The first phone is the customer's. The market is that of the first phone that has one, else of the first
    business-scoped id that has one.
    """
    phones = [name[1:].decode() for name in who if name.startswith(b"p")]
    for phone in phones:
        if market := market_of(phone):
            return market, phones[0]
    of_users = (market_of_user(name[1:].decode()) for name in who if name.startswith(b"u"))
    return next(filter(None, of_users), ""), phones[0] if phones else ""


def _attempt(send: Checked, message: bytes, market: str, phone: str) -> AttemptResult:
    return AttemptResult(
        send.channel,
        send.attempt,
        send.outcome,
        send.at_ms,
        send.template,
        send.label,
        send.error,
        message,
        send.number,
        market,
        phone,
    )


def _claim(send: Checked, market: str, phone: str) -> Claim:
    if send.campaign:
        return Claim(
            send.at_ms,
            send.tenant,
            send.campaign,
            send.contact,
            send.attempt,
            send.template,
            market,
            phone,
        )
    return Claim(send.at_ms, send.tenant, template=send.template)
