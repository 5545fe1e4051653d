"""The fast path of send results: one typed decode of what WhatsApp accepted for a campaign.

It says what `full.read_send` says, or nothing at all: whatever is not exactly as declared here is left to
the full reader, which takes three times as long.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from tally.schemas.bounds import TEMPLATE
from tally.schemas.fields import (
    MAX_ID,
    MAX_INTEGER,
    MAX_SECONDS,
    UNREADABLE,
    MaybeMetaId,
    MetaId,
    canonical_id,
    event_ms,
    latest_ms,
    may_be_fast,
    phone_identifier,
    user_identifier,
)
from tally.schemas.keys import bounded_template
from tally.schemas.numbers import NO_NUMBERS, Numbers
from tally.schemas.records import Routed
from tally.schemas.sends.facts import Checked, add_facts

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)] | Annotated[int, Meta(ge=0, le=MAX_INTEGER)]


class _Contact(Struct, forbid_unknown_fields=True, gc=False):
    id: _Id
    phone: MaybeMetaId = None
    wa_id: MaybeMetaId = None
    user_id: MaybeMetaId = None


_Name = Annotated[str, Meta(min_length=1, max_length=TEMPLATE.most // 4)]
"""Within its bound whatever its characters are; of longer ones the full reader looks at the bytes."""


class _Template(Struct, forbid_unknown_fields=True, gc=False):
    name: _Name
    language: _Name
    id: _Id | None = None


class _Body(Struct, forbid_unknown_fields=True, gc=False):
    tenant: _Id
    channel: Literal["whatsapp"]
    campaign: _Id
    contact: _Contact
    outcome: Literal["accepted"]
    template: _Template
    phone_number_id: MetaId
    message_id: MetaId
    time: str | Annotated[int, Meta(ge=0, le=MAX_SECONDS * 1000 + 999)]
    attempt: Literal["1", 1] | None = None
    v: Literal[1] | None = None


_decode = msgspec.json.Decoder(_Body).decode
_OUTCOME = ("outcome", "accepted")


def read_send_fast(
    value: bytes | None, published_ms: int | None = None, numbers: Numbers = NO_NUMBERS
) -> Routed | None:
    """Turn one send result into facts, or return None where the full reader has to."""
    if not may_be_fast(value):
        return None
    try:
        body = _decode(value)
        at_ms = event_ms(body.time, "", latest_ms(published_ms))
    except UNREADABLE:
        return None
    who = _who(body.contact)
    if not who:
        return None
    if numbers.owners and numbers.is_foreign(body.phone_number_id, _text(body.tenant)):
        return None
    routed = Routed(seen=[_OUTCOME])
    add_facts(routed, _checked(body, at_ms, who, numbers.first_id(body.phone_number_id)))
    return routed


def _checked(body: _Body, at_ms: int, who: list[bytes], number: str) -> Checked:
    template = body.template
    return Checked(
        tenant=_text(body.tenant),
        campaign=_text(body.campaign),
        contact=_text(body.contact.id),
        attempt="1",
        channel=body.channel,
        outcome=body.outcome,
        at_ms=at_ms,
        template=bounded_template(template.name, template.language),
        label="" if template.id is None else _text(template.id),
        error=None,
        number=number,
        wamid=body.message_id,
        who=who,
    )


def _text(given: str | int) -> str:
    return canonical_id(given) if type(given) is str else str(given)


def _who(contact: _Contact) -> list[bytes]:
    who = [phone_identifier(phone) for phone in (contact.phone, contact.wa_id) if phone]
    if contact.user_id:
        who.append(user_identifier(contact.user_id))
    return who
