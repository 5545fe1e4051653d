"""The usual send result, read with one typed decode: accepted by WhatsApp, for a campaign.

It says what `sends.read_send` says, or nothing at all: whatever is not exactly as declared here is left to
the general reader, which takes three times as long.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from tally.schemas.errors import BadEvent
from tally.schemas.fields import (
    MAX_ID,
    MAX_META_ID,
    MAX_SECONDS,
    canonical_id,
    phone_identifier,
    unix_ms,
    user_identifier,
)
from tally.schemas.keys import Template
from tally.schemas.routed import Routed
from tally.schemas.sends import add_facts
from tally.schemas.topics import RAW_LIMIT_BYTES

# Beyond 64 bits an integer is a float for the general reader.
_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)] | Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_MetaId = Annotated[str, Meta(min_length=1, max_length=MAX_META_ID)]
_MaybeMetaId = Annotated[str, Meta(max_length=MAX_META_ID)] | None
"""Absent, null and empty ones say nothing."""


class _Contact(Struct, forbid_unknown_fields=True, gc=False):
    id: _Id
    phone: _MaybeMetaId = None
    wa_id: _MaybeMetaId = None
    user_id: _MaybeMetaId = None


class _Template(Struct, forbid_unknown_fields=True, gc=False):
    name: _MetaId
    language: _MetaId
    id: _Id | None = None


class _Body(Struct, forbid_unknown_fields=True, gc=False):
    tenant: _Id
    channel: Literal["whatsapp"]
    campaign: _Id
    contact: _Contact
    outcome: Literal["accepted"]
    template: _Template
    phone_number_id: _MetaId
    message_id: _MetaId
    time: str | Annotated[int, Meta(ge=0, le=MAX_SECONDS * 1000 + 999)]
    attempt: Literal["1", 1] | None = None
    v: Literal[1] | None = None


_decode = msgspec.json.Decoder(_Body).decode
_OUTCOME = ("outcome", "accepted")
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, BadEvent)


def read_usual_send(value: bytes | None) -> Routed | None:
    """Turn one send result into facts, or return None where it is not a usual one."""
    if value is None or len(value) > RAW_LIMIT_BYTES or b"\\u0000" in value:
        return None
    try:
        body = _decode(value)
        at_ms = unix_ms(body.time, "")
    except _UNREADABLE:
        return None
    who = _who(body.contact)
    if not who:
        return None
    routed = Routed(seen=[_OUTCOME])
    template = body.template
    add_facts(
        routed,
        _text(body.tenant),
        _text(body.campaign),
        _text(body.contact.id),
        "1",
        body.channel,
        body.outcome,
        at_ms,
        Template(template.name, template.language.replace("-", "_")),
        "" if template.id is None else _text(template.id),
        None,
        body.phone_number_id,
        body.message_id,
        who,
    )
    return routed


def _text(given: str | int) -> str:
    return canonical_id(given) if type(given) is str else str(given)


def _who(contact: _Contact) -> list[bytes]:
    who = [phone_identifier(phone) for phone in (contact.phone, contact.wa_id) if phone]
    if contact.user_id:
        who.append(user_identifier(contact.user_id))
    return who
